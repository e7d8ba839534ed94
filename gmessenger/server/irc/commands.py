"""The commands of IRC, one row each: what handles it, how many parameters it needs, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gmessenger.server.irc import chatting, queries, registration, rooms
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.wire.irc.lines import Line

CommandHandler = Callable[[IrcHandler, Line], None]


@dataclass(frozen=True, slots=True)
class Command:
    """How a command is handled.

    `handle`: after the registration. `before`: before it; None where that is refused. `least`: the parameters that it
    needs. `cost`: in requests of the rate limit; a message is charged by its size and recipients. `is_message`: it is
    answered later, and what follows need not wait for that.
    """

    handle: CommandHandler
    least: int = 0
    cost: float = 1.0
    before: CommandHandler | None = None
    is_message: bool = False


def _quit(handler: IrcHandler, line: Line) -> None:
    handler.close_gracefully("quit", message=line.params[0] if line.params else "")


def _pong(handler: IrcHandler, line: Line) -> None:
    handler.on_pong(line.params[-1] if line.params else "")


def _ignore(handler: IrcHandler, line: Line) -> None:
    """Do nothing."""


COMMANDS: Final[dict[str, Command]] = {
    "ADMIN": Command(queries.admin),
    "AUTHENTICATE": Command(registration.authenticate, 1, before=registration.authenticate),
    "CAP": Command(registration.negotiate, 1, 0.5, before=registration.negotiate),
    "INFO": Command(queries.info),
    "INVITE": Command(rooms.invite, 2, 2),
    "JOIN": Command(rooms.join, 1, 0),
    "KICK": Command(rooms.kick, 2),
    "LINKS": Command(queries.links),
    "LIST": Command(rooms.list_rooms, 0, 2),
    "LUSERS": Command(queries.lusers),
    "MOTD": Command(queries.motd),
    "NAMES": Command(rooms.names),
    "NICK": Command(registration.change_nick, 0, before=registration.set_nick),
    "NOTICE": Command(chatting.say, 0, 0, is_message=True),
    "PART": Command(rooms.part, 1),
    "PASS": Command(registration.set_password, 1, before=registration.set_password),
    "PING": Command(queries.ping, 1, 0.1, before=queries.ping),
    "PONG": Command(_pong, 0, 0.01, before=_ignore),
    "PRIVMSG": Command(chatting.say, 0, 0, is_message=True),
    "QUIT": Command(_quit, 0, 0, before=_quit),
    "STATS": Command(queries.stats),
    "TAGMSG": Command(chatting.say_tags, 0, 0.5, is_message=True),
    "TIME": Command(queries.time),
    "TOPIC": Command(rooms.topic, 1),
    "USER": Command(registration.set_user, 4, before=registration.set_user),
    "VERSION": Command(queries.version),
}
"""The commands. Any other is answered that it is unknown."""
