"""SASL PLAIN: before the registration it logs in, and later it makes a guest's connection an account's."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from gmessenger.errors import WireError, WrongPassword
from gmessenger.server.irc.accounts import take_over
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.registration import end_link, log_in
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

PLAIN: Final = "PLAIN"
SASL_CHUNK: Final = 400
"""Characters of a full AUTHENTICATE parameter: another follows it."""
MAX_SASL: Final = 8 * SASL_CHUNK
"""Characters of a response: the longest password, and twice the longest name and device, have 3080 in base64."""
MAX_LOGIN_FAILURES: Final = 3
"""Wrong passwords after which the connection is closed."""


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


def _start_sasl(handler: IrcHandler, mechanism: str) -> None:
    if mechanism.upper() != PLAIN:
        handler.reply(RPL_SASLMECHS, PLAIN)
        handler.reply(ERR_SASLFAIL)
        return
    handler.registration.sasl = bytearray()
    handler.add(Reply("", "AUTHENTICATE", ("+",)))


def _continue_sasl(handler: IrcHandler, received: bytearray, chunk: str) -> None:
    if len(chunk) > SASL_CHUNK or len(received) + len(chunk) > MAX_SASL:
        handler.registration.sasl = None
        handler.reply(ERR_SASLTOOLONG if len(chunk) > SASL_CHUNK else ERR_SASLFAIL)
        return
    if chunk != "+":
        received += chunk.encode()
    if len(chunk) < SASL_CHUNK:
        handler.registration.sasl = None
        _finish_sasl(handler, bytes(received))


def _finish_sasl(handler: IrcHandler, encoded: bytes) -> None:
    def say_success(source: str, account: str) -> None:
        say_logged_in(handler, source, account)
        handler.reply(RPL_SASLSUCCESS)

    try:
        name, device, password = _decode_plain(encoded)
        if handler.is_registered:
            take_over(handler, name, password, device, say_success)
            return
        log_in(handler, name, password, device)
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


def _decode_plain(encoded: bytes) -> tuple[str, str | None, str]:
    """Return name, device and password of a PLAIN response (RFC 4616). Raises `WrongPassword`."""
    try:
        authzid, authcid, password = base64.b64decode(encoded, validate=True).decode().split("\0")
    except (binascii.Error, ValueError):
        raise WrongPassword("This is not what PLAIN expects.") from None
    name, _, device = authcid.partition("@")
    if authzid not in ("", authcid, name) or not name or not password:
        raise WrongPassword
    return name, device or None, password
