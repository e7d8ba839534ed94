"""One accepted connection: reading greenlet, writer, timeouts, and its protocol."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from gevent.hub import Hub

from gmessenger import log
from gmessenger.config.options import ServerOptions
from gmessenger.server.net.remote import RemoteAddress
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.transport import NotTlsError, Transport
from gmessenger.server.net.writer import ConnectionWriter, FlushScheduler

RECV_CHUNK = 65_536  # bytes
LOOP_READ = 1
"""libev's `EV_READ`."""


class ConnectionProtocol(Protocol):
    """What a connection needs of the protocol spoken on it.

    Methods are called from the reading greenlet, unless they say otherwise.
    """

    @property
    def user_name(self) -> str | None:
        """The name that is, or was, logged in here."""

    @property
    def labels(self) -> tuple[str, str]:
        """Protocol and kind of session, for metrics; both `unknown` before the login."""

    @property
    def pending_frames(self) -> int:
        """The number of frames in the outbox."""

    def receive_in_loop(self, data: bytes) -> Any:
        """Handle received bytes if that cannot block; return input that `data_received` must handle, or None.

        Called in a callback of the loop: MUST NOT block or raise. The caller passes the result to `data_received`.
        """

    def data_received(self, received: Any) -> None:
        """Handle received bytes, or what `receive_in_loop` has left of them. May block, which holds back reading."""

    def send_probe(self) -> bool:
        """Ask the client to answer; False if the protocol has no probe. Called by the sweep."""

    def sweep(self, now: float) -> None:
        """Do what is due. Called about once a second, until the connection closes. `now`: monotonic seconds."""

    def eof_received(self) -> None:
        """Answer what the client has requested, then close: it sends nothing more, but may still read."""

    def turn_away(self, reason: str) -> None:
        """Close the connection before a login, and tell the client why. Called from any greenlet. Never blocks."""

    def end_session(self, reason: str) -> None:
        """End the session and free its name; what is queued may still be written. Called from any greenlet."""

    def connection_closed(self) -> None:
        """Release what the connection holds: it is closed."""


@dataclass(slots=True)
class ServerContext:
    """State shared by all connections of a server. `rejected_count`: connections rejected, by reason.

    A reload replaces `options`: read them when they are needed, and keep no copy.
    """

    options: ServerOptions
    hub: Hub
    flusher: FlushScheduler
    supervisor: Supervisor
    rejected_count: Counter[str] = field(default_factory=Counter)


def do_handshake(transport: Transport, context: ServerContext, address: str) -> None:
    """Do the handshake of a transport; log and count one that fails. Blocks. Raises OSError."""
    try:
        transport.handshake(context.options.tls_handshake_timeout)
    except OSError as error:
        context.rejected_count["not_tls" if isinstance(error, NotTlsError) else "handshake_failed"] += 1
        log.log_event("handshake_failed", address=address, reason=error.strerror)
        raise


class Connection:
    """Reads in the greenlet that creates it and calls `serve`, and ends with it."""

    __slots__ = (
        "_close_reason",
        "_closing_since",
        "_context",
        "_greenlet",
        "_has_received",
        "_is_handling",
        "_is_waiting",
        "_opened_at",
        "_probed_at",
        "_read_watcher",
        "_received_at",
        "_transport",
        "address",
        "is_closing",
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
        self._is_handling = self._is_waiting = self._has_received = False
        self._probed_at: float | None = None
        self.is_closing = False
        """Whether no more requests are handled."""
        self._closing_since = 0.0  # monotonic seconds
        self._close_reason: str | None = None
        self.address = remote.address
        self.is_proxied = remote.is_proxied
        self.writer = ConnectionWriter(transport, context.flusher, context.supervisor, self.abort)
        self.protocol = make_protocol(self)

    @property
    def is_encrypted(self) -> bool:
        """Whether the bytes are encrypted up to this process."""
        return self._transport.is_encrypted

    @property
    def options(self) -> ServerOptions:
        return self._context.options

    @property
    def transport_label(self) -> str:
        """`plain`, `tls` or `web`, for metrics."""
        return self._transport.label

    @property
    def client_certificate(self) -> str | None:
        """The fingerprint of the certificate that the client has presented, if any."""
        return self._transport.client_certificate

    @property
    def context(self) -> ServerContext:
        return self._context

    def serve(self) -> None:
        """Read until the client closes its side or `abort` is called. Blocks. Raises only internal errors."""
        log.log_event("connection_opened", address=self.address)
        try:
            do_handshake(self._transport, self._context, self.address)
            self._read()
        except OSError as error:
            self._close_reason = self._close_reason or error.strerror
        finally:
            self._close()

    def close_gracefully(self, reason: str) -> None:
        """Handle no more requests, write what is queued, then close. Never blocks.

        The socket is closed only after the client has closed its side, or after `close_timeout`: closing it over unread
        bytes would reset the connection, and the last response would be lost.
        """
        if not self.is_closing:
            self._begin_closing()
            self._close_reason = self._close_reason or reason
            self.protocol.end_session(reason)
            self.writer.call_when_drained(self._shutdown_write)

    def turn_away(self, reason: str) -> None:
        """Close gracefully before a login: the client is told why, if it can read that already. Never blocks."""
        if self._is_waiting or self._is_handling:
            self.protocol.turn_away(reason)
        else:  # in its handshake
            self.close_gracefully(reason)

    def abort(self, reason: str) -> None:
        """Close at once; what is not written is lost. Called from any greenlet."""
        self._close_reason = self._close_reason or reason
        self.writer.close()
        if self._greenlet is not gevent.getcurrent():
            gevent.kill(self._greenlet)
        elif not self.is_closing:
            self._begin_closing()

    def _begin_closing(self) -> None:
        self.is_closing, self._closing_since = True, time.monotonic()

    def check_timeouts(self, now: float) -> None:
        """Close or probe a connection that has waited too long, and have its protocol do what is due.

        `now`: monotonic seconds.
        """
        options = self._context.options
        if self._has_received:  # since the last time: to read the clock for each message would cost more than this
            self._has_received, self._received_at = False, now
        if not self.is_closing:
            self.protocol.sweep(now)
        if self.is_closing:
            if now - self._closing_since > options.close_timeout and not self.writer.is_blocked:
                self.abort("did not close")
        elif self.protocol.user_name is None:
            if now - self._opened_at > options.login_timeout:
                self.turn_away("did not log in")
        elif self._is_handling or self.writer.is_blocked:
            pass  # the server is not reading, or the client is still reading what was written before
        elif now - self._received_at > min(options.probe_after, self._transport.max_idle):
            self._probe(now)

    def _probe(self, now: float) -> None:
        if self._probed_at is None or self._probed_at < self._received_at:
            self._probed_at = now if self.protocol.send_probe() else None
        elif now - self._probed_at > self._context.options.probe_timeout:
            self.abort("did not answer a probe")

    def _read(self) -> None:
        data_received, wait = self.protocol.data_received, self._wait_received
        self._read_watcher = self._context.hub.loop.io(self._transport.fileno(), LOOP_READ)
        try:
            while True:
                received = wait()
                if not received:
                    return self._on_eof()
                if not self.is_closing:
                    self._is_handling = True
                    data_received(received)
                    self._is_handling = False
        finally:
            self._read_watcher.close()

    def _wait_received(self) -> Any:
        """Block until something was received that this greenlet has to handle; return it, or no bytes at the end.

        Raises OSError. Not `hub.wait`, which makes a waiter each time, and starts and stops the watcher.
        """
        self._is_waiting = True
        if not self._read_watcher.active:  # type: ignore[attr-defined]  # missing in the stubs
            self._read_watcher.start(self._on_readable)
        try:
            return self._context.hub.switch()
        finally:
            self._is_waiting = False

    def _on_readable(self) -> None:
        """Receive in the callback of the loop; switch to the greenlet for what cannot be handled here."""
        if not self._is_waiting:  # the greenlet waits for something else; the bytes stay in the kernel
            self._read_watcher.stop()
            return
        received: Any
        try:
            recv = self._transport.recv
            received = recv(RECV_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._greenlet.throw(error)
            return
        if received:
            self._has_received = True
            if not self.is_closing and (received := self.protocol.receive_in_loop(received)) is None:
                return
        self._greenlet.switch(received)

    def _on_eof(self) -> None:
        """Answer what was requested: the client has closed its side, maybe only for sending (`nc -N`)."""
        self.protocol.eof_received()
        self.writer.drain()

    def _shutdown_write(self) -> None:
        try:
            self._transport.shutdown_write()
        except OSError:
            self.abort("left")

    def _close(self) -> None:
        reason = self._close_reason or "left"
        self.protocol.end_session(reason)
        self.protocol.connection_closed()
        self.writer.close()
        self._transport.close()
        seconds = round(time.monotonic() - self._opened_at, 3)
        log.log_event(
            "connection_closed", address=self.address, name=self.protocol.user_name, reason=reason, seconds=seconds
        )
