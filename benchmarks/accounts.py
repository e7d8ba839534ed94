"""Accounts with live sessions, made through the store itself: `python -m benchmarks.accounts FILE COUNT UNREAD`.

Hashing thousands of passwords over the wire would take minutes. A process of its own, because it is patched and the
benchmarks are not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher

from benchmarks.server_process import TOP

PASSWORD: Final = "correct horse battery staple"  # noqa: S105
TOGETHER: Final = 500
ROOM: Final = 100
"""Members of each room."""


def name_of(number: int) -> str:
    return f"account-{number}"


def token_of(number: int) -> str:
    """The token of that account's session; of no worth outside a benchmark."""
    return f"token-of-account-{number}"


def populate(path: Path, count: int, unread: int = 0) -> str:
    """The URL of a new store with so many accounts, each with a device and a session.

    With `unread`, each has that many messages waiting from its neighbour, and as many in a room of a hundred.
    """
    command = [sys.executable, "-m", "benchmarks.accounts", str(path), str(count), str(unread)]
    subprocess.run(command, cwd=TOP, check=True)  # noqa: S603
    return f"sqlite:///{path}"


def main() -> None:
    path, count, unread = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    from gevent import monkey

    monkey.patch_all()
    from gevent.pool import Pool

    from gmessenger.chat.records import Credential, DeviceLogin, NewMessage
    from gmessenger.names import direct_key
    from gmessenger.store import open_store

    store = open_store(f"sqlite:///{path}")
    hashed = PasswordHasher().hash(PASSWORD)

    def make(number: int) -> int:
        account = store.create_account(name_of(number), name_of(number), hashed, 0.0)
        proof = Credential(password_hash=hashed)
        store.begin_session(account.id, DeviceLogin("default", token_of(number)), 0.0, proof)
        if unread:
            store.join(f"#room-{number // ROOM}", account.id)
        return account.id

    for number in range(-(-count // ROOM) if unread else 0):
        store.create_room(f"#room-{number}", f"#room-{number}", 1, 0.0)
    pool = Pool(TOGETHER)  # at one time, so that many share a commit
    ids = pool.map(make, range(count))
    for number in range(count if unread else 0):
        other = number ^ 1 if number ^ 1 < count else 0
        me, you = name_of(number), name_of(other)
        for each in range(unread):
            post = NewMessage(direct_key(me, you), me, you, f"message {each}", 0.0, ids[number])
            store.append(post, lambda *_: None)
        if number % ROOM < unread:
            room = f"#room-{number // ROOM}"
            store.append(NewMessage(room, me, room, f"message of {me}", 0.0, ids[number]), lambda *_: None)
    store.flush()
    store.close()


if __name__ == "__main__":
    main()
