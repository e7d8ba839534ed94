"""Config files: parsing one section of an ini file, and rendering the files that are shipped.

Every error is a `ConfigError` that names the file and the key.
"""

from __future__ import annotations

import configparser
import difflib
import textwrap
from argparse import ArgumentTypeError
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import IO, ClassVar, Final

import configargparse

from gmessenger.config.options import FLAG, Option
from gmessenger.config.types import FALSE_WORDS, TRUE_WORDS, OptionType
from gmessenger.errors import ConfigError
from gmessenger.text import Text
from gmessenger.text_files import open_text
from gmessenger.urls import redact_error, redact_text

UNKNOWN_KEY: Final = Text("{file}: unknown key {key}.")
UNKNOWN_KEY_WITH_HINT: Final = Text("{file}: unknown key {key}; did you mean {near}?")
RELOAD_COMMENT: Final = (
    "#",
    "# A running server reads this file again at SIGHUP and applies all changes that do not need a restart.",
)


def check_value(row: Option, value: str, source: str) -> None:
    """Check that an option accepts a value. Raises `ConfigError`, which names the `source`."""
    try:
        if row.value_type is not FLAG:
            row.value_type.parse(value)
        elif value.lower() not in TRUE_WORDS + FALSE_WORDS:
            raise ArgumentTypeError(Text("expected yes or no, not {value!r}", value=value))
    except ArgumentTypeError as error:
        raise ConfigError(Text("{where}: {fault}.", where=source, fault=redact_error(str(error)))) from None


def open_file(path: str) -> IO[str]:
    """Open a config file. Raises `ConfigError`."""
    try:
        return open_text(path)
    except OSError as error:
        reason = Text(error.strerror or str(error))
        raise ConfigError(Text("Cannot read the config file {file}: {reason}.", file=path, reason=reason)) from error


def section_parser(section: str, rows: Sequence[Option], used: Sequence[Option]) -> type[_SectionParser]:
    """Return a parser class that accepts `rows` in a section, and returns the `used` ones."""
    known = {_key(row): row for row in rows if row.in_files}
    attributes = {"section": section, "known": known, "used": frozenset(map(_key, used))}
    return type("_FileParser", (_SectionParser,), attributes)


class _SectionParser(configargparse.ConfigFileParser):  # type: ignore[misc]
    """Parses an ini file with one section; an unknown section or key is an error."""

    section: ClassVar[str]
    known: ClassVar[Mapping[str, Option]]
    used: ClassVar[frozenset[str]]

    def get_syntax_description(self) -> str:
        return f"key = value lines under [{self.section}]"

    def parse(self, stream: IO[str]) -> OrderedDict[str, str]:
        ini = _read_ini(stream)
        for section in ini.sections():
            if section != self.section:
                raise ConfigError(
                    Text(
                        "{file}: unknown section [{section}]; this command reads [{own}].",
                        file=stream.name,
                        section=section,
                        own=self.section,
                    )
                )
        items = [
            (key, self._strip_comment(key, text)) for key, text in (ini.items(self.section) if ini.sections() else [])
        ]
        return OrderedDict(item for item in items if self._check_item(stream.name, *item) and item[0] in self.used)

    def serialize(self, items: OrderedDict[str, str]) -> str:
        raise NotImplementedError("print-config prints the shipped file")

    def _strip_comment(self, key: str, text: str) -> str:
        """Return the value of a key without the comment after it."""
        row = self.known.get(key)
        return strip_comment(row.value_type, text) if row is not None else text

    def _check_item(self, file: str, key: str, value: str) -> bool:
        """Check a key and its value; return False if it counts as not set: an empty value, where that is none."""
        if key not in self.known:
            near = difflib.get_close_matches(key, self.known, 1)
            raise ConfigError(
                Text(UNKNOWN_KEY_WITH_HINT if near else UNKNOWN_KEY, file=file, key=key, near="".join(near))
            )
        if "\0" in value:
            raise ConfigError(Text("{file}: {key} holds a NUL character.", file=file, key=key))
        if value:
            check_value(self.known[key], value, f"{file}: {key}")
        return bool(value) or self.known[key].default == ""


def _read_ini(stream: IO[str]) -> configparser.RawConfigParser:
    # RawConfigParser does not interpolate: a % is a percent sign.
    ini = configparser.RawConfigParser(strict=True, default_section="\0", inline_comment_prefixes=None)
    try:
        ini.read_file(stream)
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = redact_text(str(error).replace("\\n", " ").replace("\n", " "))
        raise ConfigError(
            Text("Cannot read the config file {file}: {reason}", file=stream.name, reason=reason)
        ) from None  # the original error quotes the line, which may hold a password
    return ini


def strip_comment(value_type: OptionType, text: str) -> str:
    """Return a value without comments after its lines, by the pattern of its type; may be empty."""
    # A space is put back before the value, so that a comment directly after the = is one.
    return "\n".join(value_type.comment_pattern.split(f" {line}", 1)[0].strip() for line in text.split("\n"))


def render_config(description: str, section: str, rows: Sequence[Option], *, reloadable: bool) -> str:
    """Return the text of a shipped config file. `reloadable`: a running program can read it again."""
    lines = [
        f"# {description}",
        "#",
        "# Every option, with its default. Remove the # before a key to set it. The environment (MESSENGER_PORT for",
        "# port, and so on) takes precedence over this file, and the command line over the environment. A comment",
        "# may follow a value, after white space.",
        *(RELOAD_COMMENT if reloadable else ()),
        "",
        f"[{section}]",
    ]
    for row in rows:
        if row.in_files:
            lines += ["", *_comment_lines(row, reloadable), f"{'' if row.active_in_file else '# '}{_assignment(row)}"]
    return "\n".join(lines) + "\n"


def _comment_lines(row: Option, reloadable: bool) -> list[str]:
    restart = " Needs a restart." if row.needs_restart and reloadable else ""
    comment = f"{row.description[0].upper()}{row.description[1:]}. Change it {row.when_to_change}.{restart}"
    return textwrap.wrap(comment, 110, initial_indent="# ", subsequent_indent="# ")


def _assignment(row: Option) -> str:
    return f"{_key(row)} = {row.default_text}".rstrip()


def _key(row: Option) -> str:
    return row.long_name.removeprefix("--")
