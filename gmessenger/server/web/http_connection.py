"""The HTTP requests of one connection, answered one after the other, in the connection's greenlet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import gevent
from gevent import Timeout, with_timeout
from gevent import socket as waiting

from gmessenger.config.options import ServerOptions
from gmessenger.server.net.transport import Transport
from gmessenger.server.web.websocket_spec import WebSocketSpec
from gmessenger.timeslice import YIELD_DELAY, TimeSlice
from gmessenger.wire.http import HttpCodec, HttpError, HttpRequest, HttpResponse
from gmessenger.wire.websocket_lines import LineFraming

READ_CHUNK: Final = 65_536  # bytes
PIECE: Final = 65_536  # bytes of a body that are read or sent at a time
LATE_BODY: Final = "The body has not arrived in time."
MAX_REQUESTS: Final = 100  # of one connection
LINGER_TIMEOUT: Final = 1.0  # seconds for a client that is refused to read why


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The answer to a request after which its connection is a WebSocket, with one framing of a protocol."""

    headers: tuple[tuple[str, str], ...]
    spec: WebSocketSpec
    framing: LineFraming


class BodySource(Protocol):
    """Where the body of a streamed response is read from. Methods block the greenlet, and raise OSError."""

    def read(self, offset: int, length: int) -> bytes:
        """Return at most so many bytes from an offset on."""

    def close(self) -> None:
        """Close it: the response was sent, or could not be."""


class StreamedResponse(HttpResponse, frozen=True, kw_only=True):
    """A response whose body is read while it is sent: the bytes of `source` from `start` to before `end`."""

    source: BodySource
    start: int
    end: int


Answer = HttpResponse | Upgrade


class RequestBody:
    """The body of the present request of a connection; read once, in its greenlet."""

    def __init__(self, connection: HttpConnection, declared_length: int) -> None:
        self._connection = connection
        self.declared_length = declared_length
        """The bytes that it has, if the request says so beforehand; else 0."""

    def __call__(self, max_length: int) -> bytes:
        """Return all of it, which must arrive within `web_timeout`. Blocks. Raises `HttpError`, and OSError."""
        return self._connection.read_body(max_length)

    def iter_pieces(self, max_length: int) -> Iterator[bytes]:
        """Yield it in pieces of `PIECE` bytes, the last one shorter; each must arrive within `web_timeout`.

        Blocks. Raises `HttpError` 413 where it is longer, 400 where it ends early, 408, and OSError.
        """
        return self._connection.iter_body(max_length)


class HttpConnection:
    """Reads requests from a transport, has them answered, and closes nothing: who made it owns the transport."""

    def __init__(
        self,
        transport: Transport,
        options: Callable[[], ServerOptions],
        respond: Callable[[HttpRequest, RequestBody], Answer],
        finish: Callable[[HttpResponse], HttpResponse],
    ) -> None:
        """`respond` answers a request, or raises `HttpError`; `finish` adds the headers that all responses have."""
        self._transport = transport
        self._options = options
        self._respond = respond
        self._finish = finish
        self._codec = HttpCodec()
        self._time_slice = TimeSlice()
        self._greenlet = gevent.getcurrent()
        self._is_waiting = self._is_last = False

    def serve(self) -> Upgrade | None:
        """Answer requests until there are no more (None), or one changes the protocol. Blocks. Raises OSError.

        A request that does not arrive in time, or is none, is answered, and ends the connection.
        """
        for left in range(MAX_REQUESTS, 0, -1):
            if left < MAX_REQUESTS:  # pipelined requests never block, and each is expensive
                gevent.sleep(YIELD_DELAY)
            try:
                answer = self._answer_next()
            except HttpError as error:
                self.refuse(error)
                return None
            if not isinstance(answer, HttpResponse):
                return answer
            close = self._is_last or left == 1
            self._send_response(self._finish(answer), close=close)
            if close or not self._codec.start_next():
                self._linger()
                return None
        return None

    def refuse(self, error: HttpError) -> None:
        """Answer whatever was requested with an error, and end what is sent. Blocks for about a second at most."""
        with suppress(OSError):
            self._send(self._codec.respond(self._finish(error.response()), close=True))
            self._linger()

    def close_when_idle(self) -> None:
        """End the connection: at once if it waits for a request, else with the response to the present one."""
        self._is_last = True
        if self._is_waiting:
            gevent.kill(self._greenlet)

    def _answer_next(self) -> Answer | None:
        request = self._read_head()
        if request is None:
            return None
        try:
            answer = self._respond(request, RequestBody(self, self._codec.declared_length))
        except HttpError as error:
            return error.response()
        if isinstance(answer, Upgrade):
            if self._codec.take_rest():
                raise HttpError(400, "Nothing may be sent before the answer.")
            self._send(self._codec.switch_protocols(answer.headers))
        return answer

    def _read_head(self) -> HttpRequest | None:
        """Return the next request; None if the client sends none. Raises `HttpError`."""
        if self._codec.is_idle and not self._wait_for_first_bytes():
            return None
        with Timeout(self._options().web_timeout, HttpError(408, "The request has not arrived in time.")):
            while (request := self._codec.next_request()) is None:
                self._codec.receive(self._receive())
        return request

    def _wait_for_first_bytes(self) -> bool:
        self._is_waiting = True
        try:
            data = with_timeout(self._options().web_timeout, self._receive, timeout_value=b"")
        finally:
            self._is_waiting = False
        self._codec.receive(data)
        return bool(data)

    def read_body(self, max_length: int) -> bytes:
        """Return the body of the present request; see `RequestBody`."""
        with Timeout(self._options().web_timeout, HttpError(408, LATE_BODY)):
            self._accept_body(max_length)
            return self._read_piece(None, max_length)

    def iter_body(self, max_length: int) -> Iterator[bytes]:
        """Yield the body of the present request in pieces; see `RequestBody`."""
        self._accept_body(max_length)
        left = max_length
        while True:
            with Timeout(self._options().web_timeout, HttpError(408, LATE_BODY)):
                piece = self._read_piece(PIECE, left)
            if not piece:
                return
            left -= len(piece)
            yield piece
            self._time_slice.yield_if_expired()  # a client on this machine may send without a pause

    def _accept_body(self, max_length: int) -> None:
        """Have the client send the body. Raises `HttpError` where it says that it is too long."""
        if self._codec.declared_length > max_length:
            raise _too_large(max_length)
        if self._codec.expects_continue:
            self._send(self._codec.accept_body())

    def _read_piece(self, size: int | None, max_length: int) -> bytes:
        """Return the next bytes of the body, `size` or a few more of them, unless it ends; None for all.

        Raises `HttpError` where they are more than `max_length`.
        """
        piece = bytearray()
        while size is None or len(piece) < size:
            data = self._codec.next_data()
            if data is None:
                self._codec.receive(self._receive())
                continue
            if not data:
                break
            piece += data
            if len(piece) > max_length:
                raise _too_large(max_length)
        return bytes(piece)

    def _receive(self) -> bytes:
        """Return the next bytes, none at the end. Blocks."""
        while True:
            try:
                return self._transport.recv(READ_CHUNK)
            except BlockingIOError:
                waiting.wait_read(self._transport.fileno())

    def _send(self, data: bytes) -> None:
        """Send all of it. Blocks while the client reads. Raises OSError if it reads nothing for `write_timeout`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._transport.send(rest) :]
            except BlockingIOError:
                waiting.wait_write(self._transport.fileno(), self._options().write_timeout)

    def _send_response(self, response: HttpResponse, *, close: bool) -> None:
        """Send a response. Blocks while the client reads. Raises OSError."""
        if not isinstance(response, StreamedResponse):
            return self._send(self._codec.respond(response, close=close))
        try:
            self._send(self._codec.begin_response(response, response.end - response.start, close=close))
            offset = response.end if self._codec.answers_head else response.start
            while offset < response.end:
                data = response.source.read(offset, min(PIECE, response.end - offset))
                if not data:
                    raise ConnectionAbortedError("The content is shorter than it was.")
                self._send(self._codec.send_data(data))
                offset += len(data)
                self._time_slice.yield_if_expired()
            self._send(self._codec.end_response())
        finally:
            response.source.close()
        return None

    def _linger(self) -> None:
        """Send nothing more, and read for a while: closing over unread bytes would lose the response."""
        with suppress(OSError), Timeout(LINGER_TIMEOUT, TimeoutError()):
            self._transport.shutdown_write()
            while self._receive():
                pass


def _too_large(max_length: int) -> HttpError:
    return HttpError(413, f"The body may have {max_length} bytes at most.")
