"""Write the manual pages anew, from the tables of options and commands: `python -m scripts.man_pages`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from gmessenger import __version__
from gmessenger.admin import commands as administration
from gmessenger.config.options import FLAG, Option
from gmessenger.config.parser import ADMIN, CLIENT, SERVER, Program
from gmessenger.terminal import commands as conversation

PAGES: Final = Path(__file__).parent.parent / "docs" / "man"
ALL: Final = (SERVER, CLIENT, ADMIN)
ARGUMENTS: Final = {SERVER: "[option ...]", CLIENT: "[option ...] [HOST [PORT]]", ADMIN: "[option ...] COMMAND ..."}
DESCRIPTIONS: Final = {
    SERVER: "Needs nothing to be set up: it makes its store at the first start, and listens on port 7777. SIGHUP has "
    "it read its config file again. SIGTERM and SIGINT stop it cleanly; a second one ends it at once.",
    CLIENT: "At a terminal it is a conversation: what is typed is sent, what is sent to you is shown, and nothing is "
    "lost when the line is. Started with nothing, it asks once for a server and a name. With --to and --listen it is "
    "a command for scripts and pipes, which asks nothing.",
    ADMIN: "Works on a running server, through a socket beside its store, and where none runs on the store itself. To "
    "be run as the same user as the server.",
}
FURTHER: Final = (
    ("-c, --config FILE", "A config file."),
    (
        "--print-completion SHELL",
        "Print the completion script of this command for bash, zsh or fish, then exit. In ~/.bashrc: "
        'eval "$({program} --print-completion bash)".',
    ),
    ("--print-config", "Print the default config file, with comments, then exit."),
    ("--version", "Print the version, then exit."),
    ("-h, --help", "Print the options, and end."),
)
ENVIRONMENT: Final = (
    "Every option may also be set as a variable, --log-level as MESSENGER_LOG_LEVEL, and in the [{section}] section of "
    "a config file. The command line wins over the environment, the environment over the file. MESSENGER_CONFIG names "
    "the file."
)
WIDTH: Final = 78
SIGNS: Final = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "…": "..."}
)
OWN_FILE: Final = "Your own, read where no other one is named. The first run writes server and name into it."
FILES: Final = {
    SERVER: (("messenger.db", "The store, in $STATE_DIRECTORY, else in $XDG_STATE_HOME/gmessenger."),),
    CLIENT: (
        ("~/.config/gmessenger/client.ini", OWN_FILE),
        ("~/.local/state/gmessenger/", "The log, and messages that wait to be sent."),
    ),
    ADMIN: (("messenger.db.socket", "Where the server of the store beside it listens for this command."),),
}
EXIT_CODES: Final = (
    ("0", "Success."),
    ("1", "An internal error occurred, or verify found damage."),
    ("2", "A bad command line."),
    ("69", "The server cannot listen, or cannot be reached."),
    ("73", "A file cannot be read or written."),
    ("75", "Not everything was sent, or a later attempt may succeed."),
    ("77", "The request was refused."),
    ("78", "A bad config file or environment."),
    ("143", "Ended by a second signal."),
)


def _as_phrase(sentence: str) -> str:
    """Turn a sentence into what follows a dash: a small letter first, and no full stop."""
    return sentence[0].lower() + sentence[1:].rstrip(".")


def page(command: Program[Any]) -> str:
    """The manual page of a command, as man(7) has it."""
    others = [f".BR {plain(each.name)} (1)" for each in ALL if each is not command]
    sections = {
        "NAME": f"{plain(command.name)} \\- {plain(_as_phrase(command.description))}",
        "SYNOPSIS": f".B {plain(command.name)}\n{plain(ARGUMENTS[command])}",
        "DESCRIPTION": plain(DESCRIPTIONS[command]),
        "OPTIONS": items((*map(option, command.rows), *further(command))),
        "COMMANDS": {SERVER: "", CLIENT: typed(), ADMIN: given()}[command],
        "ENVIRONMENT": plain(ENVIRONMENT.format(section=command.config_owner.section)) + password(command),
        "FILES": items(FILES[command]),
        "EXIT STATUS": items(EXIT_CODES),
        "SEE ALSO": f"{others[0]} ,\n{others[1]}",
    }
    title = f'.TH {command.name.upper()} 1 "" "gmessenger {__version__}" "User Commands"\n'
    return title + "".join(f".SH {head}\n{text.strip()}\n" for head, text in sections.items() if text)


def option(row: Option) -> tuple[str, str]:
    """An option with what it sets, its default, and when to change it."""
    value = "" if row.value_type is FLAG else f" {row.value_type.metavar}"
    use = f" [{row.default_text}]. Change it" if row.default_text else ". Of use"
    return ", ".join((*row.aliases, row.long_name)) + value, f"{capital(row.description)}{use} {row.when_to_change}."


def further(command: Program[Any]) -> list[tuple[str, str]]:
    """Options that set nothing."""
    return [(names, what.format(program=command.name)) for names, what in FURTHER]


def typed() -> str:
    """What can be typed in the client."""
    rows = [(", ".join((*row.bare_words, *row.names)), row) for row in conversation.COMMANDS]
    return plain(conversation.HELP_NOTES) + items(
        (
            f"{names} {row.arguments}".rstrip(),
            f"{capital(row.description)}{' (operators)' if row.operators_only else ''}.",
        )
        for names, row in rows
    )


def given() -> str:
    """What the administration can be told to do."""
    needs = {(True, False): " (needs the server stopped)", (False, True): " (needs it running)"}
    return items(
        (row.usage, f"{capital(row.description)}{needs.get((row.needs_stopped, row.needs_running), '')}.")
        for row in administration.COMMANDS
    )


def password(command: Program[Any]) -> str:
    said = "A password; it is not passed on to anything that the client starts."
    return items([("MESSENGER_PASSWORD", said)]) if command is CLIENT else ""


def items(rows: Iterable[tuple[str, str]]) -> str:
    """Terms, each with what is said of it below."""
    return "".join(f"\n.TP\n.B {plain(term)}\n{plain(said)}" for term, said in rows)


def capital(said: str) -> str:
    return said[0].upper() + said[1:]


def plain(text: str) -> str:
    """Text that means itself: no line is a request, and every sign can be copied as what it is."""
    filled = textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"^\.", r"\\&.", filled.translate(SIGNS), flags=re.MULTILINE)


if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for each in ALL:
        (PAGES / f"{each.name}.1").write_text(page(each), "utf-8")
