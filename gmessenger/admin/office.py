"""Where an operator's wishes go: to the running server through its socket, or to the store where none runs.

A store that several servers share is never locked: whatever is changed in it, they follow.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import gevent
from gevent import socket
from msgspec import DecodeError, json

from gmessenger.admin.site import Site, site_of
from gmessenger.chat.administration import VERBS, Administration, checked
from gmessenger.chat.contract import Store
from gmessenger.chat.elsewhere import Elsewhere
from gmessenger.chat.moderation import SERVER
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.policy import Policy
from gmessenger.chat.service import Messenger
from gmessenger.cluster.contract import SharedStore, is_shared
from gmessenger.errors import (
    ERRORS,
    MessengerError,
    Refused,
    ServerRunning,
    StoreInUse,
    Unreachable,
)
from gmessenger.options import AdminOptions
from gmessenger.places import short_address
from gmessenger.store import open_store


class Office(Protocol):
    """Answers the verbs of administration. Raises what the verb raises, wherever it was done."""

    def ask(self, verb: str, *, handle: int | None = None, **arguments: Any) -> Any:
        """Have something done, and return its answer. With a `handle` it writes to that open file."""


ANSWERS_WITHIN: Final = 10.0
"""Seconds in which a server says that it is there. What it is asked to do may then take its time."""


class Counter:
    """The office of a running server: the end of its socket that is ours. Raises `StoreInUse` where nobody answers."""

    def __init__(self, sock: socket.socket, shown: str) -> None:
        self._sock = sock
        self._lines = sock.makefile("rb")
        self._wait_for_somebody(shown)

    def ask(self, verb: str, *, handle: int | None = None, **arguments: Any) -> Any:
        try:
            self._send(json.encode({"verb": verb, "arguments": arguments}) + b"\n", handle)
            answer = json.decode(self._lines.readline())
        except (OSError, DecodeError) as error:
            raise Unreachable(
                "The server stopped before it answered; the command may have been carried out."
            ) from error
        if "error" in answer:
            raise ERRORS.get(answer["error"], MessengerError)(answer["sentence"])
        return answer["answer"]

    def _send(self, line: bytes, handle: int | None) -> None:
        sent = 0
        if handle is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", handle))]
            sent = self._sock.sendmsg([line], rights)
        self._sock.sendall(line[sent:])

    def _wait_for_somebody(self, shown: str) -> None:
        self._sock.settimeout(ANSWERS_WITHIN)
        try:
            self._sock.sendall(b"{}\n")  # asks for nothing; that it is refused is answer enough
            self._lines.readline()
        except TimeoutError as error:
            sentence = f"The server of {shown} is running and did not answer within {ANSWERS_WITHIN:g} s."
            raise StoreInUse(f"{sentence} Nothing was done.") from error
        except OSError:
            pass  # it stops; whoever asks for something is told
        self._sock.settimeout(None)


class BackOffice:
    """The office of a store that no server on this machine serves."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def ask(self, verb: str, *, handle: int | None = None, **arguments: Any) -> Any:
        given = checked(verb, arguments)
        return VERBS[verb].ask(self._administration, given, handle)


class Branch(BackOffice):
    """The office of a store that servers elsewhere may serve: what only they can do, they are told. Who is there, and
    how many connections were closed, is not known here: None.
    """

    def __init__(self, administration: Administration, messenger: Messenger) -> None:
        super().__init__(administration)
        self._moderation = messenger.moderation

    def ask(self, verb: str, *, handle: int | None = None, **arguments: Any) -> Any:
        if verb == "kick":
            arguments = checked(verb, arguments)
            return self._moderation.kick_elsewhere(SERVER, arguments["name"], arguments["reason"])
        answer = super().ask(verb, handle=handle, **arguments)
        return answer if verb != "ban" else None


class Announced(Elsewhere):
    """What is asked of other servers is left for them in the store."""

    def __init__(self, store: SharedStore) -> None:
        super().__init__()
        self._store = store

    def kick(self, key: str, by: str, reason: str) -> None:
        self._store.announce("kick", [key], {"by": by, "reason": reason})


@contextmanager
def open_office(options: AdminOptions) -> Iterator[Office]:
    """The office of a store that there is. Raises `StoreInUse` where a process has it that does not answer,
    `FileProblem` where there is none, and as `open_store`.
    """
    site = site_of(options)
    sock = reach(site)
    if sock is not None:
        with sock:
            counter = Counter(sock, site.shown)
            if site.file is not None or _serves(counter, site):
                yield counter
                return
    site.check_it_is_there()
    store = open_store(site.url)
    try:
        yield _back_office(store)
    finally:
        store.close()


def _back_office(store: Store) -> BackOffice:
    passwords = Passwords()
    elsewhere = Announced(store) if is_shared(store) else None
    messenger = Messenger(
        Policy(), store, time.time, gevent.spawn_later, _spawn, passwords, time.monotonic, elsewhere=elsewhere
    )
    administration = Administration(messenger, store, passwords, time.time)
    return Branch(administration, messenger) if elsewhere is not None else BackOffice(administration)


def _serves(counter: Counter, site: Site) -> bool:
    """Whether the server that was reached has the store that is meant."""
    return bool(counter.ask("status")["store"]["url"] == site.shown)


@contextmanager
def open_counter(options: AdminOptions) -> Iterator[Office]:
    """The office of the running server, and of no other. Raises `Unreachable` where none runs."""
    site = site_of(options)
    sock = reach(site)
    if sock is None:
        raise Unreachable(f"No server runs on {site.served}.")
    with sock:
        yield Counter(sock, site.shown)


def need_stopped(options: AdminOptions, what: str) -> Site:
    """The store, which no server on this machine serves now. Raises `ServerRunning`."""
    site = site_of(options)
    if (sock := reach(site)) is not None:
        sock.close()
        raise ServerRunning(f"{what} needs the server stopped, and one is running on {site.served}.")
    return site


def need_running(options: AdminOptions, what: str) -> None:
    """Raises `Unreachable` where no server serves the store. (Of a store that is shared, nobody knows here.)"""
    site = site_of(options)
    if site.file is None:
        return
    if (sock := reach(site)) is None:
        raise Unreachable(f"{what} needs a running server, and none runs on {site.served}.")
    sock.close()


def reach(site: Site) -> socket.socket | None:
    """A connection to the server of a store; None where there is no server."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_address(site.socket) as address:
            sock.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise Refused(f"Cannot reach the server of {site.served}: {error.strerror}.") from error
    return sock


def _spawn(what: str, function: Any, *arguments: Any) -> object:
    return gevent.spawn(function, *arguments)
