"""The ledger of duplicates: what proves that an email went out twice."""

import pytest

from postroom.domain.email import Email, RecipientState, State
from postroom.domain.outcome import Accepted, RecipientRefusal, RefusalKind
from tests.builders import ACCEPTED, BETA, NOW, a_recipient, an_attempt, an_email
from tests.domain.recording import after

#: What a provider says of the second recipient.
FOR_NOW = RecipientRefusal(index=1, kind=RefusalKind.TRANSIENT, code="450")


class TestConfirmedDuplicates:
    """Two acceptances for one recipient, under two names at the providers."""

    def _twice(self, **first: object) -> Email:
        earlier = an_attempt(ACCEPTED, **first)
        later = an_attempt(no=2, provider=BETA)
        sent_to = (a_recipient(state=RecipientState.ACCEPTED),)
        email = an_email(State.SENDING, attempts=(earlier, later), recipients=sent_to)
        return after(Accepted(provider_message_id="other"), email, attempt_id=later.id)

    def test_a_second_acceptance_is_recorded(self) -> None:
        (found,) = self._twice().confirmed_duplicates

        assert (found.attempt_id, found.earlier) == ("attempt-2", ("attempt-1",))
        assert found.at == NOW

    def test_two_names_for_one_key_are_two_emails(self) -> None:
        """The key was forgotten, or never honoured."""
        assert self._twice(provider=BETA, key="k").confirmed_duplicates

    def test_one_by_a_provider_that_gives_no_names_too(self) -> None:
        assert self._twice(provider_message_id=None).confirmed_duplicates

    def test_the_same_name_at_the_same_provider_is_one_email(self) -> None:
        email = self._twice(provider=BETA, provider_message_id="other")

        assert not email.confirmed_duplicates

    @pytest.mark.parametrize("names", [("m1", None), (None, "m1"), (None, None)])
    def test_without_two_names_the_same_key_is_one_email(
        self, names: tuple[str | None, str | None]
    ) -> None:
        assert not self._again(*names, keys=("k", "k")).confirmed_duplicates

    @pytest.mark.parametrize("keys", [(None, None), ("k", None), ("k", "another")])
    def test_without_two_names_another_key_is_another_email(
        self, keys: tuple[str | None, str | None]
    ) -> None:
        assert self._again("m1", None, keys=keys).confirmed_duplicates

    def _again(
        self, first: str | None, second: str | None, *, keys: tuple[str | None, ...]
    ) -> Email:
        earlier = an_attempt(ACCEPTED, provider_message_id=first, key=keys[0])
        later = an_attempt(no=2, key=keys[1])
        sent_to = (a_recipient(state=RecipientState.ACCEPTED),)
        email = an_email(State.SENDING, attempts=(earlier, later), recipients=sent_to)
        return after(Accepted(provider_message_id=second), email, attempt_id=later.id)

    def test_an_attempt_that_refused_the_recipient_is_none_of_it(self) -> None:
        """Three attempts, and the one in the middle brought this recipient nothing."""
        attempts = (
            an_attempt(Accepted(provider_message_id="one"), recipients=(0, 1)),
            an_attempt(
                Accepted(provider_message_id="two", refused=(FOR_NOW,)),
                no=2,
                recipients=(0, 1),
            ),
            an_attempt(no=3, recipients=(1,)),
        )
        has_it = a_recipient(state=RecipientState.ACCEPTED)
        email = an_email(State.SENDING, attempts=attempts, recipients=(has_it, has_it))

        settled = after(
            Accepted(provider_message_id="three"), email, attempt_id="attempt-3"
        )

        (found,) = settled.confirmed_duplicates
        assert found.earlier == ("attempt-1",)

    def test_another_recipient_is_no_duplicate(self) -> None:
        earlier = an_attempt(ACCEPTED, recipients=(0, 1))
        later = an_attempt(no=2, recipients=(1,))
        recipients = (a_recipient(state=RecipientState.ACCEPTED), a_recipient())
        email = an_email(
            State.SENDING, attempts=(earlier, later), recipients=recipients
        )

        settled = after(
            Accepted(provider_message_id="other"), email, attempt_id=later.id
        )

        assert settled.state is State.SENT
        assert not settled.confirmed_duplicates

    def test_who_was_refused_now_has_it_once(self) -> None:
        earlier = an_attempt(ACCEPTED)
        later = an_attempt(no=2)
        sent_to = (a_recipient(state=RecipientState.ACCEPTED),)
        refusal = RecipientRefusal(index=0, kind=RefusalKind.PERMANENT, code="550")
        email = an_email(State.SENDING, attempts=(earlier, later), recipients=sent_to)

        settled = after(
            Accepted(provider_message_id="other", refused=(refusal,)),
            email,
            attempt_id=later.id,
        )

        assert not settled.confirmed_duplicates
