"""Routes of the web endpoint, and the server's side of the WebSocket handshake (RFC 6455, section 4.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

from websockets.utils import accept_key

from gmessenger.server.web.origins import OriginPolicy, WebAddress
from gmessenger.wire.http import HeaderList, HttpError, HttpRequest

WEBSOCKET_VERSION: Final = "13"
KEY_BYTES: Final = 16
SUBPROTOCOL: Final = "jim.2"


def accept_websocket(request: HttpRequest) -> HeaderList:
    """Return the headers that accept a WebSocket. Raises `HttpError`."""
    is_upgrade = request.has_token("upgrade", "websocket") and request.has_token("connection", "upgrade")
    if not is_upgrade or request.header("sec-websocket-version") != WEBSOCKET_VERSION:
        headers = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Version", WEBSOCKET_VERSION)]
        raise HttpError(426, "A WebSocket of version 13 is expected here.", headers)
    key = request.header("sec-websocket-key")
    try:
        is_valid = len(base64.b64decode(key, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        is_valid = False
    if not is_valid:
        raise HttpError(400, "The key of the WebSocket is not valid.")
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_key(key))]
    if request.has_token("sec-websocket-protocol", SUBPROTOCOL):
        headers.append(("Sec-WebSocket-Protocol", SUBPROTOCOL))
    return headers


ROUTES: Final[dict[str, Callable[[HttpRequest], HeaderList]]] = {"/jim": accept_websocket}
"""What a path is for: each returns the headers of its WebSocket. All are GET."""


def route(request: HttpRequest, place: WebAddress, policy: OriginPolicy) -> HeaderList:
    """Return the headers that accept the request's WebSocket. Raises `HttpError`."""
    policy.check_host(request, place)
    find = ROUTES.get(request.target.partition("?")[0])
    if find is None:
        raise HttpError(404, "There is nothing here.")
    if request.method != "GET":
        raise HttpError(405, "Only GET is allowed here.", [("Allow", "GET")])
    policy.check_origin(request, place)
    return find(request)
