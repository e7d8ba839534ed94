"""Commands about users and the own account: status, password, devices, and what notifies."""

from __future__ import annotations

from typing import Final

from gmessenger.terminal.chat_command import ChatCommand, run_export, run_forget, run_notify, run_profile

USER_COMMANDS: Final = (
    ChatCommand((), ("/users",), "", "list the users who are online", lambda handlers, _: handlers.users()),
    ChatCommand(
        (),
        ("/whois", "/wi"),
        "NAME",
        "show the status of a user, since when, and the rooms you share",
        lambda handlers, name: handlers.whois(name),
    ),
    ChatCommand(
        (),
        ("/profile",),
        "[NAME] [KEY=VALUE]",
        "show what you or others say of yourselves; set a key of your own profile or of your room's, as in /profile "
        "pronouns=they or /profile #dev language=en; KEY= removes it",
        run_profile,
    ),
    ChatCommand(
        (),
        ("/status",),
        "[WORDS]",
        "set or show your status; /status online clears it",
        lambda handlers, status: handlers.status(status),
    ),
    ChatCommand(
        (),
        ("/away",),
        "[TEXT]",
        "say that you are away, and TEXT as a note on it",
        lambda handlers, note: handlers.away(note.strip()),
    ),
    ChatCommand((), ("/back",), "", "say that you are here again", lambda handlers, _: handlers.back()),
    ChatCommand(
        (),
        ("/block", "/ignore"),
        "NAME",
        "block a user: you no longer receive their messages",
        lambda handlers, name: handlers.block(name),
        never_suggested=True,
    ),
    ChatCommand((), ("/unblock", "/unignore"), "NAME", "unblock a user", lambda handlers, name: handlers.unblock(name)),
    ChatCommand((), ("/blocks",), "", "list the users you block", lambda handlers, _: handlers.blocks()),
    ChatCommand(
        (),
        ("/notify",),
        "[NAME LEVEL [TIME]]",
        "choose which messages of a conversation notify you: all, mentions or none, as in /notify #dev none 2h; alone, "
        "list the choices",
        run_notify,
    ),
    ChatCommand(
        (),
        ("/highlight",),
        "[WORDS]",
        "let WORDS count as a mention of you; alone, list them",
        lambda handlers, words: handlers.highlight(words),
    ),
    ChatCommand(
        (),
        ("/unhighlight",),
        "WORDS",
        "no longer let WORDS count as a mention",
        lambda handlers, words: handlers.unhighlight(words),
    ),
    ChatCommand(
        (),
        ("/joins",),
        "[HOW]",
        "choose how joins and leaves are displayed: shown, gathered or hidden",
        lambda handlers, display: handlers.joins(display),
    ),
    ChatCommand(
        (),
        ("/register",),
        "[INVITE]",
        "register your name as an account",
        lambda handlers, invite: handlers.register(invite),
    ),
    ChatCommand(
        (),
        ("/password", "/passwd"),
        "",
        "change the password of your account, which logs out your other devices",
        lambda handlers, _: handlers.password(),
    ),
    ChatCommand((), ("/devices",), "", "list your devices that are logged in", lambda handlers, _: handlers.devices()),
    ChatCommand(
        (),
        ("/logout",),
        "[DEVICE|all]",
        "log out a device, all others, or this one and quit",
        lambda handlers, device: handlers.log_out(device),
        never_suggested=True,
    ),
    ChatCommand((), ("/export",), "me [FILE]", "export all you have written or may read to a new file", run_export),
    ChatCommand(
        (), ("/forget",), "me", "erase all your messages and delete your account", run_forget, never_suggested=True
    ),
)
