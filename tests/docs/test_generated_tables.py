"""Generated parts of documents match their sources, and links lead somewhere."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gmessenger.config.parser import CLIENT, SERVER, Program
from gmessenger.errors import ERRORS, WIRE_ERRORS
from gmessenger.server.metrics import METRICS
from gmessenger.wire import dialects
from scripts import option_tables
from tests import ROOT

PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
MONITORING = (ROOT / "docs" / "operations" / "monitoring.md").read_text("utf-8")
OPTIONS = option_tables.DOCUMENT.read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_the_configuration_page_lists_every_option(command: Program[Any]) -> None:
    assert option_tables.with_tables(OPTIONS, command) == OPTIONS, "run `make config`"


def test_the_protocol_lists_every_error() -> None:
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (yes|no) \|$", PROTOCOL, re.MULTILINE)
    expected = [(str(error.status), word, "yes" if error.retryable else "no") for word, error in WIRE_ERRORS.items()]
    assert sorted(listed) == sorted(expected)
    others = re.findall(r"^\| `(\w+)` \| (yes|no) \|$", PROTOCOL, re.MULTILINE)
    never_sent = {word: error for word, error in ERRORS.items() if word not in WIRE_ERRORS}
    assert sorted(others) == sorted((word, "yes" if error.retryable else "no") for word, error in never_sent.items())


def test_operations_list_every_metric() -> None:
    listed = re.findall(r"^\| `(gmessenger_\w+)` \| (\w+) \| (.*?) \| (.+?) \|$", MONITORING, re.MULTILINE)
    labels = {row.full_name: ", ".join(f"`{label}`" for label in row.labels) for row in METRICS}
    assert listed == [(row.full_name, row.kind, labels[row.full_name], row.help) for row in METRICS]


def test_alerts_are_about_metrics_there_are() -> None:
    shown = {row.full_name + ending for row in METRICS for ending in ("", "_bucket", "_sum", "_count")}
    assert set(re.findall(r"gmessenger_\w+", MONITORING)) <= shown


def test_the_protocol_lists_every_course_spelling() -> None:
    course = PROTOCOL[PROTOCOL.index("## Course clients") :].lower()
    spellings = {
        *dialects.NAME_PATHS,
        *dialects.RECIPIENT_PATHS,
        *dialects.TEXT_PATHS,
        *dialects.MESSAGE_ACTIONS,
        *dialects.QUIT_ACTIONS,
    }
    spellings |= {dialects.PRESENCE_PREFIX, *dialects.LIST_ACTIONS, *dialects.CONTACT_ACTIONS, *dialects.KEY_ACTIONS}
    spellings |= {*dialects.ROOM_ACTIONS, *dialects.REFUSED_ACTIONS}
    assert [spelling for spelling in sorted(spellings) if f"`{spelling}`" not in course] == []


def test_the_architecture_names_every_package() -> None:
    packages = [path.parent.name for path in (ROOT / "gmessenger").glob("*/__init__.py")]
    assert packages and all(f"`gmessenger/{name}`" in ARCHITECTURE for name in packages)


def without_code(text: str) -> str:
    """Remove code blocks and inline code, where brackets are no links and `#` is no heading."""
    text = re.sub(r"^(```|~~~).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(next(name for n in count() if (name := f"{slug}-{n}" if n else slug) not in found))
    return found


def dead_links(document: Path) -> list[str]:
    """Return the relative links of a document without a target file or heading."""
    text = re.sub(r"`(?:[^`\n]|\n(?!\n))+`", "code", without_code(document.read_text("utf-8")))
    links = re.findall(r"\]\(<?([^)\s>]+)>?\)", text)
    dead = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            dead.append(link)
    return dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert dead_links(document) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One: `--two`, three\n\n## Twice\n\n## Twice\n\n    # no heading\n")
    good = (
        "[a](other.md) [b](other.md#one---two-three) [`c`](other.md#twice-1) [d](#here) `[e](f)` [g](https://x.org/#y)"
    )
    bad = "[a](gone.md) [b](other.md#two) [c](#there) [d](other.md#twice-2) [e](other.md#no-heading)"
    (tmp_path / "good.md").write_text(f"# Here\n\n{good}\n\n```\n[x](y)\n```\n")
    (tmp_path / "bad.md").write_text(f"# Here\n\n{bad}\n\n```\n# There\n```\n")
    assert dead_links(tmp_path / "good.md") == []
    assert len(dead_links(tmp_path / "bad.md")) == 5


def test_every_page_of_operations_is_in_its_index() -> None:
    folder = ROOT / "docs" / "operations"
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text("utf-8")))
    assert linked == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_both_readmes_show_the_same() -> None:
    english, russian = ((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/README.ru.md"))
    assert [line[:3] for line in english.splitlines() if line.startswith("#")] == [
        line[:3] for line in russian.splitlines() if line.startswith("#")
    ]
    blocks = [re.findall(r"^```\w*$.*?^```$", text, re.MULTILINE | re.DOTALL) for text in (english, russian)]
    commands = [[re.sub(r" *#.*", "", line) for line in "\n".join(found).splitlines()] for found in blocks]
    assert commands[0] == commands[1]
    assert len(english.splitlines()) < 160


def test_what_the_readme_shows_is_what_the_documents_show() -> None:
    readme, client, terminal = (
        (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/client.md", "docs/terminal.md")
    )
    (bot,) = re.findall(r"^```python\n.*?^```$", readme, re.MULTILINE | re.DOTALL)
    (screen,) = re.findall(r"^```\n #dev.*?^```$", readme, re.MULTILINE | re.DOTALL)
    assert bot in client and screen in terminal
