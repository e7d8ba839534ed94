"""Which value every option of a command has, and where it came from: what `--check` prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext
from typing import Any, Final

from gmessenger.config.options import Option, format_value
from gmessenger.config.parser import (
    OptionsT,
    Program,
    keys_on_command_line,
    make_parser,
    own_environment,
    parse_options,
)
from gmessenger.sanitize import sanitize
from gmessenger.urls import REDACTED, redact_text, redact_url

URL: Final = "URL"
"""How the value is called of options that name a service."""
COMMAND_LINE: Final = "command line"
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class OptionSource:
    """One option, its value, and its `source`: the command line, a variable of the environment, a file, or nobody."""

    option: Option
    value: Any
    source: str

    @property
    def display_value(self) -> str:
        """The value for everybody's eyes."""
        if self.option.secret and self.value:
            return REDACTED
        hide = redact_url if self.option.value_type.metavar == URL else redact_text
        return sanitize(hide(format_value(self.value)))


def resolve_sources(
    program: Program[OptionsT], arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[OptionsT, list[OptionSource]]:
    """The options as `parse` returns them, and of each where it came from. Raises as `parse` does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_options(program, words, environ)
    environment = own_environment(program, environ)
    on_line, in_files = keys_on_command_line(program, words), _keys_in_files(program, words, environment)

    def source(row: Option) -> str:
        if row.key in on_line:
            return COMMAND_LINE
        return row.env_var if row.env_var in environment else in_files.get(row.long_name.removeprefix("--"), DEFAULT)

    return options, [OptionSource(row, getattr(options, row.key), source(row)) for row in program.rows]


def config_file_in_use(program: Program[Any], arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The config file that is read, if any. Raises as `parse` does."""
    namespace = make_parser(program).parse_args(list(arguments), env_vars=own_environment(program, environ))
    file: str | None = namespace.config
    return file


def format_sources(sources: Sequence[OptionSource]) -> list[str]:
    """A line for each option, in columns."""
    wide = max(len(each.option.long_name) for each in sources)
    long = min(40, max(len(each.display_value) for each in sources))
    return [f"{each.option.long_name:{wide}}  {each.display_value:{long}}  {gettext(each.source)}" for each in sources]


def _keys_in_files(program: Program[Any], arguments: list[str], environment: dict[str, str]) -> dict[str, str]:
    """The keys that a config file sets, and its name."""
    parser = make_parser(program)
    parser.parse_args(arguments, env_vars=environment)
    sources = parser.get_source_to_settings_dict()
    return {key: name.partition("|")[2] for name, keys in sources.items() if "|" in name for key in keys}
