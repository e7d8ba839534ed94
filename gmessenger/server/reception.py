"""Where clients are received: let in as connections, turned away with a word, and looked after while they are here."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from gevent.pool import Pool

from gmessenger import logs
from gmessenger.chat.service import Messenger
from gmessenger.errors import BadProxyHeader, ServerFull, WireError
from gmessenger.options import ServerOptions
from gmessenger.server.acceptor import Spare
from gmessenger.server.connection import Connection, Floor
from gmessenger.server.files import is_one_of_the_last
from gmessenger.server.fronts.jim import JimFront
from gmessenger.server.lines import Line, PlainLine, TlsLine
from gmessenger.server.neighbours import Neighbours
from gmessenger.server.proxies import Origin, origin
from gmessenger.server.refusing import turn_away, turn_away_at_once
from gmessenger.server.tls import Certificate
from gmessenger.wire.encoding import encode_error

MOST_TURNED_AWAY = 32
"""Those who are told why and waited for at one time; who comes beyond them is told what can be told at once."""


class Reception:
    """What listens gives it sockets, each in a greenlet of `pool`. `opened` counts those let in, by transport."""

    def __init__(
        self,
        floor: Floor,
        messenger: Messenger,
        certificate: Certificate | None,
        neighbours: Neighbours,
        stopping: Callable[[], bool],
    ) -> None:
        self._floor = floor
        self._messenger = messenger
        self._certificate = certificate
        self._neighbours = neighbours
        self._stopping = stopping
        self.pool = Pool()  # `accept` bounds it: a full pool would not accept, and could not follow a reload
        self.connections: set[Connection] = set()
        self.opened: Counter[str] = Counter(plain=0)
        self.spare = Spare()

    @property
    def refused(self) -> Counter[str]:
        """How many were turned away or came to nothing, by reason."""
        return self._floor.refused

    def accept(self, sock: socket.socket, address: str) -> None:
        """The greenlet of one client."""
        self._receive(sock, address, PlainLine)

    def accept_tls(self, sock: socket.socket, address: str) -> None:
        """The same, of one who comes to the TLS port."""
        assert self._certificate is not None
        context = self._certificate.context
        self._receive(sock, address, lambda sock: TlsLine(sock, context))

    def full(self) -> bytes:
        """One cannot be let in, and not even looked at: what is told on the plain port."""
        self.refused[ServerFull.word] += 1
        return encode_error(ServerFull(), time.time())

    def full_tls(self) -> bytes:
        """The same on the TLS port, where nothing can be told without a handshake."""
        self.refused[ServerFull.word] += 1
        return b""

    def look_after(self, stopped: Callable[[float], object]) -> None:
        """Look after every connection, until `stopped`, which waits that many seconds, says so."""
        while not stopped(_pause(self._floor.options)):
            now = time.monotonic()
            for connection in list(self.connections):
                try:
                    connection.look_after(now)
                except Exception as failure:  # the others are to be looked after too
                    self._floor.watch.failed("look after", failure, connection.address)

    def _receive(self, sock: socket.socket, address: str, line: Callable[[socket.socket], Line]) -> None:
        try:
            came = origin(sock, address, self._floor.options)
            self._serve(line(sock), came)
        except BadProxyHeader as error:
            self.refused["bad_proxy_header"] += 1
            logs.event("connection_refused", address=address, reason=f"PROXY header: {error}")
        except OSError:
            pass  # it left before it was looked at
        except Exception as failure:
            self._floor.watch.failed("connection", failure, address)

    def _serve(self, line: Line, came: Origin) -> None:
        where = came.address
        with ExitStack() as place:
            try:
                self._admit(line.fileno(), where, place)
            except WireError as refusal:
                return self._turn_away(line, where, refusal)
            connection = Connection(line, came, self._floor, self._front)
            place.enter_context(self._listed(connection))
            try:
                connection.serve()
            except Exception as failure:
                self._floor.watch.failed("connection", failure, where)
        return None

    def _admit(self, handle: int, where: str, place: ExitStack) -> None:
        """Have a place kept for a connection, until `place` is closed. Raises the `WireError` that it is told."""
        if self._stopping() or len(self.connections) >= self._floor.options.max_connections:
            raise ServerFull
        if is_one_of_the_last(handle):
            self.spare.say(os.strerror(errno.EMFILE))
            raise ServerFull
        self._messenger.sanctions.check_address(where)
        place.enter_context(self._neighbours.place(where))

    @contextmanager
    def _listed(self, connection: Connection) -> Iterator[None]:
        self.connections.add(connection)
        self.opened[connection.transport] += 1
        try:
            yield
        finally:
            self.connections.discard(connection)

    def _front(self, connection: Connection) -> JimFront:
        return JimFront(connection, self._messenger)

    def _turn_away(self, line: Line, where: str, error: WireError) -> None:
        self.refused[error.word] += 1
        logs.event("connection_refused", address=where, reason=error.word)
        if len(self.pool) - len(self.connections) > MOST_TURNED_AWAY:
            return turn_away_at_once(line, error)
        return turn_away(line, error, self._floor.options.close_timeout)


def _pause(options: ServerOptions) -> float:
    """How long to wait between looking after connections: a part of the shortest time that matters there."""
    waits = (options.login_timeout, options.probe_after, options.probe_timeout, options.close_timeout)
    return min(1.0, max(0.02, min(waits) / 4))
