"""What a listener has to know of the protocol that is spoken there: how its connections begin, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gmessenger.errors import WireError
from gmessenger.server.net.connection import Connection, ConnectionProtocol


@dataclass(frozen=True, slots=True)
class Frontend:
    """A protocol, as the listeners that speak it use it; `name` is its label in metrics.

    make_protocol: makes the protocol of a connection, in the greenlet of the connection.
    encode_refusal: encodes an error for a client that is not admitted.
    make_not_tls_reply: returns what a client of a TLS port is sent that begins with these bytes, which are not TLS.
    """

    name: str
    make_protocol: Callable[[Connection], ConnectionProtocol]
    encode_refusal: Callable[[WireError], bytes]
    make_not_tls_reply: Callable[[bytes], bytes]
