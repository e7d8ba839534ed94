"""Tables in notices."""

import pytest

from gmessenger.terminal.commands import help_text
from gmessenger.terminal.tui.entries import wrap_notice
from gmessenger.terminal.tui.keybindings import format_key_help


def rows(text: str, columns: int) -> list[str]:
    return ["".join(part for _, part in row.fragments).rstrip() for row in wrap_notice(text, columns, columns)]


TEXT = "  Enter   send all of what is written\n  PgUp    a page up\nplain words"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (37, ["  Enter   send all of what is written", "  PgUp    a page up", "plain words"]),
        (36, ["  Enter   send all of what is", "          written", "  PgUp    a page up", "plain words"]),
        (29, ["  Enter", "      send all of what is", "      written", "  PgUp", "      a page up", "plain words"]),
    ],
)
def test_a_row_is_continued_below_what_is_said(columns: int, shown: list[str]) -> None:
    assert rows(TEXT, columns) == shown


def test_a_table_that_is_too_wide_begins_at_the_edge() -> None:
    assert [row.at_edge for row in wrap_notice(TEXT, 36, 50)] == [True, True, False]
    assert [row.at_edge for row in wrap_notice(TEXT, 40, 50)] == [False, False, False]


@pytest.mark.parametrize("columns", [20, 32, 45, 60, 100])
def test_help_keeps_its_words_and_its_columns(columns: int) -> None:
    for text in (format_key_help(), help_text(10_000, is_operator=True)):
        shown = rows(text, columns)
        assert max(map(len, shown)) <= columns
        assert " ".join(shown).split() == text.split()
