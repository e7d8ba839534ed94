"""Commands about the client itself: what is on the screen, help, and quitting."""

from __future__ import annotations

from typing import Final

from gmessenger.terminal.chat_command import ChatCommand, run_quit_or_message

SCREEN_COMMANDS: Final = (
    ChatCommand(
        (), ("/go",), "[N|NAME]", "switch to a conversation, or list all", lambda handlers, target: handlers.go(target)
    ),
    ChatCommand(
        (), ("/hide",), "", "hide this conversation until its next message", lambda handlers, _: handlers.hide()
    ),
    ChatCommand(
        (), ("/clear", "/cls"), "", "clear the screen; what was on it is kept", lambda handlers, _: handlers.clear()
    ),
    ChatCommand((), ("/keys",), "", "list the keys", lambda handlers, _: handlers.keys()),
    ChatCommand(("2", "help"), ("/help",), "", "list the commands", lambda handlers, _: handlers.help()),
    ChatCommand(
        ("3", "exit"),
        ("/quit", "/exit"),
        "",
        "quit the client",
        lambda handlers, _: handlers.quit(),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/q",),
        "[NAME [TEXT]]",
        "quit the client; with a name, the same as /msg",
        run_quit_or_message,
        never_suggested=True,
    ),
)
