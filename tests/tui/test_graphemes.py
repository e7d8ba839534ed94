"""The columns of graphemes, and the replacements of those whose width terminals disagree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from gmessenger.sanitize import sanitize
from gmessenger.terminal.tui.graphemes import ellipsize, format_name, grapheme_cells, pad, truncate, width


@pytest.mark.parametrize(
    ("text", "shown", "columns"),
    [
        ("plain", "plain", 5),
        ("Привет", "Привет", 6),
        ("小林さん", "小林さん", 8),
        ("각", "각", 2),
        ("é", "é", 1),
        ("🎉", "🎉", 2),
        ("🇩🇪🇫🇷", "DEFR", 4),
        ("🇩", "D", 1),
        ("🇩🇪\u0301", "DE", 2),
        ("👨‍👩‍👧", "👨", 2),
        ("👍🏽", "👍", 2),
        ("❤️", "❤", 1),
        ("1️⃣", "1", 1),
        ("क्ष", "क्\u200cष", 2),
        ("ก็", "ก็", 1),
        ("Z" + "\u0301" * 40, "Z" + "\u0301" * 4, 1),
        ("\u0301", "\u25cc\u0301", 1),
        ("\u200d", "\u25cc\u200d", 1),
        ("\u115f\u3164", "<115f><3164>", 12),
        ("", "", 0),
    ],
)
def test_what_is_shown_and_how_wide_it_is(text: str, shown: str, columns: int) -> None:
    assert "".join(grapheme for grapheme, _ in grapheme_cells(text)) == shown
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("hello", 5, "hello"),
        ("hello", 4, "hel…"),
        ("小林さん", 7, "小林さ…"),
        ("小林さん", 6, "小林…"),
        ("x", 0, ""),
        ("ab", 1, "…"),
    ],
)
def test_there_is_a_sign_where_something_is_left_out(text: str, columns: int, expected: str) -> None:
    assert ellipsize(text, columns) == expected


def test_a_column_is_filled() -> None:
    assert (pad("小", 4), pad("hello", 3)) == ("小  ", "he…")
    assert (format_name("小", 4), format_name("hello", 3)) == ("小  ", "he…")
    assert format_name("小", 4, align_right=True) == "  小"


def test_long_names_that_differ_at_the_end_are_told_apart() -> None:
    assert format_name("somebody_with_a_name4", 12) == "somebod…ame4"
    assert format_name("名前の長い人四", 9) == "名前の…四"
    assert format_name("🇩🇪" * 5, 6) == "DED…DE"


@given(st.text(st.characters(exclude_categories=())), st.integers(0, 30))
def test_every_cell_is_as_wide_as_its_characters_make_it(text: str, columns: int) -> None:
    """prompt_toolkit adds up the widths of characters, and must get the same result."""
    for shown, taken in grapheme_cells(sanitize(text)):
        assert taken == sum(max(0, wcwidth(char)) for char in shown) > 0
        assert len(shown) <= 20
    assert width(truncate(sanitize(text), columns)) <= columns
    assert width(pad(sanitize(text), columns)) == columns == width(format_name(sanitize(text), columns))
