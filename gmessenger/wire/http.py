"""HTTP/1.1, the server's end: requests in, responses out. `h11` reads and writes.

The requests of a connection are read one after the other: a head by `next_request`, its body by `next_data`, then
`respond` is called once. After a request that was not read to its end, or was refused, the connection ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import h11
from msgspec import Struct

MAX_HEAD: Final = 16_384  # bytes
PLAIN_TEXT: Final = "text/plain; charset=utf-8"
BODILESS: Final = frozenset({204, 304})
"""Statuses of responses that have no body."""
HeaderList = Iterable[tuple[str, str]]


class HttpHead(Struct, frozen=True):
    """The headers of a request or a response, by lower-case name; of several with one name, all, with commas."""

    headers: dict[str, str]

    def header(self, name: str) -> str:
        """Return a header by its lower-case name; empty where there is none."""
        return self.headers.get(name, "")

    def has_token(self, name: str, token: str) -> bool:
        """Return whether a header that is a list has a token, in any case."""
        return token in (each.strip().lower() for each in self.header(name).split(","))


class HttpRequest(HttpHead, frozen=True):
    """The head of a request."""

    method: str
    target: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class HttpResponse(Struct, frozen=True):
    """What a request is answered with. `headers` are those besides the length and type of the body."""

    status: int
    body: bytes = b""
    content_type: str = PLAIN_TEXT
    headers: tuple[tuple[str, str], ...] = ()


class HttpError(Exception):
    """A request that is refused: the status and the sentence that it is answered with."""

    def __init__(self, status: int, sentence: str, headers: HeaderList = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = tuple(headers)

    def response(self) -> HttpResponse:
        """Return the answer, of one line of text."""
        return HttpResponse(self.status, f"{self.sentence}\n".encode(), headers=self.headers)


class HttpCodec:
    """The requests and responses of one connection."""

    __slots__ = ("_connection", "answers_head", "declared_length")

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self.answers_head = False
        """Whether the present request asks for the head of the answer alone."""
        self.declared_length = 0
        """The bytes that the body of the present request has, if it says so beforehand."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing of the next request was received."""
        return self._connection.their_state is h11.IDLE and not self._connection.trailing_data[0]

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `accept_body` before it sends the body."""
        return bool(self._connection.they_are_waiting_for_100_continue)

    def receive(self, data: bytes) -> None:
        """Take bytes of the client; none at the end of what it sends, after which there MUST be no more."""
        self._connection.receive_data(data)

    def next_request(self) -> HttpRequest | None:
        """Return the head of the next request; None while it is not complete. Raises `HttpError`."""
        event = self._next_event()
        if not isinstance(event, h11.Request):
            return None
        self.answers_head = event.method == b"HEAD"
        headers = join_headers(event.headers)
        self.declared_length = int(headers.get("content-length", 0))
        if not self.declared_length and "transfer-encoding" not in headers:
            self._next_event()  # its end, so that the connection can go on whether a body is asked for or not
        return HttpRequest(headers, event.method.decode("ascii"), event.target.decode("latin-1"))

    def next_data(self) -> bytes | None:
        """Return the next bytes of the body, none at its end; None while more must be received. Raises `HttpError`."""
        if self._connection.their_state is not h11.SEND_BODY:
            return b""
        event = self._next_event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        return b"" if isinstance(event, h11.EndOfMessage) else None

    def take_rest(self) -> bytes:
        """Return the bytes received after the request."""
        return self._connection.trailing_data[0]

    def accept_body(self) -> bytes:
        """Return what has a client that `expects_continue` send the body."""
        return self._connection.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")) or b""

    def switch_protocols(self, headers: HeaderList) -> bytes:
        """Return the answer after which the connection is no HTTP any more. The request MUST have asked for that."""
        response = h11.InformationalResponse(status_code=101, headers=list(headers), reason=b"Switching Protocols")
        return self._connection.send(response) or b""

    def respond(self, response: HttpResponse, *, close: bool = False) -> bytes:
        """Return the bytes of the answer. `close`: the connection ends with it, as after what was not read whole."""
        head = self.begin_response(response, len(response.body), close=close)
        body = self.send_data(response.body) if response.body and not self.answers_head else b""
        return head + body + self.end_response()

    def begin_response(self, response: HttpResponse, length: int, *, close: bool = False) -> bytes:
        """Return the head of an answer whose body, of so many bytes, follows by `send_data` and `end_response`."""
        headers = list(response.headers)
        if response.status not in BODILESS:
            headers += [("Content-Type", response.content_type), ("Content-Length", str(length))]
        if close or self._connection.their_state in (h11.IDLE, h11.SEND_BODY, h11.ERROR):
            headers.append(("Connection", "close"))
        reason = HTTPStatus(response.status).phrase.encode()
        return self._connection.send(h11.Response(status_code=response.status, headers=headers, reason=reason)) or b""

    def send_data(self, data: bytes) -> bytes:
        """Return the bytes of a part of the body. MUST NOT be called where `answers_head`."""
        return self._connection.send(h11.Data(data=data)) or b""

    def end_response(self) -> bytes:
        """Return what ends the answer, of which all that was announced MUST have been sent."""
        return self._connection.send(h11.EndOfMessage()) or b""

    def start_next(self) -> bool:
        """Begin with the next request; return whether there may be one."""
        connection = self._connection
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return False
        connection.start_next_cycle()
        return True

    def _next_event(self) -> object:
        try:
            return self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise _refuse(error) from None


def join_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name; of several with one name, all, with commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _refuse(error: h11.RemoteProtocolError) -> HttpError:
    sentence = "The head of the request is too long." if error.error_status_hint == 431 else "This is no HTTP."
    return HttpError(error.error_status_hint, sentence)
