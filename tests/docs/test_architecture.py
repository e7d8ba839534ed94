"""The pages about the code name files, functions and classes that exist."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT
from tests.docs.test_generated_tables import DOCUMENTS

PAGES = ("architecture.md", "how-to-add.md")
"""Pages whose tables have a column `file`, with a column `function` beside it."""
FOLDERS = (ROOT, ROOT / "gmessenger")
"""What a path in a document may begin from."""
OTHERS = {"StreamServer", "Pool", *dir(builtins)}
"""Classes of Python and its libraries that the pages name."""
PATH = re.compile(r"[\w./-]+\.py")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?")
CLASS_OR_METHOD = re.compile(r"[A-Z][a-z]\w*(?:\.[a-z_]\w*)?")


def find_file(path: str) -> Path | None:
    """Return the file that a document means by a path, or None."""
    return next((folder / path for folder in FOLDERS if (folder / path).is_file()), None)


def defined_names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield what the statements of a module or a class define; the members of a class as `Class.member`."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
                yield from (f"{name}.{member}" for member in defined_names(node.body))
                yield from (f"{name}.{attribute}" for attribute in assigned_attributes(node))
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def assigned_attributes(node: ast.ClassDef) -> Iterator[str]:
    """Yield the attributes that the methods of a class assign to `self`."""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and isinstance(each.value, ast.Name):
            yield each.attr


@cache
def names_in(file: Path) -> frozenset[str]:
    """Return what a module defines."""
    return frozenset(defined_names(ast.parse(file.read_text("utf-8")).body))


@cache
def names_in_package() -> frozenset[str]:
    """Return what any module of the package or of the tests defines."""
    files = [*(ROOT / "gmessenger").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    return frozenset().union(*(names_in(file) for file in files))


def code(text: str) -> list[str]:
    """Return what stands in backticks in a text."""
    return re.findall(r"`([^`\n]+)`", text)


def without_blocks(text: str) -> str:
    """Take out fenced and indented blocks."""
    text = re.sub(r"^(```|~~~).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def rows(text: str) -> Iterator[dict[str, str]]:
    """Yield the rows of all tables of a document, each by its column's heading."""
    headings: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            headings = []
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not headings:
            headings = cells
        elif not set("".join(cells)) <= set("-: "):
            yield dict(zip(headings, cells, strict=True))


def unknown_names(text: str) -> list[str]:
    """Return what the tables of a document name and the files of the same row do not define."""
    found = []
    for row in rows(text):
        files = [file for path in code(row.get("file", "")) if (file := find_file(path)) is not None]
        known = frozenset().union(*(names_in(file) for file in files if file.suffix == ".py"))
        found += [name for name in code(row.get("function", "")) if NAME.fullmatch(name) and name not in known]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_name_what_is_defined_in_their_files(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert sum("function" in row for row in rows(text)) > 20
    assert unknown_names(text) == []


@pytest.mark.parametrize("page", PAGES)
def test_the_text_names_classes_that_exist(page: str) -> None:
    text = without_blocks((ROOT / "docs" / page).read_text("utf-8"))
    named = {name for name in code(text) if CLASS_OR_METHOD.fullmatch(name)} - OTHERS
    assert len(named) > 20
    assert sorted(named - names_in_package()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_modules_that_exist(document: Path) -> None:
    text = without_blocks(document.read_text("utf-8"))
    paths = [path for path in code(text) if PATH.fullmatch(path)]
    assert [path for path in paths if find_file(path) is None] == []


def test_every_file_of_a_row_exists() -> None:
    for page in PAGES:
        for row in rows((ROOT / "docs" / page).read_text("utf-8")):
            for path in code(row.get("file", "")):
                assert find_file(path) is not None or any((folder / path).exists() for folder in FOLDERS), path


def test_a_wrong_name_is_found() -> None:
    table = "| file | function |\n|---|---|\n| `{}` | `{}` |\n"
    assert unknown_names(table.format("chat/outbox.py", "Outbox.offer")) == []
    assert unknown_names(table.format("chat/outbox.py", "Outbox.offered")) == ["Outbox.offered"]
    assert unknown_names(table.format("chat/gone.py", "Outbox.offer")) == ["Outbox.offer"]
