"""TAGMSG: reactions, which are kept, and signals, which are not."""

from __future__ import annotations

from gmessenger.errors import BadRequest, WireError
from gmessenger.server.irc.client_tags import kept_tags, reaction_of, refuse_signal, relayable_tags, send_signal
from gmessenger.server.irc.errors import refuse_multiline
from gmessenger.server.irc.handler import REFUSED_COST, IrcHandler, IrcMessage
from gmessenger.server.irc.message_commands import BATCH_TAG, SERVICE_COST, send
from gmessenger.server.irc.network import MAX_TARGETS, is_service
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.numerics import ERR_NORECIPIENT, ERR_TOOMANYTARGETS


def say_tags(handler: IrcHandler, line: Line) -> None:
    """Handle TAGMSG."""
    if not line.params or not line.params[0]:
        handler.charge(REFUSED_COST)
        handler.reply(ERR_NORECIPIENT, text="No recipient given (TAGMSG)")
        return
    if BATCH_TAG in line.tags:
        handler.charge(REFUSED_COST)
        refuse_multiline(handler, handler.multiline.refuse())
        return
    targets = line.params[0].split(",")
    if len(targets) > MAX_TARGETS:
        handler.charge(REFUSED_COST)
        handler.reply(ERR_TOOMANYTARGETS, line.params[0][:100])
        return
    for target in dict.fromkeys(targets):
        try:
            if is_service(target):
                handler.charge(SERVICE_COST)  # the service ignores typing notifications
            elif not _react(handler, target, line):
                send_signal(handler, target, relayable_tags(handler, line.tags))
        except WireError as error:
            refuse_signal(handler, line.command, target, error)


def _react(handler: IrcHandler, target: str, line: Line) -> bool:
    """Send a reaction to a stored message. Returns False, and has sent nothing, where it is none that is kept."""
    reaction = reaction_of(handler, target, line.tags)
    if reaction is None:
        return False
    about, text = reaction
    try:
        send(handler, IrcMessage("TAGMSG", target, text, tags=kept_tags(handler, line.tags, about)), about)
    except BadRequest:  # more than one emoji: for those who are here
        return False
    return True
