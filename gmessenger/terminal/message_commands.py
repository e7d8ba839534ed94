"""Commands about messages: sending, amending, resending and finding them."""

from __future__ import annotations

from typing import Final

from gmessenger.terminal.chat_command import DEFAULT_HISTORY, ChatCommand, run_message, split_number

MESSAGE_COMMANDS: Final = (
    ChatCommand(
        ("1", "message"),
        ("/msg", "/message", "/query", "/w"),
        "[NAME [TEXT]]",
        "write to NAME; without a name, the client asks for it",
        run_message,
    ),
    ChatCommand(
        (),
        ("/me",),
        "TEXT",
        "say what you do: /me waves is shown as * NAME waves",
        lambda handlers, text: handlers.action(text),
    ),
    ChatCommand(
        (),
        ("/file", "/upload"),
        "PATH",
        "send a file to whom you are writing to",
        lambda handlers, path: handlers.send_file(path),
    ),
    ChatCommand(
        (),
        ("/reply", "/re"),
        "[NUMBER] TEXT",
        "reply to a message",
        lambda handlers, arguments: handlers.reply(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/edit",),
        "[NUMBER] [TEXT]",
        "replace the text of a message of yours",
        lambda handlers, arguments: handlers.edit(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/erase",),
        "[NUMBER]",
        "erase a message for all users",
        lambda handlers, number: handlers.erase(*split_number(number)),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/react",),
        "[NUMBER] EMOJI",
        "react to a message by one character or emoji",
        lambda handlers, arguments: handlers.react(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/unreact",),
        "[NUMBER] EMOJI",
        "take a reaction of yours back",
        lambda handlers, arguments: handlers.unreact(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/again",),
        "[TEXT]",
        "resend the message that was refused last, or TEXT instead of it",
        lambda handlers, text: handlers.again(text),
    ),
    ChatCommand(
        (),
        ("/history",),
        "[N]",
        "show the latest messages of this conversation",
        lambda handlers, count: handlers.history(int(count or DEFAULT_HISTORY)),
    ),
    ChatCommand(
        (),
        ("/search",),
        "[#ROOM|@NAME] WORDS",
        "search for messages with these words, everywhere or in one conversation",
        lambda handlers, words: handlers.search(words),
    ),
    ChatCommand(
        (), ("/mentions",), "", "list the newest messages that mention you", lambda handlers, _: handlers.mentions()
    ),
    ChatCommand(
        (),
        ("/jump",),
        "[N]",
        "go to search result N, or to the next one",
        lambda handlers, number: handlers.jump(int(number) if number else None),
    ),
)
