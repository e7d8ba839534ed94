"""The client's end of the handshake of a WebSocket (RFC 6455, 4.1): the request out, the server's response in."""

from __future__ import annotations

import base64
from typing import Final

from websockets.utils import accept_key

from gmessenger.wire.http_client import SWITCHING_PROTOCOLS, HttpClientCodec, ResponseHead
from gmessenger.wire.websocket_lines import JIM_SUBPROTOCOL

WEBSOCKET_VERSION: Final = "13"
KEY_BYTES: Final = 16


class ClientHandshake:
    """One handshake: send `request`, feed `receive` until it returns a response, then ask `find_fault`."""

    __slots__ = ("_host", "_http", "_key", "_target")

    def __init__(self, host: str, target: str, nonce: bytes) -> None:
        """`host`: as the header `Host`; `target`: path and query; `nonce`: `KEY_BYTES` random bytes."""
        self._host = host
        self._target = target
        self._key = base64.b64encode(nonce).decode()
        self._http = HttpClientCodec()

    def request(self) -> bytes:
        """Return the request. It has no `Origin`: that is for pages."""
        headers = [("Host", self._host), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
        headers += [("Sec-WebSocket-Version", WEBSOCKET_VERSION), ("Sec-WebSocket-Key", self._key)]
        return self._http.request(self._target, [*headers, ("Sec-WebSocket-Protocol", JIM_SUBPROTOCOL)])

    def receive(self, data: bytes) -> ResponseHead | None:
        """Return the response once its head is complete, else None. Raises ValueError if the bytes are no such head."""
        return self._http.receive(data)

    def take_rest(self) -> bytes:
        """Return the bytes received after a response without a fault: they are of the WebSocket."""
        return self._http.take_rest()

    def find_fault(self, response: ResponseHead) -> str:
        """Return why a response opens no WebSocket; empty if it does."""
        if response.status != SWITCHING_PROTOCOLS:
            return f"HTTP {response.status}"
        if not (response.has_token("upgrade", "websocket") and response.has_token("connection", "upgrade")):
            return "it upgrades to something else"
        if response.header("sec-websocket-accept") != accept_key(self._key):
            return "a wrong Sec-WebSocket-Accept"
        if response.header("sec-websocket-extensions"):
            return "an extension that was not offered"
        if response.header("sec-websocket-protocol") not in ("", JIM_SUBPROTOCOL):
            return "a subprotocol that was not offered"
        return ""
