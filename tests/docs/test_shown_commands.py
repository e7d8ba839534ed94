"""The commands that the documents show exist, with the options that they are shown with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from gmessenger.admin.commands import find_command
from gmessenger.config.parser import ADMIN, CLIENT, SERVER, make_parser
from gmessenger.errors import UsageError
from tests import ROOT
from tests.docs.test_generated_tables import DOCUMENTS

OPTIONS: Final = {program.name: set(make_parser(program)._option_string_actions) for program in (SERVER, CLIENT, ADMIN)}
SHOWN: Final = re.compile(
    r"(?<!> /usr/local/bin/)(?<!--entrypoint )\b(gmessenger-(?:server|client|admin)) ([^|;&>`)]*)"
)
CODE_LINE: Final = re.compile(r"^(?: {4,}|\$ )(.*)$", re.MULTILINE)
COMMENT: Final = re.compile(r"\s#\s.*$")
GLOBAL_OPTIONS: Final = ("-c", "--store", "--port")
"""Options of `gmessenger-admin` that may stand before its command; each has a value."""


def shown_commands(text: str) -> list[tuple[str, list[str]]]:
    """Return each program and its arguments in the code of a document, without comments and prompts."""
    lines = [COMMENT.sub("", line) for line in CODE_LINE.findall(text.replace("\\\n", " "))]
    found = [match.groups() for line in lines for match in SHOWN.finditer(line)]
    return [(program, re.findall(r"'[^']*'|\"[^\"]*\"|\S+", arguments)) for program, arguments in found]


def faults(program: str, arguments: list[str]) -> list[str]:
    """Return the arguments that a program does not know."""
    known = set(OPTIONS[program])
    if program == ADMIN.name:
        while arguments and arguments[0] in GLOBAL_OPTIONS:
            arguments = arguments[2:]
        if arguments and arguments[0][:1] not in ("-", '"'):
            try:
                command = find_command([shlex.split(each)[0] for each in arguments])
            except UsageError as error:
                return [str(error)]
            known |= set(re.findall(r"--[\w-]+", command.usage))
    options = [each.partition("=")[0] for each in arguments if re.fullmatch(r"-[a-z]|--[a-z].*", each)]
    return [option for option in options if option not in known]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_shown_as_they_are(document: Path) -> None:
    commands = shown_commands(document.read_text("utf-8"))
    assert [(*command, found) for command in commands if (found := faults(*command))] == []


def test_enough_commands_are_found() -> None:
    found = [command for document in DOCUMENTS for command in shown_commands(document.read_text("utf-8"))]
    assert len(found) > 60
    assert (ADMIN.name, ["ban", "203.0.113.0/24", "--for", "36h"]) in [(name, words) for name, words in found]


@pytest.mark.parametrize(
    "line",
    [
        "gmessenger-admin user create hank",
        "gmessenger-admin -c x.ini kick hank --because x",
        "gmessenger-server --prot 1",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    (command,) = shown_commands(f"    {line}   # a comment\n")
    assert faults(*command)
