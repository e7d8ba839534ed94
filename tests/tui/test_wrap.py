"""Where text is wrapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.sanitize import sanitize
from gmessenger.terminal.tui.graphemes import grapheme_cells, width
from gmessenger.terminal.tui.text_wrap import LINK_STYLE, ScreenRow, wrap


def texts(rows: list[ScreenRow]) -> list[str]:
    return ["".join(text for _, text in row.fragments) for row in rows]


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("", 10, [""]),
        ("one two three", 20, ["one two three"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 7, ["one two", "three"]),
        ("a  b", 10, ["a  b"]),
        ("    def f():", 20, ["    def f():"]),
        ("one\n\ntwo", 10, ["one", "", "two"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("ab cdefghij", 4, ["ab c", "defg", "hij"]),
        ("こんにちは", 5, ["こん", "にち", "は"]),
        ("hi こんにちは", 7, ["hi こん", "にちは"]),
        ("了解です。あ", 8, ["了解で", "す。あ"]),
        ("x" * 5, 1, ["xx", "xx", "x"]),
    ],
)
def test_rows(text: str, columns: int, rows: list[str]) -> None:
    assert [row.rstrip(" ") for row in texts(wrap(text, columns, columns))] == rows


def test_a_link_is_moved_whole_where_it_fits() -> None:
    rows = wrap("look at https://a.example/x now", 20, 30)
    assert texts(rows) == ["look at ", "https://a.example/x ", "now"]
    assert not any(row.at_edge for row in rows)


@pytest.mark.parametrize("columns", [10, 24, 40])
def test_a_link_too_long_for_the_text_begins_at_the_edge_and_has_nothing_put_into_it(columns: int) -> None:
    link = "https://example.org/" + "a/b-c?d=" * 20
    rows = wrap(f"see {link} there", columns, 60)
    at_edge = [row for row in rows if row.at_edge]
    assert "".join(texts(at_edge)) == link
    assert all(row.width == 60 for row in at_edge[:-1])
    assert {style for row in at_edge for style, _ in row.fragments} == {LINK_STYLE}
    assert texts(rows)[0].strip() == "see" and texts(rows)[-1] == "there"


@given(st.text(st.sampled_from("ab  \n語🎉👨‍👩‍👧🇩🇪क्षe\u0301。https://x/-"), max_size=200), st.integers(2, 40))
def test_nothing_is_lost_and_no_row_is_too_wide(text: str, columns: int) -> None:
    text = "\n".join(map(sanitize, text.split("\n")))
    rows = wrap(text, columns, columns + 5)
    for row in rows:
        row_text = "".join(part for _, part in row.fragments)
        assert row.width == sum(taken for _, taken in grapheme_cells(row_text)) or row.width == width(row_text)
        assert row.width <= (columns + 5 if row.at_edge else columns)
    wrapped = "".join(texts(rows)).replace(" ", "")
    expected = "".join(shown for line in text.split("\n") for shown, _ in grapheme_cells(line)).replace(" ", "")
    assert wrapped == expected
