"""The modules as they are served, the first of them as one file: nothing changes its meaning by that."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from shutil import which

import pytest

from gmessenger.server.web.assets import NO_MODULES, PAGE_FOLDER
from gmessenger.server.web.modules import ENTRY, IMPORT, join_modules
from gmessenger.server.web.styles import compact_style
from tests.support.timeouts import TEST_TIMEOUT

SOURCES = {
    file.name: file.read_text("utf-8") for file in sorted(PAGE_FOLDER.glob("*.js")) if file.name not in NO_MODULES
}
SERVED = join_modules(SOURCES)
JOINED = SOURCES.keys() - SERVED.keys() | {ENTRY}
COMMENT_OR_REGEX = re.compile(r"/\*(?s:.*?)\*/|// .*|(?<=[=(,!:?&| ])/(?:\\.|\[[^\]]*\]|[^/\\\n*])+/")
NAME = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let|var) (\w+)", re.MULTILINE)
"""A name at the top of a module, where nothing is indented."""


def test_the_page_begins_with_one_file_and_loads_the_dialogs_later() -> None:
    assert {"client.js", "messenger.js", "login_view.js", "find_dialog.js"} < JOINED
    assert {"settings_dialog.js", "room_dialog.js", "account_dialogs.js", "commands.js"} <= SERVED.keys()


def test_modules_are_behind_those_that_they_import() -> None:
    sources = {
        "app.js": 'import { b } from "./b.js";\nimport { c } from "./c.js";\nconst a = b;\n',
        "b.js": 'import { c } from "./c.js";\nexport const b = c;\n',
        "c.js": "/** Comment. */\nexport const c = 1;\n",
        "later.js": 'import {\n  c,\n} from "./c.js";\nimport { d } from "./d.js";\n',
        "d.js": "export const d = 2;\n",
    }
    served = join_modules(sources)
    assert served["app.js"] == "export const c=1;export const b=c;const a=b;"
    assert served["later.js"] == 'import{c,}from"./app.js";import{d}from"./d.js";'
    assert served.keys() == {"app.js", "later.js", "d.js"}


def test_a_style_sheet_is_compacted_and_means_the_same() -> None:
    source = """/* Two
    lines. */
    a, b > c { color : red; width: calc(1px + 2px); content: "x y"; }
    @media (min-width: 800px) {
      a :hover { margin: 0 -1px; }
      b:is(.c, .d)::before { top: 0; }
    }
    """
    assert compact_style(source) == (
        'a,b > c{color : red;width:calc(1px + 2px);content:"x y"}'
        "@media (min-width: 800px){a :hover{margin:0 -1px}b:is(.c,.d)::before{top:0}}"
    )


def test_quotes_in_the_style_sheet_hold_nothing_that_is_compacted() -> None:
    texts = re.findall(r'"[^"]*"', (PAGE_FOLDER / "style.css").read_text("utf-8"))
    assert texts and not [text for text in texts if re.search(r"[{};,:/]|\s\s", text)]


@pytest.mark.parametrize("name", SOURCES)
def test_imports_are_of_the_form_that_is_found(name: str) -> None:
    lines = [line for line in SOURCES[name].splitlines() if line.startswith("import ")]
    assert len(lines) == len(IMPORT.findall(SOURCES[name]))
    assert not re.search(r"^import \{[^}]* as |^export (?:default|\{|\*)", SOURCES[name], re.MULTILINE)


def test_no_two_joined_modules_have_a_name_in_common() -> None:
    names = Counter(name for module in JOINED for name in NAME.findall(SOURCES[module]))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("name", SOURCES)
def test_templates_are_those_that_can_be_compacted(name: str) -> None:
    """A template ends on its line, and has none in it: what removes the comments knows no others."""
    source = COMMENT_OR_REGEX.sub("", SOURCES[name])
    assert all(line.count("`") % 2 == 0 for line in source.splitlines())
    assert not re.search(r"`[^`]*\$\{[^}`]*`", source)


@pytest.mark.skipif(which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("name", SERVED)
def test_what_is_served_can_be_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.mjs"
    file.write_text(SERVED[name], "utf-8")
    finished = subprocess.run(["node", "--check", str(file)], capture_output=True, text=True, timeout=TEST_TIMEOUT)
    assert finished.returncode == 0, finished.stderr
