"""Clients of the administration methods: over the control socket of a running server, or on the store itself.

`connect` chooses: a running server first, otherwise the store of the options is opened in this process. A PostgreSQL
store is never locked: servers that share it follow what is changed in it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import gevent
from gevent import socket
from msgspec import DecodeError, json, to_builtins

from gmessenger.chat.admin import ADMIN_METHODS, AdminService, check_arguments
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.peers import Peers
from gmessenger.chat.policy import Policy
from gmessenger.chat.storage import Store
from gmessenger.cluster.interfaces import ChangeDetails, SharedStore, is_shared
from gmessenger.config.options import AdminOptions
from gmessenger.constants import MEMORY_URL, SERVER_OWNER
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
from gmessenger.store import file_from_url, open_store, require_postgres_driver
from gmessenger.urls import redact_url


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """A store and the control socket of its server.

    `file`: None for PostgreSQL, which several servers may share.
    """

    url: str
    file: Path | None
    port: int
    socket: Path

    @property
    def display_name(self) -> str:
        """The file, or the URL without its password."""
        return redact_url(self.url) if self.file is None else str(self.file)

    @property
    def server_name(self) -> str:
        """The server on this machine that has the store, for messages."""
        return f"port {self.port} of this machine with {self.display_name}" if self.file is None else self.display_name

    def require_store(self) -> None:
        """Check that the store exists. Raises `FileError` if not, and what `open_store` raises."""
        if self.file is None:
            with require_postgres_driver():
                from gmessenger.store.postgres.verify import inspect_database
            exists = inspect_database(self.url).schema is not None
        else:
            exists = self.file.exists()
        if not exists:
            # Creating it here would hide a wrong --store or -c.
            raise FileError(
                f"There is no gmessenger store at {self.display_name}. The server creates it at its first start; "
                "--store names another."
            )


def store_location(options: AdminOptions) -> StoreLocation:
    """Return the location of the store that the options name. Raises what `location_from_url` raises."""
    return location_from_url(options.store_url, options.port)


def location_from_url(url: str, port: int) -> StoreLocation:
    """Return the location of a store.

    Raises `ConfigError` for `memory:` or a URL that names no store.
    """
    if url == MEMORY_URL:
        raise ConfigError("A store in memory can be used by its own server only.")
    file = file_from_url(url)
    return StoreLocation(url, file, port, control_socket(file, port))


class AdminClient(Protocol):
    """Calls methods of `chat.admin.ADMIN_METHODS`; raises their errors, wherever they ran."""

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        """Call a method, block until it is done, and return its result (see `parse_result`).

        `fd`: the open file for a method that writes one.
        """


RESPONSE_TIMEOUT: Final = 10.0
"""Seconds for a server to answer the first request, which asks for nothing; a method may take any time."""


class SocketAdminClient:
    """Calls methods in a running server, over its control socket."""

    def __init__(self, sock: socket.socket, location: str) -> None:
        """Wait for an answer. Raises `StoreLocked`, which names `location`, after RESPONSE_TIMEOUT."""
        self._sock = sock
        self._reader = sock.makefile("rb")
        self._wait_for_server(location)

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        try:
            self._send(json.encode({"verb": method, "arguments": arguments}) + b"\n", fd)
            reply = json.decode(self._reader.readline())
        except (OSError, DecodeError) as error:
            raise Unreachable(
                "The server stopped before it answered; the command may have been carried out."
            ) from error
        if "error" in reply:
            raise ERRORS.get(reply["error"], MessengerError)(reply["sentence"])
        return reply["answer"]

    def _send(self, line: bytes, fd: int | None) -> None:
        sent = 0
        if fd is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
            sent = self._sock.sendmsg([line], rights)
        self._sock.sendall(line[sent:])

    def _wait_for_server(self, location: str) -> None:
        self._sock.settimeout(RESPONSE_TIMEOUT)
        try:
            self._sock.sendall(b"{}\n")  # any reply will do: an error shows that the server is running
            self._reader.readline()
        except TimeoutError as error:
            problem = f"The server of {location} is running and did not answer within {RESPONSE_TIMEOUT:g} s."
            raise StoreLocked(f"{problem} Nothing was done.") from error
        except OSError:
            pass  # the server is stopping; the next request fails with an error of its own
        self._sock.settimeout(None)


class LocalAdminClient:
    """Calls methods in this process, on a store that no server on this machine has open."""

    def __init__(self, service: AdminService) -> None:
        self._service = service

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        return to_builtins(ADMIN_METHODS[method].call(self._service, check_arguments(method, arguments), fd))


class SharedStoreAdminClient(LocalAdminClient):
    """Calls methods on a store that other machines' servers may have open.

    `RecordingPeers` notifies these servers. The result of `kick` and `ban` is None: how many connections they close is
    unknown here.
    """

    def __init__(self, service: AdminService) -> None:
        super().__init__(service)
        self._moderation = service.moderation

    def call(self, method: str, *, fd: int | None = None, **arguments: Any) -> Any:
        if method == "kick":
            arguments = check_arguments(method, arguments)
            return self._moderation.kick_remote(SERVER_OWNER, arguments["name"], arguments["reason"])
        result = super().call(method, fd=fd, **arguments)
        return result if method != "ban" else None


class RecordingPeers(Peers):
    """Publishes changes for other servers in the store, where their `ChangeFollower` reads them."""

    def __init__(self, store: SharedStore) -> None:
        super().__init__()
        self._store = store

    def kick(self, key: str, by: str, reason: str) -> None:
        self._store.publish_change("kick", [key], ChangeDetails(by, reason))


@contextmanager
def connect(options: AdminOptions) -> Iterator[AdminClient]:
    """Connect to the running server of the options' store, or open the store itself.

    Raises `StoreLocked` if a server has the store and does not answer, `FileError` if there is no store, and what
    `open_store` raises.
    """
    location = store_location(options)
    sock = connect_socket(location)
    if sock is not None:
        with sock:
            client = SocketAdminClient(sock, location.display_name)
            if location.file is not None or _serves_store(client, location):
                yield client
                return
    location.require_store()
    store = open_store(location.url)
    try:
        yield _make_local_client(store)
    finally:
        store.close()


def _make_local_client(store: Store) -> LocalAdminClient:
    passwords = PasswordVerifier()
    peers = RecordingPeers(store) if is_shared(store) else None
    messenger = Messenger(
        Policy(), store, time.time, gevent.spawn_later, _spawn, passwords, time.monotonic, peers=peers
    )
    service = AdminService(messenger, store, passwords, time.time)
    return SharedStoreAdminClient(service) if peers is not None else LocalAdminClient(service)


def _serves_store(client: SocketAdminClient, location: StoreLocation) -> bool:
    """Return whether the server has this store: a socket of PostgreSQL is known by its port only."""
    return bool(client.call("status")["store"]["url"] == location.display_name)


@contextmanager
def connect_running(options: AdminOptions) -> Iterator[AdminClient]:
    """Connect to the running server. Raises `Unreachable` if none runs."""
    location = store_location(options)
    sock = connect_socket(location)
    if sock is None:
        raise Unreachable(f"No server runs on {location.server_name}.")
    with sock:
        yield SocketAdminClient(sock, location.display_name)


def require_stopped(options: AdminOptions, command: str) -> StoreLocation:
    """Return the location of the store. Raises `ServerRunning` if a server on this machine has it open."""
    location = store_location(options)
    if (sock := connect_socket(location)) is not None:
        sock.close()
        raise ServerRunning(f"{command} needs the server stopped, and one is running on {location.server_name}.")
    return location


def require_running(options: AdminOptions, command: str) -> None:
    """Raise `Unreachable` if no server is running on the store. A shared store is not checked."""
    location = store_location(options)
    if location.file is not None:
        if (sock := connect_socket(location)) is None:
            raise Unreachable(f"{command} needs a running server, and none runs on {location.server_name}.")
        sock.close()


def connect_socket(location: StoreLocation) -> socket.socket | None:
    """Connect to a control socket; return None if no server listens. Raises `Refused`."""
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


def _spawn(description: str, function: Callable[..., object], *arguments: Any) -> object:
    """Run a function in a greenlet, as a server's supervisor does; here nothing reports its death."""
    return gevent.spawn(function, *arguments)
