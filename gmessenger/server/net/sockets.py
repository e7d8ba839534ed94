"""Listening sockets: on all interfaces, on a host name's addresses, or at a path."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from gevent import socket

from gmessenger.errors import ListenError
from gmessenger.hosts import ascii_host, strip_brackets
from gmessenger.paths import short_socket_path

UNIX_PREFIX: Final = "unix:"
UCRED: Final = struct.Struct("iII")
"""`struct ucred`: process, user and group id."""
BACKLOG = 1024
"""Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`)."""
UNIX_BACKLOG: Final = 16
OWNER_ONLY_UMASK: Final = 0o177
"""The umask for a Unix socket that only its owner may connect to."""
GROUP_UMASK: Final = 0o117
"""The umask for one that the group may connect to, too."""
UNAVAILABLE_ERRNOS: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""Errors: this machine does not have the address, or its address family."""
MAX_FREE_PORT_ATTEMPTS: Final = 16
"""Attempts to find a port that is free on all addresses of a name."""

FamilyAndAddress: TypeAlias = tuple[int, tuple[Any, ...]]
"""A socket family and an address of it."""


def listen_tcp(ip: str, port: int) -> list[socket.socket]:
    """Bind sockets to an address, or to all addresses of a host name that this machine has.

    Args:
        ip: an address or a name; empty for all interfaces.
        port: 0 for a free port, the same for all sockets.

    Raises `ListenError`, whose message names both.
    """
    try:
        if not ip:
            return [_bind_all_interfaces(port)]
        return _bind_name(ip, port)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is not an address"
        raise ListenError(f"Cannot listen on port {port} of {ip or 'this machine'}: {reason}.") from error


def listen_on(address: str, purpose: str) -> list[socket.socket]:
    """Bind sockets at `HOST:PORT` (port 0: a free one) or `unix:PATH`; errors name their `purpose`.

    A socket file that no process listens on is replaced. Raises `ListenError`.
    """
    path = unix_socket_path(address)
    if path is not None:
        if is_listening(path):
            raise ListenError(f"Cannot listen on the {purpose} socket {path}: another process is listening on it.")
        return [listen_unix(path, purpose, GROUP_UMASK, replace=path.is_socket())]
    host, _, port = address.rpartition(":")
    return listen_tcp(strip_brackets(host), int(port))


def unix_socket_path(address: str) -> Path | None:
    """Return the path in `unix:PATH`; None for another address."""
    return Path(address.removeprefix(UNIX_PREFIX)) if address.startswith(UNIX_PREFIX) else None


def listen_unix(path: Path, purpose: str, umask: int, *, replace: bool) -> socket.socket:
    """Bind a Unix socket, with `replace` in place of a file there. Raises `ListenError`.

    The umask of the process is changed meanwhile, so nothing else may run: this never waits.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(umask)
    try:
        if replace:
            path.unlink(missing_ok=True)
        with short_socket_path(path) as address:
            sock.bind(address)
        sock.listen(UNIX_BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(f"Cannot listen on the {purpose} socket {path}: {error.strerror or error}.") from error
    finally:
        os.umask(before)
    return sock


def find_listening_process(path: Path) -> str | None:
    """Return the process that listens on a Unix socket, `unknown` if it has no number; None if none does."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        with short_socket_path(path) as address:
            sock.connect(address)
        process = peer_credentials(sock).pid
        return str(process) if process is not None else "unknown"
    return None


class PeerCredentials(NamedTuple):
    """Process and user at the other end of a Unix socket when it connected; None if unknown."""

    pid: int | None
    uid: int | None


def peer_credentials(sock: socket.socket) -> PeerCredentials:
    """Return the credentials of the other end of a Unix socket. Never raises."""
    with contextlib.suppress(OSError, AttributeError):
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        process, user, _ = UCRED.unpack(found)
        return PeerCredentials(process, user)
    return PeerCredentials(None, None)


def make_socket_directory(path: Path) -> None:
    """Create a directory that only its owner may use, unless it exists. Raises `ListenError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ListenError(f"Cannot make {path} for the control socket: {error.strerror or error}.") from error


def address_of(sock: socket.socket) -> str:
    """Return where a socket listens: `address:port`, or a path."""
    address = sock.getsockname()
    return address if isinstance(address, str) else format_address(address)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file; None if there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class SocketFile:
    """The file of a Unix socket that this process listens on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = file_identity(path)

    def remove(self) -> None:
        """Remove the file, unless it was replaced: then it is another server's."""
        if self._identity is not None and file_identity(self._path) == self._identity:
            with contextlib.suppress(OSError):
                self._path.unlink()


def socket_file_of(address: str) -> SocketFile | None:
    """Return the file of a socket that listens at `unix:PATH`; None for another address."""
    path = unix_socket_path(address)
    return SocketFile(path) if path is not None else None


def format_address(address: tuple[str, int]) -> str:
    """Return `address:port`, without the prefix that IPv6 sockets give to IPv4 addresses."""
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def is_listening(path: Path) -> bool:
    """Return whether the file is a Unix socket that a process listens on."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, short_socket_path(path) as address:
        return bool(sock.connect_ex(address) == 0)


def _bind_all_interfaces(port: int) -> socket.socket:
    try:
        return _bind(socket.AF_INET6, ("::", port))
    except OSError as error:
        if error.errno not in UNAVAILABLE_ERRNOS:
            raise
        return _bind(socket.AF_INET, ("0.0.0.0", port))


def _resolve(ip: str, port: int) -> list[FamilyAndAddress]:
    host = ascii_host(ip)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _bind_name(ip: str, port: int) -> list[socket.socket]:
    addresses = _resolve(ip, port)
    tries = 1 if port else MAX_FREE_PORT_ATTEMPTS
    while True:
        tries -= 1
        try:
            return _bind_each(addresses)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not tries:
                raise


def _bind_each(addresses: Sequence[FamilyAndAddress]) -> list[socket.socket]:
    """Bind those addresses that this machine has; raise OSError if it has none of them.

    `localhost` is ::1 and 127.0.0.1 in most hosts files, even where IPv6 is switched off. For port 0, all sockets get
    the free port of the first.
    """
    sockets: list[socket.socket] = []
    missing = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    try:
        for family, (host, port, *rest) in addresses:
            free = sockets[0].getsockname()[1] if sockets and not port else port
            try:
                sockets.append(_bind(family, (host, free, *rest)))
            except OSError as error:
                if error.errno not in UNAVAILABLE_ERRNOS:
                    raise
                missing = error
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise missing
    return sockets


def _set_dual_stack(sock: socket.socket, enabled: bool) -> None:
    """Set whether an IPv6 socket accepts IPv4, too. Raises OSError if that cannot be changed."""
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not enabled)
    except OSError:
        if bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) == enabled:
            raise


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(OSError):  # without it, a restart may have to wait for the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            _set_dual_stack(sock, address[0] == "::")
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
