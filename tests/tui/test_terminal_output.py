"""Terminals that are not UTF-8: what cannot be encoded keeps its columns."""

from __future__ import annotations

import io
import os
import pty
from pathlib import Path

import pytest
from prompt_toolkit.data_structures import Size

from gmessenger.terminal.tui.graphemes import width
from gmessenger.terminal.tui.terminal_output import ReplacingOutput, encodable_text, make_output


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("hi", "ascii", "hi"),
        ("小林 👍!", "ascii", "???? ??!"),
        ("e\u0301a", "ascii", "?a"),
        ("привет 👍", "koi8-r", "привет ??"),
        ("привет", "ascii", "??????"),
        ("👩\u200d👩\u200d👧|", "latin-1", "??|"),
    ],
)
def test_what_cannot_be_encoded_keeps_its_columns(text: str, encoding: str, shown: str) -> None:
    assert encodable_text(text, encoding) == shown
    assert width(shown) == width(text)


def test_it_is_written_so() -> None:
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding="koi8-r")
    output = ReplacingOutput(stdout, lambda: Size(24, 80), enable_cpr=False)
    output.write("да 👍|")
    output.write_raw("\x1b[1m")
    output.flush()
    assert written.getvalue() == "да ??|\x1b[1m".encode("koi8-r")


@pytest.mark.parametrize(("encoding", "is_replacing"), [("utf-8", False), ("UTF8", False), ("ascii", True)])
def test_only_terminals_that_are_not_utf_8_need_it(encoding: str, is_replacing: bool) -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "w", encoding=encoding) as terminal:
        assert (make_output(terminal) is not None) is is_replacing
    with Path(os.devnull).open("w", encoding=encoding) as file:
        assert make_output(file) is None
