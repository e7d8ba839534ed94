"""IRC as its listeners use it: the ports for TCP and TLS, and WebSockets."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.chat.messenger import Messenger
from gmessenger.config.options import ServerOptions
from gmessenger.errors import TlsRequired
from gmessenger.server.irc.network import IrcNetwork
from gmessenger.server.irc.protocol import OPENING_WORDS, IrcProtocol
from gmessenger.server.irc.replies import encode_refusal
from gmessenger.server.irc.users import UserRegistry
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.frontend import Frontend
from gmessenger.text_files import read_password_file
from gmessenger.wire.protocol_detection import EXPECTED, REJECTIONS, detect_protocol


def create_irc_frontend(
    messenger: Messenger, users: UserRegistry, options: Callable[[], ServerOptions], started_at: float
) -> Frontend:
    """Return the frontend of IRC for a messenger. `options` returns the present ones; `started_at`: Unix seconds.

    Raises `FileError` where the password of the server cannot be read.
    """
    file = options().irc_password_file
    network = IrcNetwork(messenger, users, options, started_at, read_password_file(file) if file else "")

    def make_protocol(connection: Connection) -> IrcProtocol:
        return IrcProtocol(connection, network)

    return Frontend("irc", make_protocol, encode_refusal, make_not_tls_reply)


def make_not_tls_reply(first_bytes: bytes) -> bytes:
    """Return the reply to a client of the TLS port that begins with these bytes."""
    protocol = detect_protocol(first_bytes, OPENING_WORDS) or EXPECTED
    return REJECTIONS.get(protocol, b"") if protocol != EXPECTED else encode_refusal(TlsRequired())
