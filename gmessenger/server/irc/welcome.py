"""The end of the registration: numerics 001 to 005, the message of the day, and the rooms that one is in."""

from __future__ import annotations

from typing import Final

from gmessenger.constants import OPERATOR_ROLE
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import SOFTWARE
from gmessenger.server.irc.read_marks import marks_on_join
from gmessenger.server.irc.replies import FLUSH_SIZE
from gmessenger.server.irc.room_views import join_replies, show_members, topic_replies
from gmessenger.wire.irc.isupport import isupport_lines
from gmessenger.wire.irc.numerics import (
    ERR_NOMOTD,
    RPL_CREATED,
    RPL_ENDOFMOTD,
    RPL_GLOBALUSERS,
    RPL_ISUPPORT,
    RPL_LOCALUSERS,
    RPL_LOGGEDIN,
    RPL_LUSERCHANNELS,
    RPL_LUSERCLIENT,
    RPL_LUSERME,
    RPL_LUSEROP,
    RPL_LUSERUNKNOWN,
    RPL_MOTD,
    RPL_MOTDSTART,
    RPL_MYINFO,
    RPL_UMODEIS,
    RPL_VISIBLEHOST,
    RPL_WELCOME,
    RPL_YOURHOST,
)
from gmessenger.wire.irc.timestamps import format_time

USER_MODES: Final = "Biow"
ROOM_MODES: Final = "beIiklmnoqRstv"
ROOM_MODES_WITH_PARAMETER: Final = "beIkloqv"


def greet(handler: IrcHandler) -> None:
    """Say that the registration is done, and what server this is."""
    network = handler.network
    handler.reply(RPL_WELCOME, text=f"Welcome to the {network.name} network, {handler.own_source}")
    handler.reply(RPL_YOURHOST, text=f"Your host is {network.server_name}, running version {SOFTWARE}")
    handler.reply(RPL_CREATED, text=f"This server was started at {format_time(network.started_at)}")
    handler.reply(RPL_MYINFO, network.server_name, SOFTWARE, USER_MODES, ROOM_MODES, ROOM_MODES_WITH_PARAMETER)
    say_isupport(handler)
    say_user_counts(handler)
    say_motd(handler)
    if handler.card.modes:
        handler.reply(RPL_UMODEIS, f"+{handler.card.modes}")


def say_logged_in(handler: IrcHandler, source: str, account: str) -> None:
    """Say which account the connection has logged in as."""
    handler.reply(RPL_LOGGEDIN, source, account, text=f"You are now logged in as {account}")


def say_visible_host(handler: IrcHandler) -> None:
    """Say which host others are shown."""
    handler.reply(RPL_VISIBLEHOST, handler.network.users.host(handler.nick))


def say_isupport(handler: IrcHandler) -> None:
    """Say what the server supports."""
    for tokens in isupport_lines(handler.network.isupport()):
        handler.reply(RPL_ISUPPORT, *tokens)


def say_user_counts(handler: IrcHandler) -> None:
    """Say how many users and rooms there are."""
    messenger, network = handler.messenger, handler.network
    count = network.note_user_count()
    most = network.most_users
    operators = sum(session.role == OPERATOR_ROLE for session in messenger.router)
    handler.reply(RPL_LUSERCLIENT, text=f"There are {count} users and 0 invisible on 1 servers")
    handler.reply(RPL_LUSEROP, str(operators))
    if network.unregistered_count:
        handler.reply(RPL_LUSERUNKNOWN, str(network.unregistered_count))
    handler.reply(RPL_LUSERCHANNELS, str(sum(not room.rules.hidden for room in messenger.rooms)))
    handler.reply(RPL_LUSERME, text=f"I have {count} clients and 0 servers")
    handler.reply(RPL_LOCALUSERS, str(count), str(most), text=f"Current local users {count}, max {most}")
    handler.reply(RPL_GLOBALUSERS, str(count), str(most), text=f"Current global users {count}, max {most}")


def say_motd(handler: IrcHandler) -> None:
    """Say the operator's greeting, and what is kept of what is said."""
    lines = handler.messenger.greeting.splitlines()
    if not lines:
        handler.reply(ERR_NOMOTD)
        return
    handler.reply(RPL_MOTDSTART, text=f"- {handler.network.server_name} Message of the day -")
    for line in lines:
        handler.reply(RPL_MOTD, text=f"- {line}")
    handler.reply(RPL_ENDOFMOTD)


def show_rooms(handler: IrcHandler) -> None:
    """Say which rooms an account is in, as if it had just joined them. Blocks while the client reads slowly."""
    session = handler.require_session()
    for room in handler.messenger.rooms:
        if room.has_member(session):
            topic = topic_replies(handler, room) if room.topic else ()
            for reply in [*join_replies(handler, room.name, handler.nick), *marks_on_join(handler, room.name), *topic]:
                handler.add(reply)
            show_members(handler, room)
        if handler.buffer.size > FLUSH_SIZE:
            handler.flush_replies()
            handler.connection.writer.drain()
