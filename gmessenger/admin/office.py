"""Where an operator's wishes go: to the running server through its socket, or to the store where none runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import gevent
from gevent import socket
from msgspec import DecodeError, json

from gmessenger.chat.administration import VERBS, Administration
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.policy import Policy
from gmessenger.chat.service import Messenger
from gmessenger.errors import (
    ERRORS,
    ConfigProblem,
    FileProblem,
    MessengerError,
    Refused,
    ServerRunning,
    StoreInUse,
    Unreachable,
)
from gmessenger.places import short_address, socket_beside
from gmessenger.store import file_of, open_store


class Office(Protocol):
    """Answers the verbs of administration. Raises what the verb raises, wherever it was done."""

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Have something done, and return its answer."""


ANSWERS_WITHIN: Final = 10.0
"""Seconds in which a server says that it is there. What it is asked to do may then take its time."""


class Counter:
    """The office of a running server: the end of its socket that is ours. Raises `StoreInUse` where nobody answers."""

    def __init__(self, sock: socket.socket, file: Path) -> None:
        self._sock = sock
        self._lines = sock.makefile("rb")
        self._wait_for_somebody(file)

    def ask(self, verb: str, **arguments: Any) -> Any:
        try:
            self._sock.sendall(json.encode({"verb": verb, "arguments": arguments}) + b"\n")
            answer = json.decode(self._lines.readline())
        except (OSError, DecodeError) as error:
            raise Unreachable("The server stopped before it answered; it may have done what it was asked.") from error
        if "error" in answer:
            raise ERRORS.get(answer["error"], MessengerError)(answer["sentence"])
        return answer["answer"]

    def _wait_for_somebody(self, file: Path) -> None:
        self._sock.settimeout(ANSWERS_WITHIN)
        try:
            self._sock.sendall(b"{}\n")  # asks for nothing; that it is refused is answer enough
            self._lines.readline()
        except TimeoutError as error:
            sentence = f"The server of {file} is running and did not answer within {ANSWERS_WITHIN:g} s."
            raise StoreInUse(f"{sentence} Nothing was done.") from error
        except OSError:
            pass  # it stops; whoever asks for something is told
        self._sock.settimeout(None)


class BackOffice:
    """The office of a store that no server serves."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def ask(self, verb: str, **arguments: Any) -> Any:
        return VERBS[verb](self._administration, **arguments)


@contextmanager
def open_office(url: str) -> Iterator[Office]:
    """The office of a store that there is. Raises `StoreInUse` where a process has it that does not answer,
    `FileProblem` where there is none, and as `open_store`.
    """
    file = store_file(url)
    if (sock := reach(file)) is not None:
        with sock:
            yield Counter(sock, file)
        return
    if not file.exists():
        # Made here, it would most likely not be the one that was meant.
        raise FileProblem(f"There is no store {file}. The server makes it at its first start; --store names another.")
    store = open_store(url)
    try:
        passwords = Passwords()
        messenger = Messenger(Policy(), store, time.time, gevent.spawn_later, _spawn, passwords)
        yield BackOffice(Administration(messenger, store, passwords, time.time))
    finally:
        store.close()


@contextmanager
def open_counter(url: str) -> Iterator[Office]:
    """The office of the running server, and of no other. Raises `Unreachable` where none runs."""
    file = store_file(url)
    sock = reach(file)
    if sock is None:
        raise Unreachable(f"No server runs on {file}.")
    with sock:
        yield Counter(sock, file)


def need_stopped(url: str, what: str) -> Path:
    """The store's file, which no server serves now. Raises `ServerRunning`."""
    file = store_file(url)
    if (sock := reach(file)) is not None:
        sock.close()
        raise ServerRunning(f"{what} needs the server stopped, and one is running on {file}.")
    return file


def need_running(url: str, what: str) -> None:
    """Raises `Unreachable` where no server serves the store."""
    file = store_file(url)
    if (sock := reach(file)) is None:
        raise Unreachable(f"{what} needs a running server, and none runs on {file}.")
    sock.close()


def store_file(url: str) -> Path:
    """Raises `ConfigProblem` for a store that has none."""
    file = file_of(url)
    if file is None:
        raise ConfigProblem("What is kept in memory can be reached by its own server only.")
    return file


def reach(file: Path) -> socket.socket | None:
    """A connection to the server of a store; None where there is no server."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_address(socket_beside(file)) as address:
            sock.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise Refused(f"Cannot reach the server of {file}: {error.strerror}.") from error
    return sock


def _spawn(what: str, function: Any, *arguments: Any) -> object:
    return gevent.spawn(function, *arguments)
