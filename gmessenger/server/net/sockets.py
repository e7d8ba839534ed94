"""Listening sockets: every interface by default, IPv4 and IPv6 through one socket where the system has both; every
address of a host name; and sockets that are files.
"""

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
"""`struct ucred`: process, user, group."""
BACKLOG = 1024
"""Connections that may wait to be accepted; the system may cut it to less (`net.core.somaxconn`)."""
UNIX_BACKLOG: Final = 16
OWNER_ONLY_UMASK: Final = 0o177
"""What is masked from the mode of a socket that only its owner may connect to."""
GROUP_UMASK: Final = 0o117
UNAVAILABLE_ERRNOS: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""Errors that say that this machine does not have an address, or nothing of its family."""
MAX_FREE_PORT_ATTEMPTS: Final = 16
"""A port that is free on the first address of a name may be taken on the next one."""

FamilyAndAddress: TypeAlias = tuple[int, tuple[Any, ...]]
"""A socket family and an address of it."""


def listen_tcp(ip: str, port: int) -> list[socket.socket]:
    """Bind sockets to an address, or to every address of a host name that this machine has.

    `ip` empty means every interface. With port 0 all sockets get the same free port. Raises `ListenError` with a
    sentence that names both.
    """
    try:
        if not ip:
            return [_bind_all_interfaces(port)]
        return _bind_name(ip, port)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is not an address"
        raise ListenError(f"Cannot listen on port {port} of {ip or 'this machine'}: {reason}.") from error


def listen_on(address: str, purpose: str) -> list[socket.socket]:
    """Bind sockets at `HOST:PORT` (port 0: a free one) or `unix:PATH`; `what` names their purpose in errors.

    A socket file that no process listens on is replaced. Raises `ListenError`.
    """
    if address.startswith(UNIX_PREFIX):
        path = Path(address.removeprefix(UNIX_PREFIX))
        if is_listening(path):
            raise ListenError(f"Cannot listen on the {purpose} socket {path}: another process is listening on it.")
        return [listen_unix(path, purpose, GROUP_UMASK, replace=path.is_socket())]
    host, _, port = address.rpartition(":")
    return listen_tcp(strip_brackets(host), int(port))


def listen_unix(path: Path, purpose: str, umask: int, *, replace: bool) -> socket.socket:
    """A socket that is a file, of a mode without what is `masked`. Raises `ListenError`."""
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
    """The process that listens on the socket that a file is, if there is one."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        with short_socket_path(path) as address:
            sock.connect(address)
        process = peer_credentials(sock).pid
        return str(process) if process is not None else "unknown"
    return None


class PeerCredentials(NamedTuple):
    """The process at the other end of a Unix socket when it connected; None where the system does not tell."""

    pid: int | None
    uid: int | None


def peer_credentials(sock: socket.socket) -> PeerCredentials:
    """Who is at the other end of a Unix socket. Never raises."""
    with contextlib.suppress(OSError, AttributeError):
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        process, user, _ = UCRED.unpack(found)
        return PeerCredentials(process, user)
    return PeerCredentials(None, None)


def make_socket_directory(path: Path) -> None:
    """A directory for its owner, where there is none. Raises `ListenError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ListenError(f"Cannot make {path} for the control socket: {error.strerror or error}.") from error


def address_of(sock: socket.socket) -> str:
    """Where a socket listens: `address:port`, or a path."""
    address = sock.getsockname()
    return address if isinstance(address, str) else format_address(address)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what lies at a path; None where there is nothing."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def remove_socket_file(path: Path, identity: tuple[int, int] | None) -> None:
    """Remove a socket's file, unless there is another by now: that one is another server's."""
    if identity is not None and file_identity(path) == identity:
        with contextlib.suppress(OSError):
            path.unlink()


def format_address(address: tuple[str, int]) -> str:
    """`address:port` for the log, without the prefix by which IPv6 sockets show IPv4 peers."""
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def is_listening(path: Path) -> bool:
    """Whether a process listens on the socket that a file is, if it is one."""
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
    """Bind each address, but for those that this machine does not have, as long as it has one of them.

    `localhost` is ::1 and 127.0.0.1 in most hosts files, also where IPv6 is switched off. A port of 0 becomes the free
    port that the first address got.
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
        for each in sockets:
            each.close()
        raise
    if not sockets:
        raise missing
    return sockets


def _set_dual_stack(sock: socket.socket, both: bool) -> None:
    """Say whether IPv4 comes through a socket of IPv6, too. Raises OSError where it stays otherwise."""
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
    except OSError:
        if bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) == both:
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
