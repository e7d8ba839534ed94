"""Connections by WebSocket. Import it where it is needed only: `websockets` and `h11` load slowly."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin

from gevent import Timeout, socket
from websockets.protocol import Side

from gmessenger.client.config import Timeouts
from gmessenger.client.connection import (
    MAX_FIRST_BYTES,
    MAX_FRAME,
    MAX_SHOWN_ANSWER,
    RECV_CHUNK,
    TLS_ALERT_PREFIX,
    ForeignServer,
    ServerBusy,
    ServerConnection,
)
from gmessenger.server_urls import ServerUrl, parse_server_url
from gmessenger.text import Fragment, Text
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.event_decoder import FRAME_TOO_LONG
from gmessenger.wire.http_client import SWITCHING_PROTOCOLS, ResponseHead
from gmessenger.wire.websocket import WebSocketCodec, encode_masked_messages
from gmessenger.wire.websocket_handshake import KEY_BYTES, ClientHandshake

NORMAL_CLOSE_CODES: Final = frozenset({1000, 1001, 1005})
"""Closes that say no more than that it is over."""
NORMAL_CLOSE: Final = 1000
HTTP_START: Final = b"HTTP/"
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
REFUSALS: Final = {
    400: Text(
        "that port does not take this request (HTTP 400); check the port, and whether the URL begins with wss://"
    ),
    403: Text("the web server does not let this client in (HTTP 403)"),
    404: Text("the web server has nothing at this path (HTTP 404); most often it is /jim"),
    421: Text("the server does not know this host name as its own (HTTP 421); its operator can set --web-url"),
    426: Text("the web server, or a proxy before it, passes no WebSockets on (HTTP 426)"),
}
"""Why a server opens no WebSocket, where a status has one meaning."""
TEMPORARY_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 531)})
"""Statuses of a server that may let the same request in later; from 520 on, those of Cloudflare."""


class WebSocketConnection(ServerConnection):
    """A WebSocket: each frame of JIM is a message.

    Pings are answered by the greenlet that reads, unless the other one is sending: then by that one, behind its frame.
    """

    def __init__(self, sock: socket.socket, received: bytes = b"") -> None:
        """`received`: what came behind the handshake."""
        super().__init__(sock)
        self._codec = WebSocketCodec(MAX_FRAME, Side.CLIENT)
        self._unsent = b""  # of replies that the socket has not taken whole
        if received:
            self._decode(received)

    def send(self, data: bytes, timeouts: Timeouts) -> None:
        super().send(data, timeouts)
        while replies := self._codec.take_replies():  # the reader does not send while this greenlet does
            self._send_bytes(replies, timeouts)

    def _encode(self, frames: bytes) -> bytes:
        unsent, self._unsent = self._unsent, b""
        return unsent + encode_masked_messages(frames)

    def _encode_last(self, frames: bytes) -> bytes:
        return self._encode(frames) + self._codec.close(NORMAL_CLOSE)

    def _decode(self, data: bytes) -> bool:
        lines = self._codec.receive(data)
        if lines:
            super()._decode(lines)
        self._send_replies()
        if self._codec.is_closed:
            self._error = self._error or ConnectionError(_describe_end(self._codec))
        return not self._codec.received_control_only

    def _send_replies(self) -> None:
        """Send what the codec answers, without blocking: a reader that waits for its server to read might never end.

        What the socket does not take is sent with the next frames, or tried again at the next read.
        """
        if self._sending:
            return
        with suppress(OSError):  # the next read tells
            self._unsent = self._unsent[self._send_now(self._unsent) :]
            if not self._unsent:
                replies = self._codec.take_replies()
                self._unsent = replies[self._send_now(replies) :]

    def _send_now(self, data: bytes) -> int:
        if not data:
            return 0
        self._socket.settimeout(0.0)
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        finally:
            self._socket.settimeout(None)


def open_websocket(sock: socket.socket, url: ServerUrl, timeout: float) -> WebSocketConnection:
    """Do the handshake on a connected socket, which this takes over, within `timeout` seconds. Blocks.

    Raises `ServerBusy` if the server may let us in later, `ForeignServer` if it opens no WebSocket, and OSError.
    """
    sock.settimeout(None)
    handshake = ClientHandshake(url.host_header, url.target, secrets.token_bytes(KEY_BYTES))
    try:
        with Timeout(max(timeout, 0.0), TimeoutError(Text("connected, but the server has not opened a WebSocket"))):
            sock.sendall(handshake.request())
            response = _read_response(sock, handshake)
        if response.status != SWITCHING_PROTOCOLS:
            raise _refusal(response, url)
        if fault := handshake.find_fault(response):
            raise ForeignServer(Text("the server opens no valid WebSocket ({fault})", fault=fault))
        return WebSocketConnection(sock, handshake.take_rest())
    except BaseException:
        sock.close()
        raise


def _read_response(sock: socket.socket, handshake: ClientHandshake) -> ResponseHead:
    time_slice, first_bytes = TimeSlice(), b""
    while True:
        time_slice.yield_if_expired()  # or the timeout would not fire while a server sends without a pause
        data = sock.recv(RECV_CHUNK)
        first_bytes = (first_bytes + data)[:MAX_FIRST_BYTES]
        if not HTTP_START.startswith(first_bytes[: len(HTTP_START)]):
            raise _describe_foreign(first_bytes)  # before a head that may never end
        try:
            response = handshake.receive(data)
        except ValueError:
            raise _describe_foreign(first_bytes) from None
        if response is not None:
            return response


def _describe_foreign(first_bytes: bytes) -> OSError:
    """Return the error for an answer that is not HTTP."""
    if not first_bytes:
        return ConnectionError(Text("the server closed the connection"))
    if first_bytes.startswith(TLS_ALERT_PREFIX):
        return ConnectionError(Text("that port expects TLS: the URL has to begin with wss://"))
    return ForeignServer.answering(first_bytes)


def _refusal(response: ResponseHead, url: ServerUrl) -> OSError:
    """Return the error for a response that opens no WebSocket."""
    status = response.status
    if status in TEMPORARY_STATUSES:
        reason = Text("the server is not available just now (HTTP {status})", status=status)
        return ServerBusy(reason, _retry_after(response.header("retry-after")))
    if status in REDIRECTS and (location := response.header("location")):
        return ForeignServer(Text("the server has moved to {place}", place=_describe_location(location, url)))
    if status in REFUSALS:
        return ForeignServer(REFUSALS[status])
    answer = f"{status} {response.reason[:MAX_SHOWN_ANSWER]}".rstrip()
    return ForeignServer(Text("a web server answered, and opened no WebSocket (HTTP {answer})", answer=answer))


def _describe_location(location: str, url: ServerUrl) -> str:
    """Return the URL that a redirect points to, as one would give it to the client."""
    scheme = "https" if url.is_encrypted else "http"
    place = urljoin(f"{scheme}://{url.host_header}{url.target}", location)
    try:
        return str(parse_server_url(place))
    except ValueError:
        return place[:MAX_SHOWN_ANSWER]


def _retry_after(value: str) -> float | None:
    """Return the seconds of a `Retry-After` (RFC 9110, 10.2.3): a number, or a date; None if it is neither."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def _describe_end(codec: WebSocketCodec) -> Text:
    """Return why a WebSocket has ended, to stand at the end of a sentence."""
    if codec.is_oversized:
        return Fragment(FRAME_TOO_LONG)
    if codec.fault:
        return Text("the server broke the WebSocket protocol ({fault})", fault=codec.fault)
    code, reason = codec.received_close or (0, "")
    if code in NORMAL_CLOSE_CODES:
        return Text("the server closed the connection")
    return Text("the server closed the connection ({reason})", reason=f"{code} {reason}".rstrip())
