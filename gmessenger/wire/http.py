"""HTTP/1.1, the server's end: the head of a request in, its answer out. `h11` reads and writes.

A request has no body here, or is answered without reading it; the connection then ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import h11
from msgspec import Struct

MAX_HEAD: Final = 16_384  # bytes
HeaderList = Iterable[tuple[str, str]]


class HttpRequest(Struct, frozen=True):
    """The head of a request. `headers`: by lower-case name; of several with one name, all, with commas."""

    method: str
    target: str
    headers: dict[str, str]

    def header(self, name: str) -> str:
        """Return a header by its lower-case name; empty where there is none."""
        return self.headers.get(name, "")

    def has_token(self, name: str, token: str) -> bool:
        """Return whether a header that is a list has a token, in any case."""
        return token in (each.strip().lower() for each in self.header(name).split(","))


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
        headers: dict[str, str] = {}
        for raw_name, raw_value in event.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return HttpRequest(event.method.decode("ascii"), event.target.decode("latin-1"), headers)

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
