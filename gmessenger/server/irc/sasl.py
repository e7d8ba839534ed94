"""SASL, by password (PLAIN) or certificate (EXTERNAL).

Before the registration it logs in, and later it makes a guest's connection an account's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

from gmessenger.chat.auth import LoginRequest
from gmessenger.errors import WireError, WrongPassword
from gmessenger.server.irc.accounts import take_over
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler, SaslExchange
from gmessenger.server.irc.registration import EXTERNAL, PLAIN, end_link, log_in, make_login, mechanisms
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.welcome import say_logged_in
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.numerics import (
    ERR_SASLABORTED,
    ERR_SASLALREADY,
    ERR_SASLFAIL,
    ERR_SASLTOOLONG,
    RPL_SASLMECHS,
    RPL_SASLSUCCESS,
)

SASL_CHUNK: Final = 400
"""Characters of a full AUTHENTICATE parameter: another follows it."""
MAX_SASL: Final = 8 * SASL_CHUNK
"""Characters of a response: the longest password, and twice the longest name and device, have 3080 in base64."""
PLAIN_PARTS: Final = 3
MAX_LOGIN_FAILURES: Final = 3
"""Wrong passwords or certificates after which the connection is closed."""


def authenticate(handler: IrcHandler, line: Line) -> None:
    """Handle AUTHENTICATE."""
    registration = handler.registration
    if handler.session is not None and handler.session.account is not None:
        handler.reply(ERR_SASLALREADY)
    elif Capability.SASL not in handler.capabilities:
        handler.reply(ERR_SASLFAIL)
    elif not registration.is_admitted:
        handler.reply(ERR_SASLFAIL, text="SASL authentication failed: the password of the server comes first (PASS)")
    elif line.params[0] == "*":
        handler.reply(ERR_SASLABORTED)
        registration.sasl = None
    elif registration.sasl is None:
        _start_sasl(handler, line.params[0])
    else:
        _continue_sasl(handler, registration.sasl, line.params[0])


def _start_sasl(handler: IrcHandler, name: str) -> None:
    mechanism = name.upper()
    if mechanism not in MECHANISMS:
        handler.reply(RPL_SASLMECHS, mechanisms(handler))
        handler.reply(ERR_SASLFAIL)
    elif mechanism == EXTERNAL and handler.client_certificate is None:
        handler.reply(RPL_SASLMECHS, mechanisms(handler))
        handler.reply(ERR_SASLFAIL, text="SASL authentication failed: this connection has presented no certificate")
    else:
        handler.registration.sasl = SaslExchange(mechanism, bytearray())
        handler.add(Reply("", "AUTHENTICATE", ("+",)))


def _continue_sasl(handler: IrcHandler, exchange: SaslExchange, chunk: str) -> None:
    received = exchange.received
    if len(chunk) > SASL_CHUNK or len(received) + len(chunk) > MAX_SASL:
        handler.registration.sasl = None
        handler.reply(ERR_SASLTOOLONG if len(chunk) > SASL_CHUNK else ERR_SASLFAIL)
        return
    if chunk != "+":
        received += chunk.encode()
    if len(chunk) < SASL_CHUNK:
        handler.registration.sasl = None
        _finish_sasl(handler, exchange)


def _finish_sasl(handler: IrcHandler, exchange: SaslExchange) -> None:
    def say_success(source: str, account: str) -> None:
        say_logged_in(handler, source, account)
        handler.reply(RPL_SASLSUCCESS)

    try:
        login = MECHANISMS[exchange.mechanism](handler, _decode(bytes(exchange.received)))
        if handler.is_registered:
            take_over(handler, login, say_success)
            return
        log_in(handler, login)
    except WireError as error:
        _fail_sasl(handler, error)
        return
    assert handler.session is not None
    account = handler.session.name
    source = f"{account}!{handler.card.user}@{handler.network.users.host(account)}"
    say_success(source, account)


def _fail_sasl(handler: IrcHandler, error: WireError) -> None:
    handler.registration.failures += 1
    handler.reply(ERR_SASLFAIL, text=f"SASL authentication failed: {error}")
    if handler.registration.failures >= MAX_LOGIN_FAILURES:
        end_link(handler, error)


def _decode(encoded: bytes) -> str:
    """Return the response of a client. Raises `WrongPassword` where it is not text."""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        raise WrongPassword("This is not what the mechanism expects.") from None


def _make_plain_login(handler: IrcHandler, response: str) -> LoginRequest:
    """Return the login that a response of PLAIN asks for (RFC 4616). Raises `WrongPassword`."""
    parts = response.split("\0")
    if len(parts) != PLAIN_PARTS:
        raise WrongPassword("This is not what PLAIN expects.")
    authzid, authcid, password = parts
    name, _, device = authcid.partition("@")
    if authzid not in ("", authcid, name) or not name or not password:
        raise WrongPassword
    return make_login(handler, name, password, device or None)


def _make_external_login(handler: IrcHandler, response: str) -> LoginRequest:
    """Return the login by the certificate, as the account that the response names, or else as that of the nick.

    An account of another name is meant where neither names one that has the certificate, and only that one has it.
    """
    name, _, device = response.partition("@")
    nick = handler.nick if handler.is_registered else handler.registration.nick
    login = make_login(handler, name or nick, None, device or None)
    login.certificate, login.is_name_certain = handler.client_certificate, bool(name)
    return login


MECHANISMS: Final[dict[str, Callable[[IrcHandler, str], LoginRequest]]] = {
    PLAIN: _make_plain_login,
    EXTERNAL: _make_external_login,
}
"""What makes a login of a client's response, by mechanism."""
