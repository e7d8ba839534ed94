"""Operators: OPER, and what they may do to users, networks and rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import UNSET

from gmessenger.chat.moderation import operator_name
from gmessenger.chat.results import SanctionEntry, SessionCount
from gmessenger.errors import InsecureTransport, NotFound, OperatorsOnly, RateLimited, StoreUnavailable, WireError
from gmessenger.field_types import MAX_REASON
from gmessenger.server.irc.accounts import LOGIN_COST
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.message_commands import check_fits
from gmessenger.server.irc.network import OPERATOR_MODE
from gmessenger.server.irc.own_user import shown_modes
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.rooms import printable
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.masks import split_source
from gmessenger.wire.irc.numerics import (
    ERR_NOOPERHOST,
    ERR_NOTEXTTOSEND,
    ERR_PASSWDMISMATCH,
    RPL_ENDOFSTATS,
    RPL_STATSKLINE,
    RPL_STATSUPTIME,
    RPL_YOUREOPER,
)
from gmessenger.wire.irc.timestamps import format_time

MAX_MINUTES_DIGITS: Final = 7
SECONDS_PER_MINUTE: Final = 60.0
SECONDS_PER_DAY: Final = 86_400


def become_operator(handler: IrcHandler, line: Line) -> None:
    """Handle OPER: the session acts with the rights of an operator's account, whose password it gives."""
    session, before = handler.require_session(), shown_modes(handler)
    handler.charge(LOGIN_COST)
    try:
        handler.require_secure_transport()
        with handler.counting_failures():
            handler.messenger.act_as(session, line.params[0], line.params[1])
    except InsecureTransport as error:
        handler.reply(ERR_NOOPERHOST, text=str(error))
        return
    except (RateLimited, StoreUnavailable):
        raise
    except WireError as error:
        handler.reply(ERR_PASSWDMISMATCH, text=str(error))
        return
    if OPERATOR_MODE not in before:
        handler.add(Reply(handler.own_source, "MODE", (handler.nick, f"+{OPERATOR_MODE}")))
    handler.reply(RPL_YOUREOPER)


# -- users and networks


def kill(handler: IrcHandler, line: Line) -> None:
    """Handle KILL: end the sessions of a name."""
    moderation, nick = handler.messenger.moderation, line.params[0]
    reason = _reason(line.params[1:])
    _moderate(handler, line, nick, lambda by: moderation.kick(by, nick, reason), "is disconnected")


def ban_name(handler: IrcHandler, line: Line) -> None:
    """Handle KLINE: ban a name."""
    seconds, target, reason = _parse_sanction(line.params)
    name, moderation = split_source(target)[0], handler.messenger.moderation
    _moderate(handler, line, name, lambda by: moderation.ban(by, name, None, seconds, reason), "is banned")


def unban_name(handler: IrcHandler, line: Line) -> None:
    """Handle UNKLINE."""
    name, moderation = split_source(line.params[0])[0], handler.messenger.moderation
    _moderate(handler, line, name, lambda by: moderation.unban(by, name, None), "is not banned any more")


def ban_address(handler: IrcHandler, line: Line) -> None:
    """Handle DLINE: ban an address or a network."""
    seconds, address, reason = _parse_sanction(line.params)
    moderation = handler.messenger.moderation
    _moderate(handler, line, address, lambda by: moderation.ban(by, None, address, seconds, reason), "is banned")


def unban_address(handler: IrcHandler, line: Line) -> None:
    """Handle UNDLINE."""
    address, moderation = line.params[0], handler.messenger.moderation
    _moderate(handler, line, address, lambda by: moderation.unban(by, None, address), "is not banned any more")


def mute(handler: IrcHandler, line: Line) -> None:
    """Handle MUTE: refuse what a name says."""
    seconds, name, reason = _parse_sanction(line.params)
    moderation = handler.messenger.moderation
    _moderate(handler, line, name, lambda by: moderation.mute(by, name, seconds, reason), "is muted")


def unmute(handler: IrcHandler, line: Line) -> None:
    """Handle UNMUTE."""
    name, moderation = line.params[0], handler.messenger.moderation
    _moderate(handler, line, name, lambda by: moderation.unmute(by, name), "may speak again")


# -- rooms


def close_room(handler: IrcHandler, line: Line) -> None:
    """Handle CLOSE: refuse messages to a room, and joins."""
    room, reason, moderation = line.params[0], _reason(line.params[1:]), handler.messenger.moderation
    _moderate(handler, line, room, lambda by: moderation.close(by, room, reason), "is closed")


def open_room(handler: IrcHandler, line: Line) -> None:
    """Handle OPEN."""
    room, moderation = line.params[0], handler.messenger.moderation
    _moderate(handler, line, room, lambda by: moderation.open(by, room), "is open again")


# -- all users


def speak_to_all(handler: IrcHandler, line: Line) -> None:
    """Handle WALLOPS: say something to all who have the user mode for it. Raises `OperatorsOnly`."""
    session, text = handler.require_session(), line.params[0]
    operator_name(session)
    if not text:
        handler.reply(ERR_NOTEXTTOSEND)
        return
    check_fits(handler, line.command, "", text)
    handler.messenger.signals.announce(session, text)


# -- STATS


def say_stats(handler: IrcHandler, line: Line) -> None:
    """Handle STATS: `u`, for how long the server has been up; `k`, the bans, for operators."""
    letter = quote_param(line.params[0])[:1] if line.params else "*"
    say = STATS.get(letter)
    if say is not None:
        say(handler)
    handler.reply(RPL_ENDOFSTATS, letter)


def _say_uptime(handler: IrcHandler) -> None:
    days, rest = divmod(int(handler.now() - handler.network.started_at), SECONDS_PER_DAY)
    hours, rest = divmod(rest, 3600)
    handler.reply(RPL_STATSUPTIME, text=f"Server Up {days} days {hours}:{rest // 60:02}:{rest % 60:02}")


def _say_bans(handler: IrcHandler) -> None:
    by = operator_name(handler.require_session())
    for entry in _bans(handler, by):
        target = entry.address if entry.user is UNSET else entry.user
        until = f", until {format_time(entry.until)}" if entry.until is not UNSET else ""
        text = f"{entry.reason or 'no reason given'}{until}"
        handler.reply(RPL_STATSKLINE, "K", str(target), "*", entry.by or "*", text=text)


def _bans(handler: IrcHandler, by: str) -> Iterator[SanctionEntry]:
    after = None
    while True:
        page = handler.messenger.moderation.bans(by, after)
        yield from page.bans
        if not page.more or not page.bans:
            return
        last = page.bans[-1]
        after = str(last.address if last.user is UNSET else last.user)


STATS: Final[dict[str, Callable[[IrcHandler], None]]] = {"u": _say_uptime, "k": _say_bans, "K": _say_bans}


# -- what they have in common


def _moderate(
    handler: IrcHandler, line: Line, target: str, change: Callable[[str], SessionCount | None], done: str
) -> None:
    """Make a change in the name of the operator, and say that it was done, or why not. Raises `OperatorsOnly`."""
    by, shown = operator_name(handler.require_session()), quote_param(target)

    def respond(result: SessionCount | None) -> None:
        count = f" ({result.sessions} connections)" if result is not None else ""
        handler.add(handler.notice(f"{shown} {done}{count}"))

    try:
        handler.messenger.change_runner.run(lambda: change(by), respond)
    except OperatorsOnly:
        raise
    except NotFound as error:  # there is no such sanction
        handler.add(handler.notice(str(error)))
    except WireError as error:
        handler.add(command_refusal(handler, line.command, shown, error))


def _reason(params: list[str]) -> str:
    """Return the reason that parameters give: printable, and no longer than reasons are."""
    return printable(" ".join(params), MAX_REASON)


def _parse_sanction(params: list[str]) -> tuple[float | None, str, str]:
    """Return for how many seconds, on whom, and why, from `[minutes] target [:reason]`."""
    first = params[0]
    is_time = len(params) > 1 and first.isascii() and first.isdecimal() and len(first) <= MAX_MINUTES_DIGITS
    seconds, rest = (int(first) * SECONDS_PER_MINUTE or None, params[1:]) if is_time else (None, params)
    return seconds, rest[0], _reason(rest[1:])
