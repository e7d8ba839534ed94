"""Fill a store with accounts and sessions: `python -m benchmarks.accounts FILE COUNT UNREAD`.

Registering thousands over the wire would take minutes, for hashing. A process of its own, because it is patched by
gevent and the benchmarks are not.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher

from benchmarks.server_process import TOP

PASSWORD: Final = "correct horse battery staple"  # noqa: S105
CONCURRENCY: Final = 500
ROOM_SIZE: Final = 100
"""Members of each room."""


def account_name(number: int) -> str:
    return f"account-{number}"


def account_token(number: int) -> str:
    """Return the session token of an account."""
    return f"token-of-account-{number}"


def populate(path: Path, count: int, unread: int = 0) -> str:
    """Fill a new store with accounts that have a device and a session; return its URL.

    `unread`: messages that wait for each account in a direct conversation, and as many in a room of ROOM_SIZE.
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
    password_hash = PasswordHasher().hash(PASSWORD)

    def make(number: int) -> int:
        account = store.create_account(account_name(number), account_name(number), password_hash, time.time())
        credential = Credential(password_hash=password_hash)
        store.begin_session(account.id, DeviceLogin("default", account_token(number)), time.time(), credential)
        if unread:
            store.join(f"#room-{number // ROOM_SIZE}", account.id)
        return account.id

    for number in range(-(-count // ROOM_SIZE) if unread else 0):
        store.create_room(f"#room-{number}", f"#room-{number}", 1, 0.0)
    pool = Pool(CONCURRENCY)  # concurrently, so that many share a commit
    ids = pool.map(make, range(count))
    for number in range(count if unread else 0):
        other = number ^ 1 if number ^ 1 < count else 0
        me, you = account_name(number), account_name(other)
        for index in range(unread):
            message = NewMessage(direct_key(me, you), me, you, f"message {index}", 0.0, ids[number])
            store.append(message, lambda *_: None)
        if number % ROOM_SIZE < unread:
            room = f"#room-{number // ROOM_SIZE}"
            store.append(NewMessage(room, me, room, f"message of {me}", 0.0, ids[number]), lambda *_: None)
    store.flush()
    store.close()


if __name__ == "__main__":
    main()
