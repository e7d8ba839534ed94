"""What the page's sources must not have: text that is parsed as HTML or code, styles and handlers in attributes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gmessenger.server.web.assets import PAGE_FOLDER, load_assets

FORBIDDEN = (
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "setHTMLUnsafe", "createContextualFragment", "DOMParser"),
    *("document.write", "eval(", "new Function", "srcdoc", "javascript:", "cssText", ".style.", "dangerously"),
    *('"style"', "'style'", "document.cookie"),
)
INLINE = re.compile(r"""<[^>]*\s(?:style|on\w+)\s*=""")
MODULES = sorted(PAGE_FOLDER.glob("*.js"))
MAX_LINES = 350
MAX_COLUMNS = 120
MAX_FILES_BYTES = 280_000
MAX_FIRST_VISIT_BYTES = 46_000
"""Of what a browser loads for the login and a conversation, as it is sent: docs/web.md has what it consists of."""
MAX_WORDS_BYTES = 10_500
"""Of the words of a language other than English, which are loaded besides."""


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_no_module_makes_html_or_code_of_text(file: Path) -> None:
    source = file.read_text("utf-8")
    assert not [word for word in FORBIDDEN if word in source]
    assert not INLINE.search(source)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_modules_say_what_they_are_for_and_stay_short(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    assert lines[0].startswith("/** ") and len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= MAX_COLUMNS


def test_the_page_has_no_code_and_no_styles_of_its_own() -> None:
    page = (PAGE_FOLDER / "index.html").read_text("utf-8")
    assert not INLINE.search(page) and "<style" not in page
    assert re.findall(r"<script[^>]*>[^<]*", page) == ['<script type="module" src="{assets}/app.js">']


def test_the_style_sheet_loads_nothing() -> None:
    style = (PAGE_FOLDER / "style.css").read_text("utf-8")
    assert "url(" not in style and "@import" not in style


def test_the_page_names_no_other_site() -> None:
    for file in [*MODULES, PAGE_FOLDER / "index.html"]:
        urls = set(re.findall(r"https?://[\w.]+", file.read_text("utf-8")))
        assert urls <= {"http://www.w3.org"}, file.name


def test_what_is_loaded_stays_small() -> None:
    assets = load_assets()
    sent = {path: len(asset.compressed or asset.body) for path, asset in assets.items()}
    page = assets["/"].body.decode()
    first = [path for path in assets if path == "/" or (path in page and not path.endswith((".png", ".svg")))]
    assert {path.rpartition("/")[2] for path in first} == {"", "app.js", "style.css", "manifest.webmanifest"}
    assert sum(sent[path] for path in first) <= MAX_FIRST_VISIT_BYTES
    assert max(size for path, size in sent.items() if "/words/" in path) <= MAX_WORDS_BYTES
    assert sum(len(asset.body) for asset in assets.values()) <= MAX_FILES_BYTES
