"""The shipped config files: every option with what it sets, when to change it, and its default."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from gmessenger.options import Option

RELOADING: Final = (
    "#",
    "# A running server reads this file again at SIGHUP, and follows it in all that does not take a restart.",
)


def config_file_of(about: str, section: str, rows: Sequence[Option], *, reloads: bool) -> str:
    """The text of the file; `reloads` says that a running program can read it again."""
    lines = [
        f"# {about}",
        "#",
        "# Every option, with its default. Remove the # before a key to set it. The environment (MESSENGER_PORT for",
        "# port, and so on) wins over this file, and the command line wins over the environment.",
        *(RELOADING if reloads else ()),
        "",
        f"[{section}]",
    ]
    for row in rows:
        if row.in_files:
            lines += ["", *_comment(row, reloads), f"{'' if row.shown_active else '# '}{_assignment(row)}"]
    return "\n".join(lines) + "\n"


def _comment(row: Option, reloads: bool) -> list[str]:
    restart = " Takes a restart." if row.restart and reloads else ""
    what = f"{row.what[0].upper()}{row.what[1:]}. Change it {row.when}.{restart}"
    return textwrap.wrap(what, 110, initial_indent="# ", subsequent_indent="# ")


def _assignment(row: Option) -> str:
    return f"{row.long.removeprefix('--')} = {row.shown}".rstrip()
