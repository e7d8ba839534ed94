"""The server's side of the WebSocket handshake (RFC 6455, section 4.2)."""

from __future__ import annotations

import base64
import binascii

from websockets.utils import accept_key

from gmessenger.server.web.http_connection import Upgrade
from gmessenger.server.web.routes import WebRequest
from gmessenger.wire.http import HttpError
from gmessenger.wire.websocket_handshake import KEY_BYTES, SUBPROTOCOL, WEBSOCKET_VERSION


def accept_websocket(request: WebRequest) -> Upgrade:
    """Return the headers that accept a WebSocket. Raises `HttpError`."""
    http = request.http
    is_upgrade = http.has_token("upgrade", "websocket") and http.has_token("connection", "upgrade")
    if not is_upgrade or http.method != "GET" or http.header("sec-websocket-version") != WEBSOCKET_VERSION:
        headers = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Version", WEBSOCKET_VERSION)]
        raise HttpError(426, "A WebSocket of version 13 is expected here.", headers)
    key = http.header("sec-websocket-key")
    if not _is_key(key):
        raise HttpError(400, "The key of the WebSocket is not valid.")
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]
    if http.has_token("sec-websocket-protocol", SUBPROTOCOL):
        headers.append(("Sec-WebSocket-Protocol", SUBPROTOCOL))
    return Upgrade(tuple(headers))


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
