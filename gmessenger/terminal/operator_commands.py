"""Commands for operators of the server."""

from __future__ import annotations

from typing import Final

from gmessenger.terminal.chat_command import ChatCommand, run_close, run_kick, run_mute, run_sanction

OPERATOR_COMMANDS: Final = (
    ChatCommand(
        (), ("/kick",), "NAME [REASON]", "disconnect a user", run_kick, operators_only=True, never_suggested=True
    ),
    ChatCommand(
        (),
        ("/mute",),
        "NAME [MINUTES]",
        "mute a user: their messages are refused",
        run_mute,
        operators_only=True,
        never_suggested=True,
    ),
    ChatCommand(
        (), ("/unmute",), "NAME", "unmute a user", lambda handlers, name: handlers.unmute(name), operators_only=True
    ),
    ChatCommand(
        (),
        ("/ban",),
        "NAME|ADDRESS [TIME] [REASON]",
        "ban a user or an address, for good or for 30m, 2h, 7d",
        lambda handlers, arguments: run_sanction(handlers.ban, arguments),
        operators_only=True,
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/unban",),
        "NAME|ADDRESS",
        "lift the ban of a user or an address",
        lambda handlers, target: handlers.unban(target),
        operators_only=True,
    ),
    ChatCommand((), ("/bans",), "", "list bans and mutes", lambda handlers, _: handlers.bans(), operators_only=True),
    ChatCommand(
        (),
        ("/close",),
        "[#ROOM]",
        "close a room: members can read but not write",
        run_close,
        operators_only=True,
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/open",),
        "[#ROOM]",
        "open a closed room again",
        lambda handlers, room: handlers.open_room(room),
        operators_only=True,
    ),
)
