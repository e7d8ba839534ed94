"""Config files: how one is read, a section of an ini file, and the text of those that are shipped.

Every fault is a `ConfigProblem`, one sentence that names the file and the key.
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

from gmessenger.errors import ConfigProblem
from gmessenger.kinds import NO, YES, Kind
from gmessenger.options import Flag, Option
from gmessenger.sentences import Sentence
from gmessenger.text_files import open_text
from gmessenger.urls import masked_fault, masked_text

UNKNOWN: Final = Sentence("{file}: unknown key {key}.")
MEANT: Final = Sentence("{file}: unknown key {key}; did you mean {near}?")
RELOADING: Final = (
    "#",
    "# A running server reads this file again at SIGHUP and applies all changes that do not need a restart.",
)


def check(row: Option, value: str, where: str) -> None:
    """Whether an option can have that value, which was given `where`. Raises `ConfigProblem`."""
    try:
        if row.kind is not Flag:
            row.kind.read(value)
        elif value.lower() not in YES + NO:
            raise ArgumentTypeError(Sentence("expected yes or no, not {value!r}", value=value))
    except ArgumentTypeError as error:
        raise ConfigProblem(Sentence("{where}: {fault}.", where=where, fault=masked_fault(str(error)))) from None


def open_file(path: str) -> IO[str]:
    try:
        return open_text(path)
    except OSError as error:
        reason = Sentence(error.strerror or str(error))
        raise ConfigProblem(
            Sentence("Cannot read the config file {file}: {reason}.", file=path, reason=reason)
        ) from error


def section_parser(section: str, rows: Sequence[Option], taken: Sequence[Option]) -> type[_SectionParser]:
    """What reads the section that has these rows, and takes from it what concerns the command."""
    known = {_key(row): row for row in rows if row.in_files}
    fields = {"section": section, "known": known, "taken": frozenset(map(_key, taken))}
    return type("_FileParser", (_SectionParser,), fields)


class _SectionParser(configargparse.ConfigFileParser):  # type: ignore[misc]
    """Reads the one section of an ini file; an unknown section or key is a fault, never ignored."""

    section: ClassVar[str]
    known: ClassVar[Mapping[str, Option]]
    taken: ClassVar[frozenset[str]]

    def get_syntax_description(self) -> str:
        return f"key = value lines under [{self.section}]"

    def parse(self, stream: IO[str]) -> OrderedDict[str, str]:
        ini = _read(stream)
        for section in ini.sections():
            if section != self.section:
                raise ConfigProblem(
                    Sentence(
                        "{file}: unknown section [{section}]; this command reads [{own}].",
                        file=stream.name,
                        section=section,
                        own=self.section,
                    )
                )
        items = [(key, self._value(key, text)) for key, text in (ini.items(self.section) if ini.sections() else [])]
        return OrderedDict(item for item in items if self._is_set(stream.name, *item) and item[0] in self.taken)

    def serialize(self, items: OrderedDict[str, str]) -> str:
        raise NotImplementedError("print-config prints the shipped file")

    def _value(self, key: str, text: str) -> str:
        """Return what a key is set to, without the comment behind it."""
        row = self.known.get(key)
        return without_comment(row.kind, text) if row is not None else text

    def _is_set(self, file: str, key: str, value: str) -> bool:
        if key not in self.known:
            near = difflib.get_close_matches(key, self.known, 1)
            raise ConfigProblem(Sentence(MEANT if near else UNKNOWN, file=file, key=key, near="".join(near)))
        if "\0" in value:
            raise ConfigProblem(Sentence("{file}: {key} holds a NUL character.", file=file, key=key))
        if value:
            check(self.known[key], value, f"{file}: {key}")
        return bool(value) or self.known[key].default == ""


def _read(stream: IO[str]) -> configparser.RawConfigParser:
    # No interpolation: a % is a percent sign.
    ini = configparser.RawConfigParser(strict=True, default_section="\0", inline_comment_prefixes=None)
    try:
        ini.read_file(stream)
    except (configparser.Error, UnicodeDecodeError) as error:
        fault = masked_text(str(error).replace("\\n", " ").replace("\n", " "))
        raise ConfigProblem(
            Sentence("Cannot read the config file {file}: {reason}", file=stream.name, reason=fault)
        ) from None  # what it was raised from repeats the line
    return ini


def without_comment(kind: Kind, text: str) -> str:
    """Return each line of a value without the comment behind it, as its kind has them; it may be all there is."""
    # The space that was between the = and the value is gone: without it a comment behind nothing would be the value.
    return "\n".join(kind.comment.split(f" {line}", 1)[0].strip() for line in text.split("\n"))


def config_file_of(about: str, section: str, rows: Sequence[Option], *, reloads: bool) -> str:
    """The text of the file; `reloads` says that a running program can read it again."""
    lines = [
        f"# {about}",
        "#",
        "# Every option, with its default. Remove the # before a key to set it. The environment (MESSENGER_PORT for",
        "# port, and so on) takes precedence over this file, and the command line over the environment. A comment",
        "# may follow a value, after white space.",
        *(RELOADING if reloads else ()),
        "",
        f"[{section}]",
    ]
    for row in rows:
        if row.in_files:
            lines += ["", *_comment(row, reloads), f"{'' if row.shown_active else '# '}{_assignment(row)}"]
    return "\n".join(lines) + "\n"


def _comment(row: Option, reloads: bool) -> list[str]:
    restart = " Needs a restart." if row.restart and reloads else ""
    what = f"{row.what[0].upper()}{row.what[1:]}. Change it {row.when}.{restart}"
    return textwrap.wrap(what, 110, initial_indent="# ", subsequent_indent="# ")


def _assignment(row: Option) -> str:
    return f"{_key(row)} = {row.shown}".rstrip()


def _key(row: Option) -> str:
    return row.long.removeprefix("--")
