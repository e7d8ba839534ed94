"""One accepted connection: its reading greenlet, its writer, and the front that understands it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import gevent
from gevent.hub import Hub

from gmessenger import logs
from gmessenger.options import ServerOptions
from gmessenger.server.lines import Line, NotTls
from gmessenger.server.proxies import Origin
from gmessenger.server.watch import Watch
from gmessenger.server.writing import Flusher, Writer

RECEIVED_AT_ONCE = 65_536
READABLE = 1


class Front(Protocol):
    """What a connection needs of the protocol spoken on it."""

    @property
    def name(self) -> str | None:
        """Who is, or was, logged in here."""

    @property
    def spoken(self) -> tuple[str, str]:
        """What is spoken here and by what kind of session; `unknown` both while nobody has logged in."""

    @property
    def waiting(self) -> int:
        """How many frames are still to be written."""

    def hear(self, data: bytes) -> None:
        """Act on bytes that arrived. May block, and so hold back reading."""

    def probe(self) -> bool:
        """Ask the other end whether it is there; False where the protocol has no such question."""

    def hung_up(self) -> None:
        """The other end says nothing more, but may still read: answer what it has asked, then take leave."""

    def lost(self, reason: str) -> None:
        """The session is over: give up the name. What is queued may still be written."""

    def closed(self) -> None:
        """The connection is closed: let go of everything."""


@dataclass(slots=True)
class Floor:
    """What all connections of a server stand on; `refused` counts those that came to nothing, by reason.

    A reload puts other `options` here: read them when they are needed.
    """

    options: ServerOptions
    hub: Hub
    flusher: Flusher
    watch: Watch
    refused: Counter[str] = field(default_factory=Counter)


class Connection:
    """Reads in the greenlet that calls `serve`, and ends with it."""

    __slots__ = (
        "_floor",
        "_greenlet",
        "_heard_at",
        "_hearing",
        "_line",
        "_opened_at",
        "_probed_at",
        "_readable",
        "_reason",
        "_said_goodbye_at",
        "_waiting",
        "address",
        "front",
        "proxied",
        "writer",
    )

    def __init__(self, line: Line, origin: Origin, floor: Floor, front_of: Callable[[Connection], Front]) -> None:
        self._line = line
        self._floor = floor
        self._greenlet = gevent.getcurrent()
        self._opened_at = self._heard_at = time.monotonic()
        self._hearing = self._waiting = False
        self._probed_at: float | None = None
        self._said_goodbye_at: float | None = None
        self._reason: str | None = None
        self.address = origin.address
        self.proxied = origin.proxied
        self.writer = Writer(line, floor.flusher, floor.watch, self.end)
        self.front = front_of(self)

    @property
    def leaving(self) -> bool:
        """Whether goodbye was said: nothing more is listened to."""
        return self._said_goodbye_at is not None

    @property
    def encrypted(self) -> bool:
        """Whether what is said here can be overheard by nobody on the way."""
        return self._line.encrypted

    @property
    def options(self) -> ServerOptions:
        return self._floor.options

    @property
    def transport(self) -> str:
        """What the bytes travel through: `plain`, or `tls` where they are encrypted."""
        return "tls" if self.encrypted else "plain"

    @property
    def floor(self) -> Floor:
        return self._floor

    def serve(self) -> None:
        """Read until the other end leaves or `end` is called. Raises nothing but what is a mistake of ours."""
        logs.event("connection_opened", address=self.address)
        try:
            self._open()
            self._read()
        except OSError as error:
            self._reason = self._reason or error.strerror
        finally:
            self._close()

    def goodbye(self, reason: str) -> None:
        """Listen to nothing more, write what is on its way, then close.

        The socket is closed only after the other end has closed its side (or `close_timeout`): closing it over bytes
        not yet read would reset the connection and take the last answer with it.
        """
        if not self.leaving:
            self._said_goodbye_at = time.monotonic()
            self._reason = self._reason or reason
            self.front.lost(reason)
            self.writer.finish(self._half_close)

    def end(self, reason: str) -> None:
        """End at once; what is not written is lost."""
        self._reason = self._reason or reason
        self.writer.close()
        if self._greenlet is not gevent.getcurrent():
            gevent.kill(self._greenlet)
        else:
            self._said_goodbye_at = self._said_goodbye_at or time.monotonic()

    def look_after(self, now: float) -> None:
        """Called now and then: ends what has waited too long, and probes what has been silent."""
        options = self._floor.options
        if self._said_goodbye_at is not None:
            if now - self._said_goodbye_at > options.close_timeout and not self.writer.blocked:
                self.end("did not close")
        elif self.front.name is None:
            if now - self._opened_at > options.login_timeout:
                self.goodbye("did not log in")
        elif self._hearing or self.writer.blocked:
            pass  # it is we who do not listen, or it is still reading what was written before
        elif now - self._heard_at > options.probe_after:
            self._probe(now)

    def _probe(self, now: float) -> None:
        if self._probed_at is None or self._probed_at < self._heard_at:
            self._probed_at = now if self.front.probe() else None
        elif now - self._probed_at > self._floor.options.probe_timeout:
            self.end("did not answer a probe")

    def _open(self) -> None:
        try:
            self._line.open(self._floor.options.tls_handshake_timeout)
        except OSError as error:
            self._floor.refused["not_tls" if isinstance(error, NotTls) else "handshake_failed"] += 1
            logs.event("handshake_failed", address=self.address, reason=error.strerror)
            raise

    def _read(self) -> None:
        receive, hear, wait = self._line.receive, self.front.hear, self._wait
        self._readable = self._floor.hub.loop.io(self._line.fileno(), READABLE)
        try:
            while True:
                # Waiting first: a recv that finds nothing costs an exception, and there is hardly ever something left.
                wait()
                try:
                    data = receive(RECEIVED_AT_ONCE)
                except BlockingIOError:
                    continue
                if not data:
                    return self._hung_up()
                self._heard_at = time.monotonic()
                if not self.leaving:
                    self._hearing = True
                    hear(data)
                    self._hearing = False
        finally:
            self._readable.close()

    def _wait(self) -> None:
        """Wait until the line is readable.

        `hub.wait` does the same, but makes a waiter each time, and starts and stops the watcher.
        """
        self._waiting = True
        if not self._readable.active:  # type: ignore[attr-defined]  # which the stubs forget
            self._readable.start(self._on_readable)
        try:
            self._floor.hub.switch()
        finally:
            self._waiting = False

    def _on_readable(self) -> None:
        if self._waiting:
            self._greenlet.switch()
        else:  # it waits for something else, and what has come is left in the kernel
            self._readable.stop()

    def _hung_up(self) -> None:
        """The other end has closed its side, perhaps only to say that it is done asking (`nc -N`)."""
        self.front.hung_up()
        self.writer.until_written()

    def _half_close(self) -> None:
        try:
            self._line.half_close()
        except OSError:
            self.end("left")

    def _close(self) -> None:
        reason = self._reason or "left"
        self.front.lost(reason)
        self.front.closed()
        self.writer.close()
        self._line.close()
        seconds = round(time.monotonic() - self._opened_at, 3)
        logs.event("connection_closed", address=self.address, name=self.front.name, reason=reason, seconds=seconds)
