"""Masks: what they stand for, and that no mask makes matching slow."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.wire.irc import masks
from gmessenger.wire.irc.masks import is_mask, match_mask, normalize_mask


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("hank", "hank!*@*"),
        ("ha*", "ha*!*@*"),
        ("a.b", "a.b!*@*"),
        ("user@host", "*!user@host"),
        ("@host", "*!*@host"),
        ("user@", "*!user@*"),
        ("nick!user", "nick!user@*"),
        ("nick!", "nick!*@*"),
        ("!user", "*!user@*"),
        ("nick!@host", "nick!*@host"),
        ("nick!user@host", "nick!user@host"),
        ("nick@host", "*!nick@host"),
        ("", "*!*@*"),
        ("!@", "*!*@*"),
        ("***!**@*****", "*!*@*"),
        ("*!*@*", "*!*@*"),
        ("a!b@c@d!e", "a!b@c@d!e"),
    ],
)
def test_a_mask_is_given_all_its_parts(text: str, mask: str) -> None:
    assert normalize_mask(text) == mask
    assert normalize_mask(mask) == mask


@pytest.mark.parametrize(
    ("mask", "target", "is_matched"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "anything", True),
        ("?", "", False),
        ("?", "☃", True),
        ("??", "a", False),
        ("*?", "a", True),
        ("?*", "a", True),
        ("a*", "a", True),
        ("a*b", "ab", True),
        ("a*b", "abc", False),
        ("*a*b?c*", "xxAyyyBzC", True),
        ("HANK!*@*", "hank!~u@x.user", True),
        ("hank!*@*", "HANK!~u@x.user", True),
        ("é", "É", False),
        ("a[b]", "a[b]", True),
        ("a[b]", "ab", False),
        ("a.b", "axb", False),
        ("*ab*ab", "abxab", True),
        ("*ab*ab", "ab", False),
    ],
)
def test_a_mask_matches_what_it_stands_for(mask: str, target: str, is_matched: bool) -> None:
    assert match_mask(mask, target) is is_matched


@given(st.text("aB*?", max_size=12), st.text("ab", max_size=12))
def test_masks_match_like_patterns_of_files(mask: str, target: str) -> None:
    assert match_mask(mask, target) == bool(re.match(fnmatch.translate(mask.lower()), target.lower()))


@pytest.mark.parametrize(
    ("text", "has_wildcard"), [("a", False), ("", False), ("a*", True), ("?", True), ("a[b]", False)]
)
def test_a_wildcard_makes_a_mask(text: str, has_wildcard: bool) -> None:
    assert is_mask(text) is has_wildcard


class CountedText(str):
    """Counts the characters that are read."""

    read = 0

    def translate(self, table: object) -> CountedText:
        return self

    def __iter__(self) -> object:  # type: ignore[override]
        for char in str(self):
            CountedText.read += 1
            yield char


def test_a_target_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    CountedText.read = 0
    mask = "*" + "a?*" * 150 + "b"
    assert not match_mask(mask, CountedText("a" * 300))
    assert CountedText.read == 300
    assert max(masks._compile(mask)[:2]).bit_length() <= len(mask)
