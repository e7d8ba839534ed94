"""HTTP/1.1, the client's end: one request out, the head of its response in. `h11` reads and writes.

The body of a response is not read: the connection ends, or is no HTTP any more.
"""

from __future__ import annotations

from typing import Final

import h11

from gmessenger.wire.http import MAX_HEAD, HeaderList, HttpHead, join_headers

SWITCHING_PROTOCOLS: Final = 101


class ResponseHead(HttpHead, frozen=True):
    """The head of a response. `reason`: what the server calls the status; may be empty."""

    status: int
    reason: str


class HttpClientCodec:
    """One request of a client, and the response to it."""

    __slots__ = ("_connection",)

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    def request(self, target: str, headers: HeaderList) -> bytes:
        """Return a GET request, which MUST ask for an upgrade."""
        request = self._connection.send(h11.Request(method="GET", target=target, headers=list(headers))) or b""
        return request + (self._connection.send(h11.EndOfMessage()) or b"")

    def post(self, target: str, headers: HeaderList, body: bytes) -> bytes:
        """Return a POST request with a body, after whose response the connection ends."""
        all_headers = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
        head = self._connection.send(h11.Request(method="POST", target=target, headers=all_headers)) or b""
        data = self._connection.send(h11.Data(data=body)) or b""
        return head + data + (self._connection.send(h11.EndOfMessage()) or b"")

    def receive(self, data: bytes) -> ResponseHead | None:
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
        return ResponseHead(join_headers(event.headers), event.status_code, event.reason.decode("latin-1"))

    def take_rest(self) -> bytes:
        """Return the bytes received after the response that switched the protocol."""
        return self._connection.trailing_data[0]
