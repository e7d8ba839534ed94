"""Commands about rooms: who is in them, their rules and roles, and who may come in."""

from __future__ import annotations

from typing import Final

from gmessenger.terminal.chat_command import ChatCommand, run_sanction

ROOM_COMMANDS: Final = (
    ChatCommand(
        (),
        ("/join", "/j"),
        "#ROOM [KEY]",
        "join a room; text without a command then goes there",
        lambda handlers, arguments: handlers.join(arguments),
    ),
    ChatCommand(
        (),
        ("/leave", "/part"),
        "[#ROOM]",
        "leave a room",
        lambda handlers, room: handlers.leave_room(room),
        never_suggested=True,
    ),
    ChatCommand((), ("/rooms", "/list"), "", "list the rooms", lambda handlers, _: handlers.rooms()),
    ChatCommand(
        (),
        ("/members", "/names"),
        "[#ROOM]",
        "list the members of a room",
        lambda handlers, room: handlers.members(room),
    ),
    ChatCommand(
        (), ("/topic",), "[TEXT]", "show or set the topic of the room", lambda handlers, text: handlers.topic(text)
    ),
    ChatCommand(
        (),
        ("/make",),
        "#ROOM [private]",
        "make a room; a private one only who is invited can find and join",
        lambda handlers, arguments: handlers.make(arguments),
    ),
    ChatCommand((), ("/rules",), "[#ROOM]", "list the rules of a room", lambda handlers, room: handlers.rules(room)),
    ChatCommand(
        (),
        ("/rule",),
        "KEY VALUE",
        "set a rule of your room",
        lambda handlers, arguments: handlers.rule(arguments),
    ),
    ChatCommand(
        (),
        ("/role",),
        "NAME ROLE",
        "give a member of your room a role",
        lambda handlers, arguments: handlers.role(arguments),
    ),
    ChatCommand(
        (),
        ("/invite",),
        "NAME",
        "invite a user to this room",
        lambda handlers, name: handlers.invite(name),
    ),
    ChatCommand((), ("/uninvite",), "NAME", "take an invitation back", lambda handlers, name: handlers.uninvite(name)),
    ChatCommand(
        (),
        ("/hook",),
        "add|list|revoke [NAME]",
        "make a URL at which other programs post to your room; list and revoke such hooks",
        lambda handlers, arguments: handlers.hook(arguments),
    ),
    ChatCommand(
        (),
        ("/access",),
        "[#ROOM]",
        "list who is invited to your room, kept out of it, or silenced there",
        lambda handlers, room: handlers.access(room),
    ),
    ChatCommand(
        (),
        ("/shutout",),
        "NAME [TIME] [REASON]",
        "remove a name from your room and keep it out, for good or for 30m, 2h, 7d",
        lambda handlers, arguments: run_sanction(handlers.shut_out, arguments),
        never_suggested=True,
    ),
    ChatCommand(
        (), ("/letin",), "NAME", "let a name join your room again", lambda handlers, name: handlers.let_in(name)
    ),
    ChatCommand(
        (),
        ("/silence",),
        "NAME [TIME] [REASON]",
        "have what a name writes in your room refused",
        lambda handlers, arguments: run_sanction(handlers.silence, arguments),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/unsilence",),
        "NAME",
        "let a name write in your room again",
        lambda handlers, name: handlers.unsilence(name),
    ),
    ChatCommand(
        (),
        ("/remove",),
        "NAME",
        "remove a member from your room",
        lambda handlers, name: handlers.remove(name),
        never_suggested=True,
    ),
)
