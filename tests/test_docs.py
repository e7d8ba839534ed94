"""The documents say what the tables say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gmessenger.commandline import CLIENT, SERVER, Command
from gmessenger.errors import ERRORS, WIRE_ERRORS
from gmessenger.server.metrics import METRICS
from gmessenger.wire import dialects
from scripts.readme_tables import with_tables
from tests import ROOT

README = (ROOT / "README.md").read_text("utf-8")
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_the_readme_lists_every_option(command: Command[Any]) -> None:
    assert with_tables(README, command) == README, "run `make config`"


def test_the_protocol_lists_every_error() -> None:
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (yes|no) \|$", PROTOCOL, re.MULTILINE)
    expected = [(str(error.code), word, "yes" if error.retry else "no") for word, error in WIRE_ERRORS.items()]
    assert sorted(listed) == sorted(expected)
    others = re.findall(r"^\| `(\w+)` \| (yes|no) \|$", PROTOCOL, re.MULTILINE)
    never_sent = {word: error for word, error in ERRORS.items() if word not in WIRE_ERRORS}
    assert sorted(others) == sorted((word, "yes" if error.retry else "no") for word, error in never_sent.items())


def test_operations_list_every_metric() -> None:
    listed = re.findall(r"^\| `(gmessenger_\w+)` \| (\w+) \| (.*?) \| (.+?) \|$", OPERATIONS, re.MULTILINE)
    labels = {row.shown: ", ".join(f"`{label}`" for label in row.labels) for row in METRICS}
    assert listed == [(row.shown, row.kind, labels[row.shown], row.about) for row in METRICS]


def test_alerts_are_about_metrics_there_are() -> None:
    shown = {row.shown + ending for row in METRICS for ending in ("", "_bucket", "_sum", "_count")}
    assert set(re.findall(r"gmessenger_\w+", OPERATIONS)) <= shown


def test_the_protocol_lists_every_course_spelling() -> None:
    course = PROTOCOL[PROTOCOL.index("## Course clients") :].lower()
    spellings = {*dialects.NAME, *dialects.TO, *dialects.TEXT, *dialects.MESSAGE_ACTIONS, *dialects.LEAVING_ACTIONS}
    spellings |= {*dialects.PRESENCE_ACTIONS, *dialects.LIST_ACTIONS, *dialects.CONTACT_ACTIONS}
    assert [spelling for spelling in sorted(spellings) if f"`{spelling}`" not in course] == []


def test_the_architecture_names_every_package() -> None:
    packages = [path.parent.name for path in (ROOT / "gmessenger").glob("*/__init__.py")]
    assert packages and all(f"`gmessenger/{name}`" in ARCHITECTURE for name in packages)


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CHANGELOG.md",
        *(f"docs/{name}.md" for name in ("architecture", "protocol", "operations", "scripting", "client")),
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / document).parent / target).exists(), target
