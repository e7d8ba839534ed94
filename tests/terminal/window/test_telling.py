"""Tables in notices."""

import pytest

from gmessenger.terminal.commands import help_text
from gmessenger.terminal.window.keys import keys_text
from gmessenger.terminal.window.telling import told


def rows(text: str, columns: int) -> list[str]:
    return ["".join(part for _, part in row.fragments).rstrip() for row in told(text, columns, columns)]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (40, ["  Enter   send all of what is written", "plain words"]),
        (37, ["  Enter   send all of what is written", "plain words"]),
        (36, ["  Enter   send all of what is", "          written", "plain words"]),
        (29, ["  Enter", "      send all of what is", "      written", "plain words"]),
    ],
)
def test_a_row_is_continued_below_what_is_said(columns: int, shown: list[str]) -> None:
    assert rows("  Enter   send all of what is written\nplain words", columns) == shown


@pytest.mark.parametrize("columns", [20, 32, 45, 60, 100])
def test_help_keeps_its_words_and_its_columns(columns: int) -> None:
    for text in (keys_text(), help_text(10_000, operator=True)):
        shown = rows(text, columns)
        assert max(map(len, shown)) <= columns
        assert " ".join(shown).split() == text.split()
