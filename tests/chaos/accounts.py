"""Creates a store with accounts without the server: hashing their passwords would take minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gmessenger.chat.records import Credential, DeviceLogin
from gmessenger.names import fold
from gmessenger.store import open_store
from tests.conftest import FAST

PASSWORD: Final = "correct horse battery staple"


def populate(
    url: str, names: Sequence[str], rooms: Mapping[str, Sequence[str]], devices: Sequence[tuple[str, str]] = ()
) -> str:
    """Create a store with accounts and rooms; return its URL.

    Args:
        names: accounts, with PASSWORD.
        rooms: members by room.
        devices: (name, device) pairs that have logged in before. A new device would not be sent earlier messages.
    """
    store, hashed = open_store(url), FAST.hash(PASSWORD)
    accounts = {name: store.create_account(fold(name), name, hashed, 0.0).id for name in names}
    for room, clients in rooms.items():
        store.create_room(room, room, accounts[clients[0]], 0.0)
        for name in clients:
            store.join(room, accounts[name], 1.0)
    for name, device in devices:
        store.begin_session(
            accounts[name], DeviceLogin(device, f"{name} {device}"), 0.0, Credential(password_hash=hashed)
        )
    store.close()
    return url
