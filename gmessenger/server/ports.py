"""The sockets on which a server listens for clients: bound before anything else of it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from gevent import socket

from gmessenger.config.options import ServerOptions
from gmessenger.server.net.sockets import listen_on, listen_tcp, socket_file_of


class BoundPort:
    """The sockets of one port, on all addresses, or the socket of a file."""

    def __init__(self, sockets: list[socket.socket], place: str = "") -> None:
        """`place`: where they listen, if the option says that, as `HOST:PORT` or `unix:PATH`."""
        self.sockets = sockets
        self._file = socket_file_of(place)
        self.number: int | None = int(sockets[0].getsockname()[1]) if self._file is None else None
        """The number of the port, also after it was closed; None for a file."""

    def close(self) -> None:
        """Close the sockets."""
        for sock in self.sockets:
            sock.close()

    def remove_file(self) -> None:
        """Remove the file of the socket, if there is one."""
        if self._file is not None:
            self._file.remove()


def number_of(port: BoundPort | None) -> int | None:
    """Return the number of a port; None if there is no port, or a file instead of one."""
    return port.number if port is not None else None


class ServerPorts:
    """The ports of a server, by what is spoken there; None for those that the options do not name."""

    def __init__(self, options: ServerOptions, *, has_certificate: bool) -> None:
        """Bind all of them, or none: raises `ListenError`."""
        self._bound: list[BoundPort] = []
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self.jim = self._bind_port(options.ip, options.port)
            self.jim_tls = self._bind_port(options.ip, options.tls_port) if has_certificate else None
            self.web = self._bind_place(options.web, "web")
            self.irc = self._bind_optional(options, options.irc_port)
            self.irc_tls = self._bind_optional(options, options.irc_tls_number)
            self.irc_websocket = self._bind_place(options.irc_websocket_place, "IRC WebSocket")
            on_failure.pop_all()

    def __iter__(self) -> Iterator[BoundPort]:
        return iter(self._bound)

    def close(self) -> None:
        """Close all sockets."""
        for port in self._bound:
            port.close()

    def remove_files(self) -> None:
        """Remove the files of sockets."""
        for port in self._bound:
            port.remove_file()

    def _add(self, port: BoundPort) -> BoundPort:
        self._bound.append(port)
        return port

    def _bind_port(self, ip: str, number: int) -> BoundPort:
        return self._add(BoundPort(listen_tcp(ip, number)))

    def _bind_optional(self, options: ServerOptions, number: int | None) -> BoundPort | None:
        return self._bind_port(options.ip, number) if number is not None else None

    def _bind_place(self, place: str, purpose: str) -> BoundPort | None:
        return self._add(BoundPort(listen_on(place, purpose), place)) if place else None
