"""The server put together: listeners, a pool of connections, the messenger; started, looked after, drained."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING

import gevent
from gevent import Greenlet, socket
from gevent.event import Event

from gmessenger import __version__, logs
from gmessenger.chat.administration import Administration
from gmessenger.chat.contract import Store
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.service import Messenger
from gmessenger.errors import (
    ConfigProblem,
    ExitError,
    StoreUnavailable,
)
from gmessenger.options import ServerOptions
from gmessenger.places import control_socket
from gmessenger.server.arriving import Arrivals
from gmessenger.server.census import status
from gmessenger.server.connection import Floor
from gmessenger.server.control import Control
from gmessenger.server.joining import node_of
from gmessenger.server.listening import listen
from gmessenger.server.neighbours import Neighbours
from gmessenger.server.pulse import Pulse
from gmessenger.server.reception import Reception
from gmessenger.server.reload import policy_of
from gmessenger.server.retention import prune_regularly, reindex
from gmessenger.server.store_watch import compare_store, look_after_store
from gmessenger.server.tls import given_certificate
from gmessenger.server.watch import Watch
from gmessenger.server.writing import Flusher
from gmessenger.store import file_of, open_store

if TYPE_CHECKING:
    from gmessenger.server.health import Health

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
        self.pulse = Pulse()
        self.started_at = time.time()
        # The port first: of two servers started alike, the second should hear of the port, not of the store.
        self._listen()
        hub = gevent.get_hub()
        self._floor = Floor(options, hub, Flusher(hub, self.watch, options.write_timeout), self.watch)
        self._servers: list[Arrivals] = []
        self.stopping = False
        self._stopped = Event()
        self.store = self._open_store()
        try:
            self.node = node_of(self.store, options, self.watch, self._later)
        except ExitError:
            self._let_go()
            raise
        passwords = passwords or Passwords()
        passwords.prepare()
        near = Neighbours(lambda: self.options, time.monotonic)
        policy, spawn = policy_of(options), self.watch.spawn
        self.messenger = Messenger(
            policy,
            self.store,
            time.time,
            self._later,
            spawn,
            passwords,
            time.monotonic,
            near.origins,
            self.node.elsewhere if self.node is not None else None,
        )
        if self.node is not None:
            self.node.join(self.messenger)
        self.reception = Reception(self._floor, self.messenger, self.certificate, near, lambda: self.stopping)
        administration = Administration(self.messenger, self.store, passwords, time.time, lambda: status(self))
        self._control = self._door(administration)
        self._retention: Greenlet[..., object] | None = None
        self._reindexing: Greenlet[..., object] | None = None
        self.health = self._open_health() if options.health else None

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
            options = self.options
            return open_store(options.store_url, self.watch.failed, options.store_timeout, options.store_connections)
        except ExitError:
            self._close_sockets()
            raise

    def _open_health(self) -> Health:
        # Only now: hardly anything is imported for as long as what shows metrics, and most servers show none.
        from gmessenger.server.health import Health

        try:
            return Health(self)
        except ExitError:
            self._let_go()
            raise

    def _door(self, administration: Administration) -> Control | None:
        file = file_of(self.options.store_url)
        if not self.store.lasting:
            return None
        return Control(control_socket(file, self.port), administration, self.watch, locked=file is not None)

    def _let_go(self) -> None:
        self.store.close()
        self._close_sockets()

    def start(self) -> None:
        """Serve those who connect."""
        if self.node is not None:
            self.node.start()
        self.reception.spare.keep()
        plain = (self._sockets, self.reception.accept, self.reception.full)
        encrypted = (self._tls_sockets, self.reception.accept_tls, self.reception.full_tls)
        for sockets, accept, full in (plain, encrypted):
            for each in sockets:
                server = Arrivals(each, accept, self.reception.pool, self.reception.spare, full)
                server.start()
                self._servers.append(server)
        if self._control is not None:
            self._control.start(self.reception.spare)
        if self.health is not None:
            self.health.start(self.reception.spare)
        self._retain()
        if self.certificate is not None:
            every = self.options.tls_check
            self.watch.spawn("look after the certificate", self.certificate.look_after, every, self._stopped.wait)
        self.watch.spawn("look after connections", self.reception.look_after, self._stopped.wait)
        self.watch.spawn("tidy", self._tidy)
        self._reindexing = self.watch.spawn("reindex", reindex, self.store, self._stopped.wait)
        self.watch.spawn("look after the store", look_after_store, self.store, self._stopped.wait)
        self.watch.spawn("pulse", self.pulse.beat, self._stopped.wait)
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
        return len(self.reception.connections)

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
        logs.event("server_stopping", reason=reason, connections=self.connections)
        try:
            self._drain()
        except Exception as failure:
            self.watch.failed("stop", failure)
        finally:
            if self.health is not None:  # last: until then it says that the server is stopping
                self.health.stop()
            self.reception.spare.close()
            self._stopped.set()

    def _retain(self) -> None:
        if self._retention is not None:
            self._retention.kill()
        if days := self.options.retention_days:
            self._retention = self.watch.spawn(
                "prune", prune_regularly, self.store, days, self._stopped.wait, self.watch.failed
            )

    def _drain(self) -> None:
        started = time.monotonic()
        patience = self.options.drain_timeout
        if self._control is not None:
            self._control.stop()
        for upkeep in (self._retention, self._reindexing):
            if upkeep is not None:
                upkeep.kill()
        for server in self._servers:
            server.stop_accepting()
            server.close()
        self.messenger.announce_end(self._come_back_in)
        with contextlib.suppress(StoreUnavailable, gevent.Timeout), gevent.Timeout(patience):
            self.store.flush()  # what is not on disk by then was not answered either
        self.messenger.close()
        for connection in list(self.reception.connections):
            if connection.front.name is None:
                connection.goodbye("the server stops")
        self.reception.pool.join(max(0.0, patience - (time.monotonic() - started)))
        undelivered = sum(connection.front.waiting for connection in self.reception.connections)
        self.reception.pool.kill(timeout=1.0)
        if self.node is not None:
            self.node.stop()
        compare_store(self.store, "")
        self.store.close()
        seconds = round(time.monotonic() - started, 3)
        logs.event("server_stopped", seconds=seconds, undelivered=undelivered, exit_code=int(self.watch.failures > 0))

    def _come_back_in(self) -> float:
        """Drawn anew for each: those who were here together should not come back together."""
        return round(COME_BACK_IN + uniform(0.0, max(COME_BACK_IN, self.connections / COME_BACK_A_SECOND)), 2)

    def _tidy(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # it is tried again with the next start
            self.store.tidy()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        gevent.spawn_later(seconds, self.watch.guard("later", call))
