"""Docstrings: a summary of one short line; for functions in the imperative; for modules and classes always there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

FOLDERS = ("gmessenger", "benchmarks", "scripts", "tests")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
MAX_SUMMARY = 115  # characters
VAGUE_WORDS = re.compile(r"\b(?:what it is told|whoever|somebody|everybody|nobody|anybody)\b", re.IGNORECASE)
NO_VERBS = {
    *(
        "A",
        "All",
        "An",
        "Are",
        "As",
        "At",
        "By",
        "Each",
        "Every",
        "For",
        "From",
        "Has",
        "Here",
        "How",
        "If",
        "In",
        "Is",
    ),
    *("It", "Its", "No", "Not", "Nothing", "Of", "On", "One", "Only", "Same", "Some", "Than", "That", "The", "Their"),
    *(
        "There",
        "These",
        "This",
        "Those",
        "To",
        "Two",
        "What",
        "When",
        "Where",
        "Whether",
        "Who",
        "Whom",
        "Whose",
        "With",
    ),
}
"""Words that begin a sentence which is not an order; so does a third person, which ends in an s (`Returns`)."""

TABLES = ("gmessenger/errors/", "gmessenger/wire/events/")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def documented(path: Path) -> Iterator[tuple[Documented, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield node, ast.get_docstring(node) or ""


def is_order(docstring: str) -> bool:
    first = re.match(r"`?\w+", docstring)
    word = first.group() if first else ""
    return word not in NO_VERBS and not re.search(r"[^s]s$", word)


def is_named_by_a_noun(function: ast.FunctionDef) -> bool:
    """Return whether a function reads as a value, as properties, fixtures and `__len__` do; tests have their names."""
    decorators = " ".join(ast.unparse(each) for each in function.decorator_list)
    return "property" in decorators or "fixture" in decorators or function.name.startswith(("test_", "__"))


def is_row(node: Documented, path: Path) -> bool:
    """Return whether a class is a row of a table: an error or a frame, which its message or its tag describes."""
    return isinstance(node, ast.ClassDef) and path.relative_to(ROOT).as_posix().startswith(TABLES)


def faults(path: Path) -> Iterator[str]:
    for node, docstring in documented(path):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        summary = docstring.partition("\n")[0]
        if not docstring:
            in_product = path.is_relative_to(ROOT / "gmessenger") and path.name != "__main__.py"
            if in_product and not isinstance(node, ast.FunctionDef) and not is_row(node, path):
                yield f"{where}: no docstring"
        elif len(summary) > MAX_SUMMARY:
            yield f"{where}: more than {MAX_SUMMARY} characters: {summary}"
        elif found := VAGUE_WORDS.search(docstring):
            yield f"{where}: {found.group()!r}: {docstring}"
        elif isinstance(node, ast.FunctionDef) and not is_named_by_a_noun(node) and not is_order(summary):
            yield f"{where}: not an order: {summary}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_have_their_form(path: Path) -> None:
    assert list(faults(path)) == []
