"""Settings: what is never shown."""

import copy
import dataclasses
import logging
import pickle

import pytest

from postroom.adapters.secret import Secret
from postroom.adapters.settings import Settings


def test_no_secret_is_shown_by_any_way_of_printing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings.from_env(
        {
            "MONGODB_URI": "mongodb://canary-user:canary@h/mail",
            "REDIS_URL": "redis://:canary@h",
            "POSTROOM_API_KEY": "canary",
            "POSTROOM_PROVIDERS": "sendgrid,mailgun,resend",
            "SENDGRID_API_KEY": "canary",
            "RESEND_API_KEY": "canary",
            "MAILGUN_API_KEY": "canary",
            "MAILGUN_DOMAIN": "example.com",
            "POSTROOM_PROVIDER_PROXY": "http://u:canary@h:1",
        }
    )
    logging.getLogger("test").warning("%s %r", settings.mongodb_uri, settings)

    shown = [
        repr(settings),
        str(settings),
        f"{settings}",
        f"{settings.mongodb_uri:>40} {settings.mongodb_uri!r} {settings.mongodb_uri}",
        repr(dataclasses.asdict(settings)["providers"]),
        repr(copy.deepcopy(settings)),
        str(settings.warnings),
        caplog.text,
    ]

    assert "canary" not in "\n".join(shown)


def test_a_secret_is_given_out_only_on_purpose() -> None:
    secret = Secret("canary")

    assert secret.reveal() == "canary"
    assert secret == Secret("canary")
    assert hash(secret) == hash(Secret("canary"))
    assert secret != Secret("other")
    assert secret != "canary"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_secrets_are_all_that_a_log_must_not_show() -> None:
    settings = Settings.from_env(
        {
            "MONGODB_URI": "mongodb://u:p%40ss@h/mail",
            "REDIS_URL": "redis://:second@h",
            "POSTROOM_API_KEY": "third",
            "POSTROOM_METRICS_KEY": "seventh",
            "POSTROOM_PROVIDERS": "sendgrid,resend,sandbox",
            "SENDGRID_API_KEY": "fourth",
            "RESEND_API_KEY": "sixth",
            "POSTROOM_PROVIDER_PROXY": "http://u:fifth@h:1",
        }
    )

    assert {secret.reveal() for secret in settings.secrets} == {
        "mongodb://u:p%40ss@h/mail",
        "p%40ss",
        "p@ss",
        "redis://:second@h",
        "second",
        "third",
        "fourth",
        "http://u:fifth@h:1",
        "fifth",
        "sixth",
        "seventh",
    }
