"""REDACT: a client removes a message (IRCv3, "Message redaction"), which the messenger erases."""

from __future__ import annotations

from gmessenger.chat.records import About
from gmessenger.errors import NotFound, WireError
from gmessenger.names import fold, is_room
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.errors import redaction_refusal
from gmessenger.server.irc.handler import IrcHandler, IrcMessage
from gmessenger.server.irc.message_commands import send
from gmessenger.server.irc.messages import REASON
from gmessenger.server.irc.network import conversation_of
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.numerics import ERR_UNKNOWNCOMMAND


def redact(handler: IrcHandler, line: Line) -> None:
    """Handle REDACT."""
    if Capability.REDACTION not in handler.capabilities:
        handler.reply(ERR_UNKNOWNCOMMAND, line.command)
        return
    target, id, *reasons = line.params[:3]
    tags = {REASON: reasons[0]} if reasons and reasons[0] else {}
    seq = handler.network.ids.find(conversation_of(handler.nick, target), id)
    try:
        if seq is None:
            _check_target(handler, target)
            handler.fail("REDACT", "UNKNOWN_MSGID", target, id, text="There is no such message here")
            return
        message = IrcMessage("REDACT", target, "", tags=tags, msgid=id)
        send(handler, message, About(seq, "erase"))
    except WireError as error:
        handler.messenger.stats.refused[error.code] += 1
        handler.add(redaction_refusal(handler, target, id, error.to_fields()))


def _check_target(handler: IrcHandler, target: str) -> None:
    """Raise why there can be no message that the client may remove."""
    messenger, key = handler.messenger, fold(target)
    if is_room(target):
        messenger.rooms.require_member(target, handler.require_session())
    elif key not in messenger.authenticator.accounts and key not in messenger.router:
        raise NotFound
