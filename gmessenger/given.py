"""Which value every option of a command has, and where it came from: what `--check` prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext
from typing import Any, Final

from gmessenger.commandline import Command, Options, environment_of, keys_on_line, parse, parser_of
from gmessenger.options import Option, written
from gmessenger.terminal_text import visible
from gmessenger.urls import MASK, masked, masked_text

URL: Final = "URL"
"""How the value is called of options that name a service."""
COMMAND_LINE: Final = "command line"
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Given:
    """One option, its value, and its `source`: the command line, a variable of the environment, a file, or nobody."""

    row: Option
    value: Any
    source: str

    @property
    def shown(self) -> str:
        """The value for everybody's eyes."""
        if self.row.secret and self.value:
            return MASK
        hide = masked if self.row.kind.metavar == URL else masked_text
        return visible(hide(written(self.value)))


def given(
    command: Command[Options], arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[Options, list[Given]]:
    """The options as `parse` returns them, and of each where it came from. Raises as `parse` does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(command, words, environ)
    environment = environment_of(command, environ)
    on_line, in_files = keys_on_line(command, words), _in_files(command, words, environment)

    def source(row: Option) -> str:
        if row.key in on_line:
            return COMMAND_LINE
        return row.env if row.env in environment else in_files.get(row.long.removeprefix("--"), DEFAULT)

    return options, [Given(row, getattr(options, row.key), source(row)) for row in command.rows]


def file_read(command: Command[Any], arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The config file that is read, if any. Raises as `parse` does."""
    namespace = parser_of(command).parse_args(list(arguments), env_vars=environment_of(command, environ))
    file: str | None = namespace.config
    return file


def listed(found: Sequence[Given]) -> list[str]:
    """A line for each option, in columns."""
    wide = max(len(each.row.long) for each in found)
    long = min(40, max(len(each.shown) for each in found))
    return [f"{each.row.long:{wide}}  {each.shown:{long}}  {gettext(each.source)}" for each in found]


def _in_files(command: Command[Any], words: list[str], environment: dict[str, str]) -> dict[str, str]:
    """The keys that a config file sets, and its name."""
    parser = parser_of(command)
    parser.parse_args(words, env_vars=environment)
    sources = parser.get_source_to_settings_dict()
    return {key: name.partition("|")[2] for name, keys in sources.items() if "|" in name for key in keys}
