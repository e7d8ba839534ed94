"""A store with everybody in it, made through the store itself: hashing passwords over the wire would take minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gmessenger.chat.names import fold
from gmessenger.store import open_store
from tests.conftest import FAST

PASSWORD: Final = "correct horse battery staple"


def populate(path: Path, names: Sequence[str], rooms: Mapping[str, Sequence[str]]) -> str:
    """The URL of a new store in which these names are accounts with PASSWORD, and members of these rooms."""
    url = f"sqlite:///{path}"
    store, hashed = open_store(url), FAST.hash(PASSWORD)
    accounts = {name: store.create_account(fold(name), name, hashed, 0.0).id for name in names}
    for room, people in rooms.items():
        store.create_room(room, room, accounts[people[0]], 0.0)
        for name in people:
            store.join(room, accounts[name])
    store.close()
    return url
