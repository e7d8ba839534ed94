"""What clients say of themselves: AWAY, SETNAME, their user modes, and SILENCE."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.session import Session
from gmessenger.constants import ONLINE
from gmessenger.errors import WireError
from gmessenger.field_types import MAX_NOTE
from gmessenger.names import fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import MAX_REALNAME, OPERATOR_MODE
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.rooms import printable
from gmessenger.server.irc.user_views import acts_as_operator, find_user
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.masks import is_mask, split_source
from gmessenger.wire.irc.numerics import (
    ERR_BADMASK,
    ERR_NOSUCHNICK,
    ERR_NOTREGISTERED,
    ERR_UMODEUNKNOWNFLAG,
    ERR_USERSDONTMATCH,
    RPL_ENDOFSILELIST,
    RPL_NOWAWAY,
    RPL_SILELIST,
    RPL_UMODEIS,
    RPL_UNAWAY,
)

AWAY: Final = "away"
NOT_PRESENT: Final = "*"
"""The away message of a client that connects by itself, without its user (IRCv3 `draft/pre-away`)."""
OWN_MODES: Final = "Biw"
"""The user modes that clients may set: bot, invisible, and who gets what operators say to all."""
UNMASKED: Final = frozenset({"", "*"})


# -- AWAY and SETNAME


def away(handler: IrcHandler, line: Line) -> None:
    """Handle AWAY."""
    text, session = line.params[0] if line.params else "", handler.require_session()
    if text:
        set_away(handler, session, text)
        handler.reply(RPL_NOWAWAY)
    else:
        handler.messenger.set_status(session, ONLINE)
        handler.reply(RPL_UNAWAY)


def set_early_away(handler: IrcHandler, line: Line) -> None:
    """Handle AWAY before the registration, of clients that have negotiated it."""
    if Capability.PRE_AWAY not in handler.capabilities:
        handler.reply(ERR_NOTREGISTERED)
        return
    text = line.params[0] if line.params else ""
    handler.registration.away = text or None
    handler.reply(RPL_NOWAWAY if text else RPL_UNAWAY)


def set_away(handler: IrcHandler, session: Session, text: str) -> None:
    """Mark a session as away. Raises `Muted`."""
    handler.messenger.set_status(session, AWAY, away_note(text), is_unattended=text == NOT_PRESENT)


def away_note(text: str) -> str:
    """Return an away message as the note of a status: printable, and no longer than notes are."""
    if text == NOT_PRESENT:
        return ""
    return printable(text, MAX_NOTE)


def set_realname(handler: IrcHandler, line: Line) -> None:
    """Handle SETNAME."""
    realname, network = line.params[0], handler.network
    if not realname.strip() or len(realname) > MAX_REALNAME:
        text = f"A realname has 1 to {MAX_REALNAME} characters"
        handler.fail("SETNAME", "INVALID_REALNAME", text=text)
        return
    network.set_realname(handler.nick, realname, handler)
    if Capability.SETNAME in handler.capabilities:
        handler.add(Reply(handler.own_source, "SETNAME", (realname,), is_text=True))


# -- user modes


def change_user_modes(handler: IrcHandler, line: Line) -> None:
    """Handle MODE of a nick."""
    user = find_user(handler, line.params[0])
    if user is None or user.key != handler.key:
        missing = user is None
        handler.reply(
            ERR_NOSUCHNICK if missing else ERR_USERSDONTMATCH, *([quote_param(line.params[0])] if missing else [])
        )
        return
    if len(line.params) == 1 or not line.params[1]:
        handler.reply(RPL_UMODEIS, f"+{shown_modes(handler)}")
        return
    before = shown_modes(handler)
    if not _set_modes(handler, line.params[1]):
        handler.reply(ERR_UMODEUNKNOWNFLAG)
    if changes := _difference(before, shown_modes(handler)):
        handler.add(Reply(handler.own_source, "MODE", (handler.nick, changes)))


def shown_modes(handler: IrcHandler) -> str:
    """Return the letters of the client's user modes."""
    letters = handler.card.modes + (OPERATOR_MODE if acts_as_operator(handler) else "")
    return "".join(sorted(letters))


def _set_modes(handler: IrcHandler, text: str) -> bool:
    """Set and clear modes; return whether all letters were known. What one may not change is ignored."""
    sign, is_known = "+", True
    for letter in text:
        if letter in "+-":
            sign = letter
        elif letter in OWN_MODES:
            kept = handler.card.modes.replace(letter, "")
            handler.card.modes = kept + letter if sign == "+" else kept
        elif letter == OPERATOR_MODE:
            if sign == "-":
                handler.messenger.stop_acting(handler.require_session())
        else:
            is_known = False
    return is_known


def _difference(before: str, after: str) -> str:
    """Return what has changed between two sets of modes: `+i-w`."""
    added = "".join(letter for letter in after if letter not in before)
    removed = "".join(letter for letter in before if letter not in after)
    return (f"+{added}" if added else "") + (f"-{removed}" if removed else "")


# -- SILENCE


def silence(handler: IrcHandler, line: Line) -> None:
    """Handle SILENCE: block a nick, or list the blocked ones."""
    if not line.params or not line.params[0] or fold(line.params[0]) == handler.key:
        _list_blocks(handler)
        return
    mask = line.params[0]
    sign, mask = (mask[0], mask[1:]) if mask[0] in "+-" else ("+", mask)
    nick, user, host = split_source(mask)
    if not nick or is_mask(nick) or user not in UNMASKED or host not in UNMASKED:
        handler.reply(ERR_BADMASK, quote_param(mask), text="Only nicks can be silenced")
        return
    blocks, session = handler.messenger.blocks, handler.require_session()
    change = blocks.block if sign == "+" else blocks.unblock

    def respond(result: object) -> None:
        handler.add(Reply(handler.own_source, "SILENCE", (f"{sign}{quote_param(nick)}!*@*",)))

    try:
        handler.messenger.change_runner.run(lambda: change(session, nick), respond)
    except WireError as error:
        handler.add(command_refusal(handler, "SILENCE", quote_param(nick), error))


def _list_blocks(handler: IrcHandler) -> None:
    session, after = handler.require_session(), None
    while True:
        page = handler.messenger.blocks.list(session, after)
        for entry in page.users:
            handler.reply(RPL_SILELIST, handler.nick, f"{entry.name}!*@*")
        if not page.more or not page.users:
            break
        after = page.users[-1].name
    handler.reply(RPL_ENDOFSILELIST)
