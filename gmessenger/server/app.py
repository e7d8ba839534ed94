"""The server put together: listeners, a pool of connections, the messenger; started, looked after, drained."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from random import SystemRandom

import gevent
from gevent import Greenlet, socket
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer

from gmessenger import __version__, logs
from gmessenger.chat.administration import Administration
from gmessenger.chat.contract import Store
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.service import Messenger
from gmessenger.errors import (
    BadProxyHeader,
    Banned,
    ConfigProblem,
    ExitError,
    ServerFull,
    StoreUnavailable,
    WireError,
)
from gmessenger.options import ServerOptions
from gmessenger.places import socket_beside
from gmessenger.server.connection import Connection, Floor
from gmessenger.server.control import Control
from gmessenger.server.fronts.jim import JimFront
from gmessenger.server.lines import Line, PlainLine, TlsLine
from gmessenger.server.listening import listen, plain_address
from gmessenger.server.neighbours import Neighbours
from gmessenger.server.proxies import Origin, origin
from gmessenger.server.refusing import turn_away
from gmessenger.server.reload import policy_of
from gmessenger.server.retention import prune_regularly
from gmessenger.server.tls import given_certificate
from gmessenger.server.watch import Watch
from gmessenger.server.writing import Flusher
from gmessenger.store import file_of, open_store

MOST_TURNED_AWAY = 32
"""Those who are told why at one time; who comes beyond them is closed without a word."""
COME_BACK_IN = 2.0
"""Seconds after which the first clients are told to try again when the server stops."""
COME_BACK_A_SECOND = 500
uniform = SystemRandom().uniform


class App:
    """One server. `start`, then `wait`; `stop` drains. All in the greenlets of one hub."""

    def __init__(self, options: ServerOptions, passwords: Passwords | None = None) -> None:
        """Takes the ports, then the store. Raises `CannotListen`, `ConfigProblem`, `FileProblem` or `StoreInUse`."""
        self.options = options
        self.watch = Watch()
        self.certificate = given_certificate(options)
        # The port first: of two servers started alike, the second should hear of the port, not of the store.
        self._listen()
        hub = gevent.get_hub()
        self._floor = Floor(options, hub, Flusher(hub, self.watch, options.write_timeout), self.watch)
        self._pool = Pool()  # `_accept` bounds it: a full pool would not accept, and could not follow a reload
        self._connections: set[Connection] = set()
        self._servers: list[StreamServer] = []
        self.stopping = False
        self._stopped = Event()
        self.store = self._open_store()
        passwords = passwords or Passwords()
        near = self._neighbours = Neighbours(lambda: self.options, time.monotonic)
        policy, spawn = policy_of(options), self.watch.spawn
        self.messenger = Messenger(
            policy, self.store, time.time, self._later, spawn, passwords, time.monotonic, near.origin
        )
        administration = Administration(self.messenger, self.store, passwords, time.time)
        file = file_of(options.store_url)
        self._control = Control(socket_beside(file), administration, self.watch) if file is not None else None
        self._retention: Greenlet[..., object] | None = None

    def _listen(self) -> None:
        self._sockets = listen(self.options.ip, self.options.port)
        self._tls_sockets: list[socket.socket] = []
        try:
            if self.certificate is not None:
                self._tls_sockets = listen(self.options.ip, self.options.tls_port)
        except ExitError:
            self._close_sockets()
            raise
        self.port = self._sockets[0].getsockname()[1]
        self.tls_port = self._tls_sockets[0].getsockname()[1] if self._tls_sockets else None

    def _close_sockets(self) -> None:
        for each in (*self._sockets, *self._tls_sockets):
            each.close()

    def _open_store(self) -> Store:
        try:
            return open_store(self.options.store_url, self.watch.failed, self.options.store_timeout)
        except ExitError:
            self._close_sockets()
            raise

    def start(self) -> None:
        """Serve those who connect."""
        for sockets, accept in ((self._sockets, self._accept), (self._tls_sockets, self._accept_tls)):
            for each in sockets:
                server = StreamServer(each, accept, spawn=self._pool)
                server.start()
                self._servers.append(server)
        if self._control is not None:
            self._control.start()
        self._retain()
        if self.certificate is not None:
            every = self.options.tls_check
            self.watch.spawn("look after the certificate", self.certificate.look_after, every, self._stopped.wait)
        self.watch.spawn("look after connections", self._look_after)
        self.watch.spawn("tidy", self._tidy)
        address = self.options.ip or "every interface"
        logs.event("server_started", version=__version__, address=address, port=self.port, tls_port=self.tls_port)

    def follow(self, options: ServerOptions) -> None:
        """Go on by other options, with those who are connected too; what they may differ in is marked in the table.

        Raises an `ExitError` where it cannot, and then nothing has changed.
        """
        if self.certificate is not None and not self.certificate.reload():
            raise ConfigProblem("The certificate cannot be used.")
        before, self.options, self._floor.options = self.options, options, options
        self._floor.flusher.timeout = options.write_timeout
        self.messenger.policy.become(policy_of(options))
        if options.retention_days != before.retention_days:
            self._retain()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def stopped_within(self, seconds: float) -> bool:
        """Wait so long; says whether the server has stopped."""
        return self._stopped.wait(seconds)

    def wait(self) -> int:
        """Wait until the server has stopped; its exit code is 1 if anything failed unexpectedly, else 0."""
        self._stopped.wait()
        return 1 if self.watch.failures else 0

    def stop(self, reason: str = "asked to") -> None:
        """Accept nobody any more, tell the clients, deliver what was accepted within `drain_timeout`, and close."""
        if self.stopping:
            self._stopped.wait()
            return
        self.stopping = True
        logs.event("server_stopping", reason=reason, connections=len(self._connections))
        try:
            self._drain()
        except Exception as failure:
            self.watch.failed("stop", failure)
        finally:
            self._stopped.set()

    def _retain(self) -> None:
        if self._retention is not None:
            self._retention.kill()
        if days := self.options.retention_days:
            self._retention = self.watch.spawn("prune", prune_regularly, self.store, days, self._stopped.wait)

    def _drain(self) -> None:
        started = time.monotonic()
        patience = self.options.drain_timeout
        if self._control is not None:
            self._control.stop()
        if self._retention is not None:
            self._retention.kill()
        for server in self._servers:
            server.stop_accepting()
            server.close()
        self.messenger.announce_end(self._come_back_in)
        with contextlib.suppress(StoreUnavailable, gevent.Timeout), gevent.Timeout(patience):
            self.store.flush()  # what is not on disk by then was not answered either
        self.messenger.close()
        for connection in list(self._connections):
            if connection.front.name is None:
                connection.goodbye("the server stops")
        self._pool.join(max(0.0, patience - (time.monotonic() - started)))
        undelivered = sum(connection.front.waiting for connection in self._connections)
        self._pool.kill(timeout=1.0)
        self.store.close()
        seconds = round(time.monotonic() - started, 3)
        logs.event("server_stopped", seconds=seconds, undelivered=undelivered, exit_code=int(self.watch.failures > 0))

    def _come_back_in(self) -> float:
        """Drawn anew for each: those who were here together should not come back together."""
        return round(COME_BACK_IN + uniform(0.0, max(COME_BACK_IN, self.connections / COME_BACK_A_SECOND)), 2)

    def _accept(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """The greenlet of one client."""
        self._receive(sock, address, PlainLine)

    def _accept_tls(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """The same, of one who comes to the TLS port."""
        assert self.certificate is not None
        context = self.certificate.context
        self._receive(sock, address, lambda sock: TlsLine(sock, context))

    def _receive(self, sock: socket.socket, address: tuple[str, int], line: Callable[[socket.socket], Line]) -> None:
        try:
            came = origin(sock, address, self.options)
            self._serve(line(sock), came)
        except BadProxyHeader as error:
            logs.event("connection_refused", address=plain_address(address), reason=f"PROXY header: {error}")
        except OSError:
            pass  # it left before it was looked at
        except Exception as failure:
            self.watch.failed("connection", failure, plain_address(address))

    def _serve(self, line: Line, came: Origin) -> None:
        where = came.address
        full = self.stopping or len(self._connections) >= self.options.max_connections
        if refusal := ServerFull() if full else self._neighbours.refusal(where):
            return self._turn_away(line, where, refusal)
        try:
            self.messenger.sanctions.check_address(where)
        except Banned as banned:
            return self._turn_away(line, where, banned)
        connection = Connection(line, came, self._floor, lambda each: JimFront(each, self.messenger))
        self._connections.add(connection)
        self._neighbours.arrived(where)
        try:
            connection.serve()
        except Exception as failure:
            self.watch.failed("connection", failure, where)
        finally:
            self._connections.discard(connection)
            self._neighbours.left(where)
        return None

    def _turn_away(self, line: Line, where: str, error: WireError) -> None:
        logs.event("connection_refused", address=where, reason=error.word)
        if len(self._pool) - len(self._connections) > MOST_TURNED_AWAY:
            return line.close()
        return turn_away(line, error, self.options.close_timeout)

    def _tidy(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # it is tried again with the next start
            self.store.tidy()

    def _look_after(self) -> None:
        while not self._stopped.wait(_pause(self.options)):
            now = time.monotonic()
            for connection in list(self._connections):
                try:
                    connection.look_after(now)
                except Exception as failure:  # the others are to be looked after too
                    self.watch.failed("look after", failure, connection.address)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        gevent.spawn_later(seconds, self.watch.guard("later", call))


def _pause(options: ServerOptions) -> float:
    """How long to wait between looking after connections: a part of the shortest time that matters there."""
    waits = (options.login_timeout, options.probe_after, options.probe_timeout, options.close_timeout)
    return min(1.0, max(0.02, min(waits) / 4))
