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

from gmessenger.errors import CannotListen
from gmessenger.hosts import bare_host, resolver_name
from gmessenger.places import short_address

UNIX: Final = "unix:"
PEER: Final = struct.Struct("iII")
"""`struct ucred`: process, user, group."""
BACKLOG = 1024
"""Connections that may wait to be accepted; the system may cut it to less (`net.core.somaxconn`)."""
BACKLOG_OF_FILES: Final = 16
FOR_ITS_OWNER: Final = 0o177
"""What is masked from the mode of a socket that only its owner may connect to."""
FOR_ITS_GROUP: Final = 0o117
NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""Errors that say that this machine does not have an address, or nothing of its family."""
MAX_FREE_PORT_TRIES: Final = 16
"""A port that is free on the first address of a name may be taken on the next one."""

Address: TypeAlias = tuple[int, tuple[Any, ...]]
"""A socket family and an address of it."""


def listen(ip: str, port: int) -> list[socket.socket]:
    """Bind sockets to an address, or to every address of a host name that this machine has.

    `ip` empty means every interface. With port 0 all sockets get the same free port. Raises `CannotListen` with a
    sentence that names both.
    """
    try:
        if not ip:
            return [_every_interface(port)]
        return _bind_name(ip, port)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is not an address"
        raise CannotListen(f"Cannot listen on port {port} of {ip or 'this machine'}: {reason}.") from error


def listen_at(place: str, what: str) -> list[socket.socket]:
    """Bind sockets at `HOST:PORT` (port 0: a free one) or `unix:PATH`; `what` names their purpose in errors.

    A socket file that no process listens on is replaced. Raises `CannotListen`.
    """
    if place.startswith(UNIX):
        path = Path(place.removeprefix(UNIX))
        if is_listened_at(path):
            raise CannotListen(f"Cannot listen on the {what} socket {path}: another process is listening on it.")
        return [listen_unix(path, what, FOR_ITS_GROUP, replace=path.is_socket())]
    host, _, port = place.rpartition(":")
    return listen(bare_host(host), int(port))


def listen_unix(path: Path, what: str, masked: int, *, replace: bool) -> socket.socket:
    """A socket that is a file, of a mode without what is `masked`. Raises `CannotListen`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(masked)
    try:
        if replace:
            path.unlink(missing_ok=True)
        with short_address(path) as address:
            sock.bind(address)
        sock.listen(BACKLOG_OF_FILES)
    except OSError as error:
        sock.close()
        raise CannotListen(f"Cannot listen on the {what} socket {path}: {error.strerror or error}.") from error
    finally:
        os.umask(before)
    return sock


def listener_at(path: Path) -> str | None:
    """The process that listens on the socket that a file is, if there is one."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        with short_address(path) as address:
            sock.connect(address)
        process = peer_of(sock).pid
        return str(process) if process is not None else "unknown"
    return None


class Peer(NamedTuple):
    """The process at the other end of a Unix socket when it connected; None where the system does not tell."""

    pid: int | None
    uid: int | None


def peer_of(sock: socket.socket) -> Peer:
    """Who is at the other end of a Unix socket. Never raises."""
    with contextlib.suppress(OSError, AttributeError):
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        process, user, _ = PEER.unpack(found)
        return Peer(process, user)
    return Peer(None, None)


def make_directory(path: Path) -> None:
    """A directory for its owner, where there is none. Raises `CannotListen`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotListen(f"Cannot make {path} for the control socket: {error.strerror or error}.") from error


def place_of(sock: socket.socket) -> str:
    """Where a socket listens: `address:port`, or a path."""
    address = sock.getsockname()
    return address if isinstance(address, str) else plain_address(address)


def identify(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what lies at a path; None where there is nothing."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def remove_own(path: Path, identity: tuple[int, int] | None) -> None:
    """Remove a socket's file, unless there is another by now: that one is another server's."""
    if identity is not None and identify(path) == identity:
        with contextlib.suppress(OSError):
            path.unlink()


def plain_address(address: tuple[str, int]) -> str:
    """`address:port` for the log, without the prefix by which IPv6 sockets show IPv4 peers."""
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def is_listened_at(path: Path) -> bool:
    """Whether a process listens on the socket that a file is, if it is one."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, short_address(path) as address:
        return bool(sock.connect_ex(address) == 0)


def _every_interface(port: int) -> socket.socket:
    try:
        return _bound(socket.AF_INET6, ("::", port))
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        return _bound(socket.AF_INET, ("0.0.0.0", port))


def _addresses(ip: str, port: int) -> list[Address]:
    host = resolver_name(ip)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _bind_name(ip: str, port: int) -> list[socket.socket]:
    addresses = _addresses(ip, port)
    tries = 1 if port else MAX_FREE_PORT_TRIES
    while True:
        tries -= 1
        try:
            return _bind_all(addresses)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not tries:
                raise


def _bind_all(addresses: Sequence[Address]) -> list[socket.socket]:
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
                sockets.append(_bound(family, (host, free, *rest)))
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise
                missing = error
    except OSError:
        for each in sockets:
            each.close()
        raise
    if not sockets:
        raise missing
    return sockets


def _take_ipv4_too(sock: socket.socket, both: bool) -> None:
    """Say whether IPv4 comes through a socket of IPv6, too. Raises OSError where it stays otherwise."""
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
    except OSError:
        if bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) == both:
            raise


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(OSError):  # without it, a restart may have to wait for the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            _take_ipv4_too(sock, address[0] == "::")
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
