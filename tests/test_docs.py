"""The documents say what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gmessenger.commandline import CLIENT, SERVER
from gmessenger.errors import WIRE_ERRORS
from gmessenger.options import Flag, Option
from gmessenger.wire import dialects

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text("utf-8")
PROTOCOL = (TOP / "docs" / "protocol.md").read_text("utf-8")
ARCHITECTURE = (TOP / "docs" / "architecture.md").read_text("utf-8")


def readme_row(row: Option) -> str:
    """How the README's table shows an option."""
    names = ", ".join(f"`{name}`" for name in (row.long, *row.spellings))
    default = {True: "yes", False: "no"}.get(row.default, row.default)
    shown = "" if row.default in (None, "") or row.kind is Flag else f"`{default}`"
    return f"| {names} | {shown} | {row.what.split(' [default')[0]} |"


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_the_readme_lists_every_option(command: object) -> None:
    rows = [readme_row(row) for row in command.rows]  # type: ignore[attr-defined]
    missing = [row for row in rows if row not in README]
    assert not missing, "\n" + "\n".join(rows)


def test_the_protocol_lists_every_error() -> None:
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (yes|no) \|$", PROTOCOL, re.MULTILINE)
    expected = [(str(error.code), word, "yes" if error.retry else "no") for word, error in WIRE_ERRORS.items()]
    assert sorted(listed) == sorted(expected)


def test_the_protocol_lists_every_course_spelling() -> None:
    course = PROTOCOL[PROTOCOL.index("## Course clients") :].lower()
    spellings = {*dialects.NAME, *dialects.TO, *dialects.TEXT, *dialects.MESSAGE_ACTIONS, *dialects.LEAVING_ACTIONS}
    spellings |= {*dialects.PRESENCE_ACTIONS, *dialects.LIST_ACTIONS, *dialects.CONTACT_ACTIONS}
    assert [spelling for spelling in sorted(spellings) if f"`{spelling}`" not in course] == []


def test_the_architecture_names_every_package() -> None:
    packages = [path.parent.name for path in (TOP / "gmessenger").glob("*/__init__.py")]
    assert packages and all(f"`gmessenger/{name}`" in ARCHITECTURE for name in packages)


@pytest.mark.parametrize(
    "document", ["README.md", "docs/architecture.md", "docs/protocol.md", "docs/operations.md", "CHANGELOG.md"]
)
def test_links_lead_somewhere(document: str) -> None:
    text = (TOP / document).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((TOP / document).parent / target).exists(), target
