"""Listening sockets: every interface by default, IPv4 and IPv6 through one socket where the system has both."""

from __future__ import annotations

import errno
from typing import Any

from gevent import socket

from gmessenger.errors import CannotListen

BACKLOG = 1024
"""Connections that may wait to be accepted; the system may cut it to less (`net.core.somaxconn`)."""
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


def plain_address(address: tuple[str, int]) -> str:
    """`address:port` for the log, without the prefix by which IPv6 sockets show IPv4 peers."""
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


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
