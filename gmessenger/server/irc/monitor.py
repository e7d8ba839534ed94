"""MONITOR: which of some nicks are online, and to be told when one comes or goes (IRCv3 `monitor`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gmessenger.errors import BadName
from gmessenger.names import check_name, fold
from gmessenger.server.irc.clients import MAX_MONITORED
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import is_service
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.numerics import (
    ERR_MONLISTFULL,
    ERR_NEEDMOREPARAMS,
    RPL_ENDOFMONLIST,
    RPL_MONLIST,
    RPL_MONOFFLINE,
    RPL_MONONLINE,
    Numeric,
)
from gmessenger.wire.irc.text import pack_words

LIST_ROOM: Final = 350
"""Bytes of the names in one line, beside the server's and the client's."""


def monitor(handler: IrcHandler, line: Line) -> None:
    """Handle MONITOR."""
    handle = COMMANDS.get(line.params[0].upper())
    if handle is None:
        text = "The commands of MONITOR are +, -, C, L and S"
        handler.fail("MONITOR", "INVALID_PARAMS", quote_param(line.params[0]), text=text)
        return
    handle(handler, line.params[1:])


def _add(handler: IrcHandler, params: list[str]) -> None:
    names = _names(handler, params)
    added: list[str] = []
    for at, name in enumerate(names):
        key = fold(name)
        if key not in handler.monitored and len(handler.monitored) >= MAX_MONITORED:
            handler.reply(ERR_MONLISTFULL, str(MAX_MONITORED), ",".join(names[at:]))
            break
        if _is_nick(name):
            handler.monitored[key] = name
            handler.network.clients.monitor(handler, key)
        added.append(name)
    _say_presence(handler, added)


def _remove(handler: IrcHandler, params: list[str]) -> None:
    for name in _names(handler, params):
        if handler.monitored.pop(fold(name), None) is not None:
            handler.network.clients.unmonitor(handler, fold(name))


def _clear(handler: IrcHandler, params: list[str]) -> None:
    for key in handler.monitored:
        handler.network.clients.unmonitor(handler, key)
    handler.monitored.clear()


def _list(handler: IrcHandler, params: list[str]) -> None:
    _say(handler, RPL_MONLIST, handler.monitored.values())
    handler.reply(RPL_ENDOFMONLIST)


def _status(handler: IrcHandler, params: list[str]) -> None:
    _say_presence(handler, handler.monitored.values())


COMMANDS: Final = {"+": _add, "-": _remove, "C": _clear, "L": _list, "S": _status}


def _names(handler: IrcHandler, params: list[str]) -> list[str]:
    """Return the nicks of a list with commas, each once; there is none in a command that names none."""
    if not params or not params[0]:
        handler.reply(ERR_NEEDMOREPARAMS, "MONITOR")
        return []
    return list(dict.fromkeys(quote_param(name) for name in params[0].split(",") if name))


def _is_nick(name: str) -> bool:
    """Return whether that can be a nick: masks are not monitored."""
    try:
        check_name(name)
    except BadName:
        return False
    return True


def _say_presence(handler: IrcHandler, names: Iterable[str]) -> None:
    router, users = handler.messenger.router, handler.network.users
    online, offline = [], []
    for name in names:
        key = fold(name)
        shown = router.name(key)
        if is_service(name):
            online.append(handler.network.service_source)
        elif shown is not None and handler.network.clients.is_online(key, handler.key):
            online.append(users.source(shown))
        else:
            offline.append(name)
    _say(handler, RPL_MONONLINE, online)
    _say(handler, RPL_MONOFFLINE, offline)


def _say(handler: IrcHandler, numeric: Numeric, names: Iterable[str]) -> None:
    for text in pack_words(names, LIST_ROOM, ","):
        handler.reply(numeric, text=text)
