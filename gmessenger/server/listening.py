"""Listening sockets: every interface by default, IPv4 and IPv6 through one socket where the system has both; and
sockets that are files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from pathlib import Path
from typing import Any, Final

from gevent import socket

from gmessenger.errors import CannotListen
from gmessenger.places import short_address

UNIX: Final = "unix:"
BACKLOG = 1024
"""Connections that may wait to be accepted; the system may cut it to less (`net.core.somaxconn`)."""
BACKLOG_OF_FILES: Final = 16
FOR_ITS_OWNER: Final = 0o177
"""What is masked from the mode of a socket that only its owner may connect to."""
FOR_ITS_GROUP: Final = 0o117
NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def listen(ip: str, port: int) -> list[socket.socket]:
    """Sockets bound to an address or to all that a host name stands for; `ip` empty means every interface.

    With port 0 they share the free port the first one got. Raises `CannotListen` with a sentence that names both.
    """
    sockets: list[socket.socket] = []
    try:
        if not ip:
            return [_every_interface(port)]
        for family, address in _addresses(ip, port):
            if sockets and not port:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            sockets.append(_bound(family, address))
    except (OSError, UnicodeError) as error:
        for each in sockets:
            each.close()
        reason = getattr(error, "strerror", None) or "this is no address"
        raise CannotListen(f"Cannot listen on port {port} of {ip or 'this machine'}: {reason}.") from error
    return sockets


def listen_at(place: str, what: str) -> socket.socket:
    """A socket at `HOST:PORT` (port 0: a free one) or `unix:PATH`; `what` it is for is told where it cannot be had.

    A file that nobody listens at any more is replaced. Raises `CannotListen`.
    """
    if place.startswith(UNIX):
        path = Path(place.removeprefix(UNIX))
        if is_listened_at(path):
            raise CannotListen(f"Cannot listen on the {what} socket {path}: another process does.")
        return listen_unix(path, what, FOR_ITS_GROUP, replace=path.is_socket())
    host, _, port = place.rpartition(":")
    return listen(host.strip("[]"), int(port))[0]


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
        process, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return str(process)
    return None


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


def close_place(place: str) -> None:
    """Nobody listens there any more: take the file away, where it is one."""
    if place.startswith(UNIX):
        with contextlib.suppress(OSError):
            Path(place.removeprefix(UNIX)).unlink()


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
        if error.errno not in NO_IPV6:
            raise
        return _bound(socket.AF_INET, ("0.0.0.0", port))


def _addresses(ip: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    found = socket.getaddrinfo(ip, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
