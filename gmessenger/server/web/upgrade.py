"""The server's side of the WebSocket handshake (RFC 6455, section 4.2)."""

from __future__ import annotations

import base64
import binascii

from websockets.utils import accept_key

from gmessenger.server.web.http_connection import Upgrade
from gmessenger.server.web.websocket_spec import WebSocketSpec
from gmessenger.wire.http import HttpError, HttpRequest
from gmessenger.wire.websocket_handshake import KEY_BYTES, WEBSOCKET_VERSION


def accept_websocket(request: HttpRequest, spec: WebSocketSpec) -> Upgrade:
    """Return the answer that accepts a WebSocket. Raises `HttpError`."""
    is_upgrade = request.has_token("upgrade", "websocket") and request.has_token("connection", "upgrade")
    if not is_upgrade or request.method != "GET" or request.header("sec-websocket-version") != WEBSOCKET_VERSION:
        headers = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Version", WEBSOCKET_VERSION)]
        raise HttpError(426, "A WebSocket of version 13 is expected here.", headers)
    key = request.header("sec-websocket-key")
    if not _is_key(key):
        raise HttpError(400, "The key of the WebSocket is not valid.")
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]
    subprotocol = _choose_subprotocol(request, spec)
    if not subprotocol:
        return Upgrade(tuple(headers), spec, spec.framing)
    headers.append(("Sec-WebSocket-Protocol", subprotocol))
    return Upgrade(tuple(headers), spec, spec.subprotocols[subprotocol])


def _choose_subprotocol(request: HttpRequest, spec: WebSocketSpec) -> str:
    """Return the first subprotocol of the client's that there is; empty for none. Raises `HttpError`."""
    wanted = [name for name in map(str.strip, request.header("sec-websocket-protocol").split(",")) if name]
    common = [name for name in wanted if name in spec.subprotocols]
    if wanted and not common and spec.is_strict:
        raise HttpError(400, f"There are other subprotocols here: {', '.join(spec.subprotocols)}.")
    return common[0] if common else ""


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
