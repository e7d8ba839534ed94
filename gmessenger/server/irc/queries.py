"""Questions to the server: MOTD, LUSERS, VERSION, TIME, ADMIN, INFO, LINKS, HELP, STATS, MAP, PING."""

from __future__ import annotations

from typing import Final

from gmessenger.server.irc import welcome
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import SOFTWARE
from gmessenger.server.irc.replies import Reply
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.numerics import (
    ERR_NOORIGIN,
    ERR_NOSUCHSERVER,
    RPL_ADMINEMAIL,
    RPL_ADMINLOC1,
    RPL_ADMINLOC2,
    RPL_ADMINME,
    RPL_ENDOFINFO,
    RPL_ENDOFLINKS,
    RPL_INFO,
    RPL_TIME,
    RPL_VERSION,
)
from gmessenger.wire.irc.timestamps import format_time

INFORMATION: Final = (
    "gmessenger: a chat server with one mailbox and several doors.",
    "What is said in channels and to accounts is kept; see /MOTD for how long.",
)


def is_here(handler: IrcHandler, line: Line) -> bool:
    """Return whether a question is for this server; else it is answered that there is no such server."""
    server = line.params[0] if line.params else ""
    names = {handler.network.server_name.casefold(), handler.nick.casefold(), "*", ""}
    if server.casefold() in names:
        return True
    handler.reply(ERR_NOSUCHSERVER, server)
    return False


def ping(handler: IrcHandler, line: Line) -> None:
    """Handle PING."""
    if not line.params[0]:
        handler.reply(ERR_NOORIGIN)
        return
    server = handler.network.server_name
    handler.add(Reply(server, "PONG", (server, line.params[0]), is_text=True))


def motd(handler: IrcHandler, line: Line) -> None:
    """Handle MOTD."""
    if is_here(handler, line):
        welcome.say_motd(handler)


def lusers(handler: IrcHandler, line: Line) -> None:
    """Handle LUSERS."""
    welcome.say_user_counts(handler)


def version(handler: IrcHandler, line: Line) -> None:
    """Handle VERSION."""
    if is_here(handler, line):
        handler.reply(RPL_VERSION, SOFTWARE, handler.network.server_name, text="")
        welcome.say_isupport(handler)


def time(handler: IrcHandler, line: Line) -> None:
    """Handle TIME."""
    if is_here(handler, line):
        handler.reply(RPL_TIME, handler.network.server_name, text=format_time(handler.now()))


def admin(handler: IrcHandler, line: Line) -> None:
    """Handle ADMIN."""
    if is_here(handler, line):
        handler.reply(RPL_ADMINME, handler.network.server_name)
        handler.reply(RPL_ADMINLOC1, text=handler.network.name)
        handler.reply(RPL_ADMINLOC2, text=SOFTWARE)
        handler.reply(RPL_ADMINEMAIL, text="The message of the day may say whom to ask: /MOTD")


def info(handler: IrcHandler, line: Line) -> None:
    """Handle INFO."""
    if is_here(handler, line):
        for text in (*INFORMATION, SOFTWARE):
            handler.reply(RPL_INFO, text=text)
        handler.reply(RPL_ENDOFINFO)


def links(handler: IrcHandler, line: Line) -> None:
    """Handle LINKS."""
    handler.reply(RPL_ENDOFLINKS, "*")  # nodes of a cluster are one server for its users
