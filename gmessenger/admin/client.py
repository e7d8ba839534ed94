"""Which store is meant, and where the server is to be found that has it.

Where an operator's wishes go: to the running server through its socket, or to the store where none runs.

A store that several servers share is never locked: whatever is changed in it, they follow.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import gevent
from gevent import socket
from msgspec import DecodeError, json

from gmessenger.chat.admin import ADMIN_METHODS, AdminService, check_arguments
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.moderation import SERVER_OWNER
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.peers import Peers
from gmessenger.chat.policy import Policy
from gmessenger.chat.storage import Store
from gmessenger.cluster.interfaces import SharedStore, is_shared
from gmessenger.config.options import AdminOptions
from gmessenger.errors import (
    ERRORS,
    ConfigError,
    FileError,
    MessengerError,
    Refused,
    ServerRunning,
    StoreLocked,
    Unreachable,
)
from gmessenger.paths import control_socket, short_socket_path
from gmessenger.store import MEMORY_URL, file_from_url, open_store, require_postgres_driver
from gmessenger.urls import redact_url


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """`file` is None for a store that is in none, and that several servers may share; `shown` is what people may see of
    where it is, and `served` the same of the server that is asked.
    """

    url: str
    file: Path | None
    port: int
    socket: Path

    @property
    def display_name(self) -> str:
        return redact_url(self.url) if self.file is None else str(self.file)

    @property
    def server_name(self) -> str:
        return f"port {self.port} of this machine with {self.display_name}" if self.file is None else self.display_name

    def require_store(self) -> None:
        """Raises `FileError` where there is no store, and as `open_store`."""
        if self.file is None:
            with require_postgres_driver():
                from gmessenger.store.postgres.verify import inspect_database
            there = inspect_database(self.url).schema is not None
        else:
            there = self.file.exists()
        if not there:
            # Made here, it would most likely not be the one that was meant.
            raise FileError(
                f"There is no gmessenger store at {self.display_name}. The server creates it at its first start; "
                "--store names another."
            )


def store_location(options: AdminOptions) -> StoreLocation:
    """The store of the options. Raises as `location_from_url`."""
    return location_from_url(options.store_url, options.port)


def location_from_url(url: str, port: int) -> StoreLocation:
    """Return the location of a store from its URL. Raises `ConfigError` for `memory:` or a URL that names no store."""
    if url == MEMORY_URL:
        raise ConfigError("A store in memory can be used by its own server only.")
    file = file_from_url(url)
    return StoreLocation(url, file, port, control_socket(file, port))


class AdminClient(Protocol):
    """Calls administration methods. Raises their errors, whether they ran in the server or in this process."""

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        """Call a method and return its result. A method that writes a file writes to the descriptor `fd`."""


RESPONSE_TIMEOUT: Final = 10.0
"""Seconds in which a server has to show that it is running; the command itself may then take longer."""


class SocketAdminClient:
    """Connect to the control socket of a running server. Raises `StoreLocked` if it does not answer."""

    def __init__(self, sock: socket.socket, location: str) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb")
        self._wait_for_server(location)

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        try:
            self._send(json.encode({"verb": method, "arguments": arguments}) + b"\n", fd)
            answer = json.decode(self._reader.readline())
        except (OSError, DecodeError) as error:
            raise Unreachable(
                "The server stopped before it answered; the command may have been carried out."
            ) from error
        if "error" in answer:
            raise ERRORS.get(answer["error"], MessengerError)(answer["sentence"])
        return answer["answer"]

    def _send(self, line: bytes, fd: int | None) -> None:
        sent = 0
        if fd is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
            sent = self._sock.sendmsg([line], rights)
        self._sock.sendall(line[sent:])

    def _wait_for_server(self, location: str) -> None:
        self._sock.settimeout(RESPONSE_TIMEOUT)
        try:
            self._sock.sendall(b"{}\n")  # asks for nothing; that it is refused is answer enough
            self._reader.readline()
        except TimeoutError as error:
            sentence = f"The server of {location} is running and did not answer within {RESPONSE_TIMEOUT:g} s."
            raise StoreLocked(f"{sentence} Nothing was done.") from error
        except OSError:
            pass  # the server is stopping; the next request fails with an error of its own
        self._sock.settimeout(None)


class LocalAdminClient:
    """The office of a store that no server on this machine serves."""

    def __init__(self, service: AdminService) -> None:
        self._service = service

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        given = check_arguments(method, arguments)
        return ADMIN_METHODS[method].call(self._service, given, fd)


class SharedStoreAdminClient(LocalAdminClient):
    """The office of a store that servers elsewhere may serve: what only they can do, they are told. Who is there, and
    how many connections were closed, is not known here: None.
    """

    def __init__(self, service: AdminService, messenger: Messenger) -> None:
        super().__init__(service)
        self._moderation = messenger.moderation

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        if method == "kick":
            arguments = check_arguments(method, arguments)
            return self._moderation.kick_remote(SERVER_OWNER, arguments["name"], arguments["reason"])
        answer = super().call(method, fd=fd, **arguments)
        return answer if method != "ban" else None


class RecordingPeers(Peers):
    """Write requests to other servers into the store, from where they read them."""

    def __init__(self, store: SharedStore) -> None:
        super().__init__()
        self._store = store

    def kick(self, key: str, by: str, reason: str) -> None:
        self._store.publish_change("kick", [key], {"by": by, "reason": reason})


@contextmanager
def connect(options: AdminOptions) -> Iterator[AdminClient]:
    """The office of a store that there is. Raises `StoreLocked` where a process has it that does not answer,
    `FileError` where there is none, and as `open_store`.
    """
    site = store_location(options)
    sock = connect_socket(site)
    if sock is not None:
        with sock:
            counter = SocketAdminClient(sock, site.display_name)
            if site.file is not None or _serves_store(counter, site):
                yield counter
                return
    site.require_store()
    store = open_store(site.url)
    try:
        yield _make_local_client(store)
    finally:
        store.close()


def _make_local_client(store: Store) -> LocalAdminClient:
    passwords = PasswordVerifier()
    elsewhere = RecordingPeers(store) if is_shared(store) else None
    messenger = Messenger(
        Policy(), store, time.time, gevent.spawn_later, _spawn, passwords, time.monotonic, peers=elsewhere
    )
    administration = AdminService(messenger, store, passwords, time.time)
    return (
        SharedStoreAdminClient(administration, messenger) if elsewhere is not None else LocalAdminClient(administration)
    )


def _serves_store(client: SocketAdminClient, location: StoreLocation) -> bool:
    """Whether the server that was reached has the store that is meant."""
    return bool(client.call("status")["store"]["url"] == location.display_name)


@contextmanager
def connect_running(options: AdminOptions) -> Iterator[AdminClient]:
    """The office of the running server, and of no other. Raises `Unreachable` where none runs."""
    site = store_location(options)
    sock = connect_socket(site)
    if sock is None:
        raise Unreachable(f"No server runs on {site.server_name}.")
    with sock:
        yield SocketAdminClient(sock, site.display_name)


def require_stopped(options: AdminOptions, command: str) -> StoreLocation:
    """The store, which no server on this machine serves now. Raises `ServerRunning`."""
    site = store_location(options)
    if (sock := connect_socket(site)) is not None:
        sock.close()
        raise ServerRunning(f"{command} needs the server stopped, and one is running on {site.server_name}.")
    return site


def require_running(options: AdminOptions, command: str) -> None:
    """Check that a server is running on the store: raises `Unreachable` if not. A shared store is not checked."""
    site = store_location(options)
    if site.file is None:
        return
    if (sock := connect_socket(site)) is None:
        raise Unreachable(f"{command} needs a running server, and none runs on {site.server_name}.")
    sock.close()


def connect_socket(location: StoreLocation) -> socket.socket | None:
    """A connection to the server of a store; None where there is no server."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_socket_path(location.socket) as address:
            sock.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise Refused(f"Cannot reach the server of {location.server_name}: {error.strerror}.") from error
    return sock


def _spawn(what: str, function: Any, *arguments: Any) -> object:
    return gevent.spawn(function, *arguments)
