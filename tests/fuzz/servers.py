"""Servers for fuzz targets: each in this process, with accounts whose passwords are cheap to check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from argon2 import PasswordHasher

from gmessenger import names
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.config.options import ServerOptions
from gmessenger.server.server import Server

FAST_HASHER: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORDS: Final = PasswordVerifier(FAST_HASHER)
"""Shared by all servers that are started here, as its threads outlive them."""
PASSWORD: Final = "correct horse"
TIMEOUT: Final = 20.0
"""Seconds in which a server must respond."""


@contextmanager
def server(**options: Any) -> Iterator[Server]:
    app = Server(ServerOptions(ip="127.0.0.1", port=0, close_timeout=0.2, drain_timeout=1.0, **options), PASSWORDS)
    app.start()
    try:
        yield app
        assert app.supervisor.failure_count == 0, "something failed"
    finally:
        app.stop("the fuzzer is done")


def leaks(app: Server) -> dict[str, Any]:
    """Return the counts that are not zero after all connections have ended."""
    messenger = app.messenger
    rooms = messenger.membership._quotas
    counts = {
        "connections": app.connection_count,
        "sessions": len(list(messenger.router)),
        "places": len(app.acceptor._limiter),
        "hashes": messenger.authenticator._login_throttle._passwords.pending_count,
        "rooms being made": rooms.pending_creations.total()
        + rooms.pending_joins_by_name.total()
        + rooms.pending_joins_by_room.total(),
        "tokens of guests": len(messenger.authenticator.guests),
        "guests in rooms": sum(len(room.guests) for room in messenger.rooms),
    }
    return {kind: count for kind, count in counts.items() if count}


def add_account(app: Server, name: str) -> None:
    """Make an account of a server, with PASSWORD."""
    account = app.store.create_account(names.fold(name), name, FAST_HASHER.hash(PASSWORD), 0.0)
    if name == "oper":
        app.store.set_role(account.id, "operator")
        account.role = "operator"
    app.messenger.authenticator.add_account(account)
