"""HTTP/1.1, both ends: the head of a request and of its response, in and out. `h11` reads and writes.

A request has no body here, or is answered without reading it; the connection then ends. Nor is the body of a response
read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import h11
from msgspec import Struct

MAX_HEAD: Final = 16_384  # bytes
SWITCHING_PROTOCOLS: Final = 101
HeaderList = Iterable[tuple[str, str]]


class HttpHead(Struct, frozen=True):
    """What requests and responses have. `headers`: by lower-case name; of several with one name, all, with commas."""

    headers: dict[str, str]

    def header(self, name: str) -> str:
        """Return a header by its lower-case name; empty where there is none."""
        return self.headers.get(name, "")

    def has_token(self, name: str, token: str) -> bool:
        """Return whether a header that is a list has a token, in any case."""
        return token in (each.strip().lower() for each in self.header(name).split(","))


class HttpRequest(HttpHead, frozen=True, kw_only=True):
    """The head of a request."""

    method: str
    target: str


class HttpResponse(HttpHead, frozen=True, kw_only=True):
    """The head of a response. `reason`: what the server calls the status; may be empty."""

    status: int
    reason: str


class HttpError(Exception):
    """A request that is refused: the status and the sentence that it is answered with."""

    def __init__(self, status: int, sentence: str, headers: HeaderList = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = tuple(headers)


class HttpCodec:
    """One connection's first request and the answer to it."""

    __slots__ = ("_connection", "_has_body")

    def __init__(self) -> None:
        self._has_body = True
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    def receive(self, data: bytes) -> HttpRequest | None:
        """Return the request once its head is complete, else None. Raises `HttpError` if the bytes are not HTTP."""
        try:
            self._connection.receive_data(data)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            sentence = "The head of the request is too long." if error.error_status_hint == 431 else "This is no HTTP."
            raise HttpError(error.error_status_hint, sentence) from None
        if not isinstance(event, h11.Request):
            return None
        self._has_body = event.method != b"HEAD"
        return HttpRequest(
            method=event.method.decode("ascii"), target=event.target.decode("latin-1"), headers=_join(event.headers)
        )

    def take_rest(self) -> bytes:
        """Return the bytes received after the request's head."""
        return self._connection.trailing_data[0]

    def switch_protocols(self, headers: HeaderList) -> bytes:
        """Return the answer after which the connection is no HTTP any more. The request MUST have asked for that."""
        response = h11.InformationalResponse(status_code=101, headers=list(headers), reason=b"Switching Protocols")
        return self._connection.send(response) or b""

    def refuse(self, error: HttpError) -> bytes:
        """Return an answer of one line, after which the connection ends."""
        body = f"{error.sentence}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        headers += [("Connection", "close"), *error.headers]
        response = h11.Response(status_code=error.status, headers=headers)
        answer = self._connection.send(response) or b""
        return answer + (self._connection.send(h11.Data(data=body)) or b"" if self._has_body else b"")


class HttpClientCodec:
    """One request of a client that asks for another protocol, and the response to it."""

    __slots__ = ("_connection",)

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    def request(self, target: str, headers: HeaderList) -> bytes:
        """Return a GET request, which MUST ask for an upgrade."""
        request = self._connection.send(h11.Request(method="GET", target=target, headers=list(headers))) or b""
        return request + (self._connection.send(h11.EndOfMessage()) or b"")

    def receive(self, data: bytes) -> HttpResponse | None:
        """Return the response once its head is complete, else None. Preliminary ones (103) are skipped.

        `data` is empty at the end of the connection. Raises ValueError if the bytes are not HTTP, or the head does not
        end.
        """
        try:
            self._connection.receive_data(data)
            while isinstance(event := self._connection.next_event(), h11.InformationalResponse):
                if event.status_code == SWITCHING_PROTOCOLS:
                    break
        except h11.RemoteProtocolError as error:
            raise ValueError(str(error)) from None
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            return None
        return HttpResponse(
            status=event.status_code, reason=event.reason.decode("latin-1"), headers=_join(event.headers)
        )

    def take_rest(self) -> bytes:
        """Return the bytes received after the response that switched the protocol."""
        return self._connection.trailing_data[0]


def _join(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
