"""HTTP/1.1, the client's end of an upgrade: one request out, the head of its response in. `h11` reads and writes.

The body of a response is not read: the connection ends, or is no HTTP any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import h11
from msgspec import Struct

from gmessenger.wire.http import MAX_HEAD, HeaderList

SWITCHING_PROTOCOLS: Final = 101


class ResponseHead(Struct, frozen=True):
    """The head of a response.

    reason: what the server calls the status; may be empty. headers: by lower-case name; of several with one name, all,
    with commas.
    """

    status: int
    reason: str
    headers: dict[str, str]

    def header(self, name: str) -> str:
        """Return a header by its lower-case name; empty where there is none."""
        return self.headers.get(name, "")

    def has_token(self, name: str, token: str) -> bool:
        """Return whether a header that is a list has a token, in any case."""
        return token in (each.strip().lower() for each in self.header(name).split(","))


class HttpClientCodec:
    """One request of a client that asks for another protocol, and the response to it."""

    __slots__ = ("_connection",)

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    def request(self, target: str, headers: HeaderList) -> bytes:
        """Return a GET request, which MUST ask for an upgrade."""
        request = self._connection.send(h11.Request(method="GET", target=target, headers=list(headers))) or b""
        return request + (self._connection.send(h11.EndOfMessage()) or b"")

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
        return ResponseHead(event.status_code, event.reason.decode("latin-1"), _join(event.headers))

    def take_rest(self) -> bytes:
        """Return the bytes received after the response that switched the protocol."""
        return self._connection.trailing_data[0]


def _join(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
