"""The languages of the page: one catalog with the terminal client, of which the page has its part."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gmessenger.errors import WIRE_ERRORS
from scripts.translations import PAGE, catalogs, compile_page, extract_page, page_file, read_catalog

MODULES = sorted(PAGE.glob("*.js"))
MARKED = re.compile(r"""(?<![\w.])(?:_|N_|ngettext)\(\s*(.)""")


@pytest.mark.parametrize("catalog_file", catalogs(), ids=lambda file: file.parent.parent.name)
def test_what_the_page_has_is_what_the_catalog_has(catalog_file: Path) -> None:
    words = page_file(catalog_file).read_text("utf-8")
    assert words == compile_page(read_catalog(catalog_file)), "make words"
    known = json.loads(words)
    used = {message if isinstance(message, str) else message[0] for _, message in extract_page()}
    assert known["messages"].keys() == used
    assert known["errors"].keys() == WIRE_ERRORS.keys() and all(known["errors"].values())


def test_there_is_a_catalog_for_each_language_of_the_page() -> None:
    source = (PAGE / "translations.js").read_text("utf-8")
    found = re.search(r"LANGUAGES = (\[.*\])", source)
    assert found and json.loads(found[1]) == ["en", *(file.parent.parent.name for file in catalogs())]


@pytest.mark.parametrize("module", MODULES, ids=lambda file: file.name)
def test_every_sentence_is_found(module: Path) -> None:
    """What is marked is a text and no variable, unless it was marked elsewhere; none is in a template."""
    source = re.sub(r"^export function (?:_|N_|ngettext)\(.*$", "", module.read_text("utf-8"), flags=re.MULTILINE)
    marked = [match for match in MARKED.finditer(source) if match[1] in "\"'`"]
    assert all(match[1] == '"' for match in marked)
    assert len({message for file, message in extract_page() if file == module}) <= len(marked)
    literals = re.findall(r'(?<![\w.])(?:_|N_)\(\s*"((?:[^"\\]|\\.)*)"', source)
    assert set(literals) <= {message for file, message in extract_page() if file == module if isinstance(message, str)}
