"""Write the manual pages, from the tables of options and commands: `python -m scripts.man_pages`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from gmessenger import __version__
from gmessenger.admin.commands import COMMANDS as ADMIN_COMMANDS
from gmessenger.config.options import FLAG, Option
from gmessenger.config.parser import ADMIN, CLIENT, SERVER, Program
from gmessenger.terminal import commands as chat_commands

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
GENERAL_OPTIONS: Final = (
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
    """Return a sentence without its capital letter and full stop, to follow a dash."""
    return sentence[0].lower() + sentence[1:].rstrip(".")


def page(program: Program[Any]) -> str:
    """Return the manual page of a program in the format of man(7)."""
    others = [f".BR {plain(other.name)} (1)" for other in ALL if other is not program]
    sections = {
        "NAME": f"{plain(program.name)} \\- {plain(_as_phrase(program.description))}",
        "SYNOPSIS": f".B {plain(program.name)}\n{plain(ARGUMENTS[program])}",
        "DESCRIPTION": plain(DESCRIPTIONS[program]),
        "OPTIONS": items((*map(option, program.rows), *general_options(program))),
        "COMMANDS": {SERVER: "", CLIENT: chat_command_items(), ADMIN: admin_command_items()}[program],
        "ENVIRONMENT": plain(ENVIRONMENT.format(section=program.config_owner.section)) + password_item(program),
        "FILES": items(FILES[program]),
        "EXIT STATUS": items(EXIT_CODES),
        "SEE ALSO": f"{others[0]} ,\n{others[1]}",
    }
    title = f'.TH {program.name.upper()} 1 "" "gmessenger {__version__}" "User Commands"\n'
    return title + "".join(f".SH {head}\n{text.strip()}\n" for head, text in sections.items() if text)


def option(row: Option) -> tuple[str, str]:
    """Return an option's names, and its description with the default and when to change it."""
    value = "" if row.value_type is FLAG else f" {row.value_type.metavar}"
    use = f" [{row.default_text}]. Change it" if row.default_text else ". Of use"
    return ", ".join((*row.aliases, row.long_name)) + value, f"{capital(row.description)}{use} {row.when_to_change}."


def general_options(program: Program[Any]) -> list[tuple[str, str]]:
    """Return the options that all programs have."""
    return [(names, description.format(program=program.name)) for names, description in GENERAL_OPTIONS]


def chat_command_items() -> str:
    """Return the commands of the client."""
    rows = [(", ".join((*row.bare_words, *row.names)), row) for row in chat_commands.COMMANDS]
    return plain(chat_commands.HELP_NOTES) + items(
        (
            f"{names} {row.arguments}".rstrip(),
            f"{capital(row.description)}{' (operators)' if row.operators_only else ''}.",
        )
        for names, row in rows
    )


def admin_command_items() -> str:
    """Return the commands of `gmessenger-admin`."""
    needs = {(True, False): " (needs the server stopped)", (False, True): " (needs it running)"}
    return items(
        (row.usage, f"{capital(row.description)}{needs.get((row.needs_stopped, row.needs_running), '')}.")
        for row in ADMIN_COMMANDS
    )


def password_item(program: Program[Any]) -> str:
    description = "A password; it is not passed on to anything that the client starts."
    return items([("MESSENGER_PASSWORD", description)]) if program is CLIENT else ""


def items(rows: Iterable[tuple[str, str]]) -> str:
    """Return a list of terms, each with its description below."""
    return "".join(f"\n.TP\n.B {plain(term)}\n{plain(description)}" for term, description in rows)


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def plain(text: str) -> str:
    """Return filled text without requests of roff, with signs that stay ASCII on the page."""
    filled = textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"^\.", r"\\&.", filled.translate(SIGNS), flags=re.MULTILINE)


if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for program in ALL:
        (PAGES / f"{program.name}.1").write_text(page(program), "utf-8")
