"""The value of each option and its source, as `--check` prints them."""

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
"""The metavar of options that name a service, whose value may hold a password."""
COMMAND_LINE: Final = "command line"
DEFAULT: Final = "default"
MAX_VALUE_WIDTH: Final = 40  # columns; a longer value moves its source to the right


@dataclass(frozen=True, slots=True)
class OptionSource:
    """An option, its value, and its source: command line, variable, file, or default."""

    option: Option
    value: Any
    source: str

    @property
    def display_value(self) -> str:
        """The value, without secrets and safe for a terminal."""
        if self.option.secret and self.value:
            return REDACTED
        redact = redact_url if self.option.value_type.metavar == URL else redact_text
        return sanitize(redact(format_value(self.value)))


def resolve_sources(
    program: Program[OptionsT], arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[OptionsT, list[OptionSource]]:
    """Return the options, as `parse_options` does and with its errors, and the source of each."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_options(program, args, environ)
    environment = own_environment(program, environ)
    given_keys, file_keys = keys_on_command_line(program, args), _keys_in_files(program, args, environment)

    def source(row: Option) -> str:
        if row.key in given_keys:
            return COMMAND_LINE
        return row.env_var if row.env_var in environment else file_keys.get(row.long_name.removeprefix("--"), DEFAULT)

    return options, [OptionSource(row, getattr(options, row.key), source(row)) for row in program.rows]


def config_file_in_use(program: Program[Any], arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the config file that is read; None if there is none. Raises what `parse_options` raises."""
    namespace = make_parser(program).parse_args(list(arguments), env_vars=own_environment(program, environ))
    file: str | None = namespace.config
    return file


def format_sources(sources: Sequence[OptionSource]) -> list[str]:
    """Return a line for each option, in columns: name, value, source."""
    name_width = max(len(row.option.long_name) for row in sources)
    value_width = min(MAX_VALUE_WIDTH, max(len(row.display_value) for row in sources))
    return [
        f"{row.option.long_name:{name_width}}  {row.display_value:{value_width}}  {gettext(row.source)}"
        for row in sources
    ]


def _keys_in_files(program: Program[Any], arguments: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Return the keys that a config file sets, each with the file's name."""
    parser = make_parser(program)
    parser.parse_args(arguments, env_vars=environment)
    sources = parser.get_source_to_settings_dict()
    return {key: name.partition("|")[2] for name, keys in sources.items() if "|" in name for key in keys}
