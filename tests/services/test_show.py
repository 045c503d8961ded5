"""An email is shown to its owner and to nobody else."""

from postroom.adapters.memory_store import MemoryStore
from postroom.services.show import Show
from tests.builders import ID, an_email


def test_only_its_owner_sees_an_email() -> None:
    store = MemoryStore()
    email = an_email(owner="ada")
    store.insert(email)
    show = Show(store=store)

    assert show(ID, owner="ada") == email
    assert show(ID, owner="bob") is None
    assert show("0" * 24, owner="ada") is None
