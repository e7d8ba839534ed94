"""JIM as its listeners use it: the ports for TCP and TLS, and WebSockets."""

from __future__ import annotations

import time

from gmessenger.chat.messenger import Messenger
from gmessenger.errors import TlsRequired, WireError
from gmessenger.server.jim.protocol import JimProtocol
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.frontend import Frontend
from gmessenger.wire.encoder import encode_error
from gmessenger.wire.protocol_detection import EXPECTED, REJECTIONS, detect_protocol


def create_jim_frontend(messenger: Messenger) -> Frontend:
    """Return the frontend of JIM for a messenger."""

    def make_protocol(connection: Connection) -> JimProtocol:
        return JimProtocol(connection, messenger)

    return Frontend("jim", make_protocol, encode_refusal, make_not_tls_reply)


def encode_refusal(error: WireError) -> bytes:
    """Encode an error for a client that is not admitted."""
    return encode_error(error, time.time())


def make_not_tls_reply(first_bytes: bytes) -> bytes:
    """Return the reply to a client of the TLS port that begins with these bytes."""
    protocol = detect_protocol(first_bytes) or EXPECTED
    return REJECTIONS.get(protocol, b"") if protocol != EXPECTED else encode_refusal(TlsRequired())
