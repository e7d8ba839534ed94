"""One accepted connection: its reading greenlet, its writer, and the front that understands it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import gevent
from gevent.hub import Hub

from gmessenger import log
from gmessenger.config.options import ServerOptions
from gmessenger.server.net.remote import RemoteAddress
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.transport import NotTlsError, Transport
from gmessenger.server.net.writer import ConnectionWriter, FlushScheduler

RECV_CHUNK = 65_536
LOOP_READ = 1


class ConnectionProtocol(Protocol):
    """What a connection needs of the protocol spoken on it."""

    @property
    def user_name(self) -> str | None:
        """Who is, or was, logged in here."""

    @property
    def labels(self) -> tuple[str, str]:
        """What is spoken here and by what kind of session; `unknown` both while nobody has logged in."""

    @property
    def pending_frames(self) -> int:
        """How many frames are still to be written."""

    def data_received(self, data: bytes) -> None:
        """Act on bytes that arrived. May block, and so hold back reading."""

    def send_probe(self) -> bool:
        """Ask the other end whether it is there; False where the protocol has no such question."""

    def eof_received(self) -> None:
        """The other end says nothing more, but may still read: answer what it has asked, then take leave."""

    def session_lost(self, reason: str) -> None:
        """The session is over: give up the name. What is queued may still be written."""

    def connection_closed(self) -> None:
        """The connection is closed: let go of everything."""


@dataclass(slots=True)
class ServerContext:
    """What all connections of a server stand on; `refused` counts those that came to nothing, by reason.

    A reload puts other `options` here: read them when they are needed.
    """

    options: ServerOptions
    hub: Hub
    flusher: FlushScheduler
    supervisor: Supervisor
    rejected_count: Counter[str] = field(default_factory=Counter)


class Connection:
    """Reads in the greenlet that calls `serve`, and ends with it."""

    __slots__ = (
        "_close_reason",
        "_closing_since",
        "_context",
        "_greenlet",
        "_is_handling",
        "_is_waiting",
        "_opened_at",
        "_probed_at",
        "_read_watcher",
        "_received_at",
        "_transport",
        "address",
        "is_proxied",
        "protocol",
        "writer",
    )

    def __init__(
        self,
        transport: Transport,
        remote: RemoteAddress,
        context: ServerContext,
        make_protocol: Callable[[Connection], ConnectionProtocol],
    ) -> None:
        self._transport = transport
        self._context = context
        self._greenlet = gevent.getcurrent()
        self._opened_at = self._received_at = time.monotonic()
        self._is_handling = self._is_waiting = False
        self._probed_at: float | None = None
        self._closing_since: float | None = None
        self._close_reason: str | None = None
        self.address = remote.address
        self.is_proxied = remote.is_proxied
        self.writer = ConnectionWriter(transport, context.flusher, context.supervisor, self.abort)
        self.protocol = make_protocol(self)

    @property
    def is_closing(self) -> bool:
        """Whether goodbye was said: nothing more is listened to."""
        return self._closing_since is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether what is said here can be overheard by nobody on the way."""
        return self._transport.is_encrypted

    @property
    def options(self) -> ServerOptions:
        return self._context.options

    @property
    def transport_label(self) -> str:
        """What the bytes travel through: `plain`, or `tls` where they are encrypted."""
        return "tls" if self.is_encrypted else "plain"

    @property
    def context(self) -> ServerContext:
        return self._context

    def serve(self) -> None:
        """Read until the other end leaves or `end` is called. Raises nothing but what is a mistake of ours."""
        log.log_event("connection_opened", address=self.address)
        try:
            self._handshake()
            self._read()
        except OSError as error:
            self._close_reason = self._close_reason or error.strerror
        finally:
            self._close()

    def close_gracefully(self, reason: str) -> None:
        """Listen to nothing more, write what is on its way, then close.

        The socket is closed only after the other end has closed its side (or `close_timeout`): closing it over bytes
        not yet read would reset the connection and take the last answer with it.
        """
        if not self.is_closing:
            self._closing_since = time.monotonic()
            self._close_reason = self._close_reason or reason
            self.protocol.session_lost(reason)
            self.writer.call_when_drained(self._shutdown_write)

    def abort(self, reason: str) -> None:
        """End at once; what is not written is lost."""
        self._close_reason = self._close_reason or reason
        self.writer.close()
        if self._greenlet is not gevent.getcurrent():
            gevent.kill(self._greenlet)
        else:
            self._closing_since = self._closing_since or time.monotonic()

    def check_timeouts(self, now: float) -> None:
        """Called now and then: ends what has waited too long, and probes what has been silent."""
        options = self._context.options
        if self._closing_since is not None:
            if now - self._closing_since > options.close_timeout and not self.writer.is_blocked:
                self.abort("did not close")
        elif self.protocol.user_name is None:
            if now - self._opened_at > options.login_timeout:
                self.close_gracefully("did not log in")
        elif self._is_handling or self.writer.is_blocked:
            pass  # it is we who do not listen, or it is still reading what was written before
        elif now - self._received_at > options.probe_after:
            self._probe(now)

    def _probe(self, now: float) -> None:
        if self._probed_at is None or self._probed_at < self._received_at:
            self._probed_at = now if self.protocol.send_probe() else None
        elif now - self._probed_at > self._context.options.probe_timeout:
            self.abort("did not answer a probe")

    def _handshake(self) -> None:
        try:
            self._transport.handshake(self._context.options.tls_handshake_timeout)
        except OSError as error:
            self._context.rejected_count["not_tls" if isinstance(error, NotTlsError) else "handshake_failed"] += 1
            log.log_event("handshake_failed", address=self.address, reason=error.strerror)
            raise

    def _read(self) -> None:
        receive, hear, wait = self._transport.recv, self.protocol.data_received, self._wait_readable
        self._read_watcher = self._context.hub.loop.io(self._transport.fileno(), LOOP_READ)
        try:
            while True:
                # Waiting first: a recv that finds nothing costs an exception, and there is hardly ever something left.
                wait()
                try:
                    data = receive(RECV_CHUNK)
                except BlockingIOError:
                    continue
                if not data:
                    return self._on_eof()
                self._received_at = time.monotonic()
                if not self.is_closing:
                    self._is_handling = True
                    hear(data)
                    self._is_handling = False
        finally:
            self._read_watcher.close()

    def _wait_readable(self) -> None:
        """Wait until the line is readable.

        `hub.wait` does the same, but makes a waiter each time, and starts and stops the watcher.
        """
        self._is_waiting = True
        if not self._read_watcher.active:  # type: ignore[attr-defined]  # which the stubs forget
            self._read_watcher.start(self._on_readable)
        try:
            self._context.hub.switch()
        finally:
            self._is_waiting = False

    def _on_readable(self) -> None:
        if self._is_waiting:
            self._greenlet.switch()
        else:  # it waits for something else, and what has come is left in the kernel
            self._read_watcher.stop()

    def _on_eof(self) -> None:
        """The other end has closed its side, perhaps only to say that it is done asking (`nc -N`)."""
        self.protocol.eof_received()
        self.writer.drain()

    def _shutdown_write(self) -> None:
        try:
            self._transport.shutdown_write()
        except OSError:
            self.abort("left")

    def _close(self) -> None:
        reason = self._close_reason or "left"
        self.protocol.session_lost(reason)
        self.protocol.connection_closed()
        self.writer.close()
        self._transport.close()
        seconds = round(time.monotonic() - self._opened_at, 3)
        log.log_event(
            "connection_closed", address=self.address, name=self.protocol.user_name, reason=reason, seconds=seconds
        )
