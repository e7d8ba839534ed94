"""The commands of IRC, one row each: what handles it, how many parameters it needs, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gmessenger.names import ROOM_PREFIX
from gmessenger.server.irc import (
    accounts,
    history,
    message_commands,
    metadata,
    monitor,
    multiline,
    operators,
    own_user,
    queries,
    read_marks,
    redaction,
    registration,
    room_lists,
    room_modes,
    rooms,
    sasl,
    search,
    services,
    tag_messages,
    who,
    whois,
)
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.numerics import (
    ERR_HELPNOTFOUND,
    RPL_ENDOFHELP,
    RPL_HELPSTART,
    RPL_HELPTXT,
)
from gmessenger.wire.irc.text import split_text

ALL_SUBJECTS: Final = "*"
HELP_ROOM: Final = 350
"""Bytes of the names of commands in a line."""

CommandHandler = Callable[[IrcHandler, Line], None]


@dataclass(frozen=True, slots=True)
class CommandRow:
    """How a command is handled.

    `handle`: after the registration. `before`: before it; None where that is refused. `least`: the parameters that it
    needs. `cost`: in requests of the rate limit; a message is charged by its size and recipients. `is_message`: it is
    answered later, and what follows need not wait for that. `is_always_allowed`: also to who has to change a one-time
    password first. `usage`: its parameters; `help`: what it does, in a line.
    """

    handle: CommandHandler
    least: int = 0
    cost: float = 1.0
    before: CommandHandler | None = None
    is_message: bool = False
    is_always_allowed: bool = False
    usage: str = ""
    help: str = ""


def _quit(handler: IrcHandler, line: Line) -> None:
    handler.close_gracefully("quit", message=line.params[0] if line.params else "")


def _pong(handler: IrcHandler, line: Line) -> None:
    handler.on_pong(line.params[-1] if line.params else "")


def _mode(handler: IrcHandler, line: Line) -> None:
    if line.params[0][:1] == ROOM_PREFIX:
        room_modes.change_room_modes(handler, line)
    else:
        own_user.change_user_modes(handler, line)


def _help(handler: IrcHandler, line: Line) -> None:
    """Answer HELP from this table."""
    subject = quote_param(line.params[0]).upper() if line.params else ""
    if not subject:
        handler.reply(RPL_HELPSTART, ALL_SUBJECTS, text="These are the commands; HELP <command> says more of one")
        for names in split_text(" ".join(COMMANDS), HELP_ROOM):
            handler.reply(RPL_HELPTXT, ALL_SUBJECTS, text=names.strip())
        handler.reply(RPL_ENDOFHELP, ALL_SUBJECTS, text="End of HELP")
        return
    command = COMMANDS.get(subject)
    if command is None:
        handler.reply(ERR_HELPNOTFOUND, subject)
        return
    handler.reply(RPL_HELPSTART, subject, text=f"{subject} {command.usage}".rstrip())
    handler.reply(RPL_HELPTXT, subject, text=command.help)
    handler.reply(RPL_ENDOFHELP, subject, text="End of HELP")


def _ignore(handler: IrcHandler, line: Line) -> None:
    """Do nothing."""


COMMANDS: Final[dict[str, CommandRow]] = {
    "ADMIN": CommandRow(queries.admin, help="says whom to ask about the server"),
    "AUTHENTICATE": CommandRow(
        sasl.authenticate, 1, before=sasl.authenticate, usage="PLAIN, then <response>", help="logs in as an account"
    ),
    "AWAY": CommandRow(
        own_user.away,
        cost=3,
        before=own_user.set_early_away,
        usage="[:<message>]",
        help="says that you are away; without a message, that you are back",
    ),
    "BATCH": CommandRow(
        multiline.batch,
        1,
        is_message=True,
        usage="+<reference> draft/multiline <target> | -<reference>",
        help="begins and ends a message of several lines",
    ),
    "CAP": CommandRow(
        registration.negotiate,
        1,
        0.5,
        before=registration.negotiate,
        is_always_allowed=True,
        usage="LS|LIST|REQ|END [<parameters>]",
        help="negotiates capabilities",
    ),
    "CHATHISTORY": CommandRow(
        history.chathistory,
        0,
        5,
        usage="LATEST|BEFORE|AFTER|AROUND|BETWEEN|TARGETS <parameters>",
        help="lists what was said",
    ),
    "CLOSE": CommandRow(operators.close_room, 1, usage="<#room> [:<reason>]", help="closes a room; for operators"),
    "DLINE": CommandRow(
        operators.ban_address, 1, usage="[<minutes>] <address> [:<reason>]", help="bans a network; for operators"
    ),
    "HELP": CommandRow(_help, usage="[<command>]", help="lists the commands, or says what one does"),
    "HELPOP": CommandRow(_help, usage="[<command>]", help="is HELP"),
    "HISTORY": CommandRow(
        history.show_history,
        1,
        5,
        usage="<nick or #room> [<count>]",
        help="shows the latest messages, also to clients without chathistory",
    ),
    "INFO": CommandRow(queries.info, help="says what this server is"),
    "INVITE": CommandRow(
        rooms.invite,
        0,
        2,
        usage="[<nick> <#room>]",
        help="invites a user to a room, or lists the rooms to which you are invited",
    ),
    "ISON": CommandRow(whois.ison, 1, usage="<nick>{ <nick>}", help="says which of some nicks are online"),
    "JOIN": CommandRow(
        rooms.join,
        1,
        0,
        usage="<#room>{,<#room>} [<key>{,<key>}]",
        help="joins rooms, and makes those that do not exist",
    ),
    "KICK": CommandRow(
        rooms.kick, 2, usage="<#room> <nick>{,<nick>} [:<reason>]", help="removes users from a room, and keeps them out"
    ),
    "KILL": CommandRow(
        operators.kill, 1, usage="<nick> [:<reason>]", help="ends the connections of a nick; for operators"
    ),
    "KLINE": CommandRow(
        operators.ban_name, 1, usage="[<minutes>] <nick> [:<reason>]", help="bans a nick; for operators"
    ),
    "LINKS": CommandRow(queries.links, help="lists the servers of the network"),
    "LIST": CommandRow(
        room_lists.list_rooms,
        0,
        5,
        usage="[<condition>{,<condition>}]",
        help="lists rooms, by mask, users (>9) and the minutes since a room (C<60) or its topic (T<60) was made",
    ),
    "LUSERS": CommandRow(queries.lusers, help="says how many users there are"),
    "MARKREAD": CommandRow(
        read_marks.mark_read, usage="<target> [timestamp=<time>]", help="says up to where you have read"
    ),
    "METADATA": CommandRow(
        metadata.metadata,
        2,
        before=metadata.handle_early,
        usage="<nick or #room>|* GET|LIST|SET|CLEAR|SUB|UNSUB|SUBS|SYNC [<parameters>]",
        help="shows or changes what users and rooms say of themselves",
    ),
    "MODE": CommandRow(_mode, 1, usage="<nick or #room> [<modes>]", help="shows or changes modes"),
    "MONITOR": CommandRow(
        monitor.monitor,
        1,
        2,
        usage="+|-|C|L|S [<nick>{,<nick>}]",
        help="lists nicks of which you are told when they come and go",
    ),
    "MOTD": CommandRow(queries.motd, help="shows the message of the day"),
    "MUTE": CommandRow(operators.mute, 1, usage="[<minutes>] <nick> [:<reason>]", help="mutes a nick; for operators"),
    "NAMES": CommandRow(room_lists.names, 0, 0.5, usage="<#room>{,<#room>}", help="lists who is in rooms"),
    "NICK": CommandRow(
        registration.change_nick,
        0,
        before=registration.set_nick,
        usage="<nick>",
        help="takes another nick; not of accounts",
    ),
    "NICKSERV": CommandRow(
        services.ask_service, is_always_allowed=True, usage="<command>", help="asks NickServ; NICKSERV HELP says what"
    ),
    "NOTICE": CommandRow(
        message_commands.say,
        0,
        0,
        is_message=True,
        usage="<target>{,<target>} :<text>",
        help="says something that nothing answers by itself",
    ),
    "NS": CommandRow(services.ask_service, is_always_allowed=True, usage="<command>", help="is NICKSERV"),
    "OPEN": CommandRow(operators.open_room, 1, usage="<#room>", help="opens a closed room; for operators"),
    "OPER": CommandRow(
        operators.become_operator, 2, usage="<name> <password>", help="gives you the rights of an operator"
    ),
    "PART": CommandRow(
        rooms.part, 1, 0, usage="<#room>{,<#room>} [:<reason>]", help="leaves rooms, with all devices of an account"
    ),
    "PASS": CommandRow(
        registration.set_password,
        1,
        before=registration.set_password,
        usage="[<name>[@<device>]:]<password>",
        help="gives the password of an account before NICK and USER",
    ),
    "PING": CommandRow(
        queries.ping, 1, 0.1, before=queries.ping, is_always_allowed=True, usage="<token>", help="asks for a PONG"
    ),
    "PONG": CommandRow(_pong, 0, 0.01, before=_ignore, is_always_allowed=True, usage="<token>", help="answers a PING"),
    "PRIVMSG": CommandRow(
        message_commands.say,
        0,
        0,
        is_message=True,
        usage="<target>{,<target>} :<text>",
        help="says something to users or rooms",
    ),
    "QUIT": CommandRow(
        _quit, 0, 0, before=_quit, is_always_allowed=True, usage="[:<reason>]", help="closes the connection"
    ),
    "REDACT": CommandRow(
        redaction.redact, 2, is_message=True, usage="<target> <msgid> [:<reason>]", help="removes a message"
    ),
    "REGISTER": CommandRow(
        accounts.register,
        3,
        before=accounts.register_early,
        usage="*|<nick> *|invite:<code> <password>",
        help="makes your nick an account",
    ),
    "SEARCH": CommandRow(search.search, 1, 5, usage="<attributes>", help="finds messages with words in them"),
    "SETNAME": CommandRow(own_user.set_realname, 1, 5, usage=":<realname>", help="changes your realname"),
    "SILENCE": CommandRow(
        own_user.silence,
        usage="[+|-<nick>]",
        help="blocks a nick, or lists those that are",
    ),
    "STATS": CommandRow(operators.say_stats, usage="u|k", help="says since when the server is up, or the bans"),
    "TAGMSG": CommandRow(
        tag_messages.say_tags,
        0,
        0,
        is_message=True,
        usage="<target>",
        help="sends tags without a text, such as that you are typing",
    ),
    "TIME": CommandRow(queries.time, help="says the time of the server"),
    "TOPIC": CommandRow(rooms.topic, 1, usage="<#room> [:<text>]", help="shows or sets the topic of a room"),
    "UNDLINE": CommandRow(operators.unban_address, 1, usage="<address>", help="lifts a ban; for operators"),
    "UNKLINE": CommandRow(operators.unban_name, 1, usage="<nick>", help="lifts a ban; for operators"),
    "UNMUTE": CommandRow(operators.unmute, 1, usage="<nick>", help="lets a nick speak again; for operators"),
    "USER": CommandRow(
        registration.set_user,
        4,
        before=registration.set_user,
        usage="<user> 0 * :<realname>",
        help="says who you are before the connection is complete",
    ),
    "USERHOST": CommandRow(whois.userhost, 1, usage="<nick>{ <nick>}", help="says the hosts of up to five nicks"),
    "VERIFY": CommandRow(
        accounts.verify, 2, before=accounts.refuse_early, usage="<account> <code>", help="is not needed here"
    ),
    "VERSION": CommandRow(queries.version, help="says the version of the server"),
    "WALLOPS": CommandRow(
        operators.speak_to_all, 1, usage=":<text>", help="speaks to all with the user mode w; for operators"
    ),
    "WHO": CommandRow(who.who, 0, 3, usage="[<nick, mask or #room> [<flags>]]", help="lists users"),
    "WHOIS": CommandRow(whois.whois, 0, 2, usage="<nick>", help="says what is known of a user"),
    "WHOWAS": CommandRow(whois.whowas, usage="<nick> [<count>]", help="says who had a nick and has left lately"),
}
"""The commands. Any other is answered that it is unknown."""
