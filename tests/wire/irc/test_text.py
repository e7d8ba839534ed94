"""Texts in lines of IRC: pieces that fit and together are the text, cut between words, never within a letter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from gmessenger.wire.irc import text as text_module
from gmessenger.wire.irc.text import CTCP, MAX_CLUSTER, MIN_ROOM, is_plain, split_pieces, split_text, split_words

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
FLAG_OF_WALES = "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
CLUSTERS = [
    "x",
    " ",
    "é",
    "e\u0301",
    "☃",
    "☃\ufe0f",
    "👋🏽",
    FAMILY,
    FLAG_OF_WALES,
    "🇩🇪",
    "한",
    "\u1112\u1161\u11ab",
    "ก็",
    "नि",
]
TEXT = st.text(
    st.sampled_from("ab \n\r☃é😀\u0301\u200d\ufe0f🇩🇪🏽") | st.characters(exclude_categories=["Cs"]), max_size=200
)


@pytest.mark.parametrize(
    ("text", "room", "pieces"),
    [
        ("", 10, []),
        ("\n\r\n\r", 10, []),
        ("hi", 10, ["hi"]),
        ("hi\n\nthere\r\nyou\rtwo\n", 10, ["hi", "there", "you", "two"]),
        ("hello brave new world", 12, ["hello brave ", "new world"]),
        ("hello brave new world", 11, ["hello ", "brave new ", "world"]),
        ("hello", 5, ["hello"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("   " + "x" * 10, 10, ["   xxxxxxx", "xxx"]),
        (" " + "x" * 10, 10, [" xxxxxxxxx", "x"]),
        ("see " + "x" * 12, 10, ["see ", "x" * 10, "xx"]),
        ("☃☃☃☃", 10, ["☃☃☃", "☃"]),
        ("☃☃ ☃☃", 10, ["☃☃ ", "☃☃"]),
        ("😀😀", 4, ["😀", "😀"]),
        ("aaaaae\u0301b", 7, ["aaaaa", "e\u0301b"]),
        ("aaaa \u0301bbbbb", 9, ["aaaa \u0301bb", "bbb"]),
        ("a aa \u0301bbbbb", 9, ["a ", "aa \u0301bbbb", "b"]),
        ("aaaa👋🏽", 10, ["aaaa", "👋🏽"]),
        ("🇩🇪🇫🇷🇮🇹", 20, ["🇩🇪🇫🇷", "🇮🇹"]),
        ("a" + "🇩🇪" * 3, 20, ["a🇩🇪🇩🇪", "🇩🇪"]),
        (f"a{FAMILY}", 25, ["a", FAMILY]),
        ("e" + "\u0301" * 60, 100, ["e" + "\u0301" * 49, "\u0301" * 11]),
        ("see\u2028you\x85two\x0bfor", 99, ["see\u2028you\x85two\x0bfor"]),
    ],
)
def test_a_text_is_cut_where_it_reads_best(text: str, room: int, pieces: list[str]) -> None:
    assert split_text(text, room) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", [("", False)]),
        ("hi", [("hi", False)]),
        ("hi\n\nyou\r\n", [("hi", False), ("", False), ("you", False), ("", False)]),
        ("hello brave new\nworld", [("hello ", False), ("brave new", True), ("world", False)]),
    ],
)
def test_pieces_say_which_they_continue(text: str, pieces: list[tuple[str, bool]]) -> None:
    assert split_pieces(text, 10) == pieces


@given(TEXT, st.integers(MIN_ROOM, 60))
def test_pieces_fit_and_are_the_text(text: str, room: int) -> None:
    pieces = split_pieces(text, room)
    joined = "".join(piece if continues else f"\n{piece}" for piece, continues in pieces)
    assert joined == "\n" + text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(len(piece.encode()) <= room for piece, _ in pieces)
    assert split_text(text, room) == [piece for piece, _ in pieces if piece]


@pytest.mark.parametrize("seed", range(200))
def test_what_is_one_letter_is_never_cut(seed: int) -> None:
    draw = random.Random(seed)
    text = "".join(draw.choices(CLUSTERS, k=200))
    letters, ends = 0, {0}
    for grapheme in iter_graphemes(text):
        letters += len(grapheme)
        ends.add(letters)
    at = 0
    for piece in split_text(text, draw.randint(30, 100)):
        at += len(piece)
        assert at in ends, (text, at)


@pytest.mark.parametrize("room", range(MIN_ROOM))
def test_there_is_room_for_a_character(room: int) -> None:
    with pytest.raises(ValueError):
        split_text("x", room)


@pytest.mark.parametrize("unit", ["x", " ", "x ", "☃", "\u0301", "\u200d", "🇩", " \u0301", "x" * 399 + " ", "\n"])
def test_the_work_grows_with_the_text_alone(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0
    is_boundary, clip = text_module._is_boundary, text_module.clip_text

    def counted_boundary(line: str, at: int) -> bool:
        nonlocal looked_at
        looked_at += 1
        return is_boundary(line, at)

    def counted_clip(text: str, room: int) -> str:
        nonlocal looked_at
        looked_at += len(text)
        return clip(text, room)

    monkeypatch.setattr(text_module, "_is_boundary", counted_boundary)
    monkeypatch.setattr(text_module, "clip_text", counted_clip)
    text = (unit * 100_000)[:100_000]
    assert "".join(split_text(text, 400)) == text.replace("\n", "")
    assert looked_at <= 5 * len(text), MAX_CLUSTER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", True),
        ("a\ttab", True),
        ("привет ☃ 😀", True),
        ("", True),
        ("two\nlines", False),
        ("two\rlines", False),
        ("a\0b", False),
        ("\x01VERSION\x01", False),
        ("☃\nlines", False),
        ("☃\x01", False),
        ("\ud800", False),
    ],
)
def test_a_text_is_plain_that_can_stand_in_a_line_as_it_is(text: str, expected: bool) -> None:
    assert is_plain(text) is expected


@given(TEXT)
def test_what_is_plain_is_one_piece(text: str) -> None:
    if is_plain(text) and text:
        assert split_text(text, 4 * len(text) + MIN_ROOM) == [text] and CTCP not in text and "\0" not in text


@pytest.mark.parametrize(
    ("text", "most", "words"),
    [
        ("", 2, []),
        ("  ", 1, []),
        ("one", 2, ["one"]),
        (" one  two ", 2, ["one", "two"]),
        ("one two  three", 2, ["one", "two  three"]),
        ("one two  three", 1, ["one two  three"]),
        ('"one two" three', 2, ["one two", "three"]),
        ('"one two" three', 1, ['"one two" three']),
        ('"one  two"', 1, ["one  two"]),
        ('one "two  three "', 2, ["one", "two  three "]),
        ('"say ""yes""" no', 2, ['say "yes"', "no"]),
        ('one"two three', 2, ['one"two', "three"]),
        ('"one two', 2, ['"one', "two"]),
        ('"one"two three', 2, ['"one"two', "three"]),
        ('"" x', 2, ["", "x"]),
    ],
)
def test_words_with_spaces_are_the_rest_or_quoted(text: str, most: int, words: list[str]) -> None:
    assert split_words(text, most) == words


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=4))
def test_quoted_words_are_what_was_quoted(words: list[str]) -> None:
    text = " ".join('"' + word.replace('"', '""') + '"' for word in words)
    assert split_words(text, len(words)) == split_words(text, 9) == words
