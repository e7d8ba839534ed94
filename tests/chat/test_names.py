"""Which names are allowed, and which are the same."""

from __future__ import annotations

import pytest

from gmessenger.chat.names import check_name, fold
from gmessenger.errors import BadName

GOOD = [
    "hank",
    "h",
    "x" * 32,
    "test-1",
    "a_b.c",
    "42",
    "Борис",
    "小林さん",
    "ユーザー",
    "हिन्दी",
    "Ἀλέξανδρος",
    "محمد",
    "דוד",
    "김철수",
    "Zoë",
    "o\u0308zil",
    "user小林",
    "ยุพา",
]
BAD = [
    "",
    "x" * 33,
    "two words",
    "tab\t",
    "nul\0",
    "new\nline",
    "#room",
    "a@b",
    "a/b",
    "🎉",
    "all",
    "ALL",
    "Server",
    "system",
    "hаnk",  # with a Cyrillic а
    "раypal",
    "Ηank",  # with a Greek Eta
    "\u0301hank",
    "a\u0301\u0301\u0301\u0301\u0301\u0301",
    "a\u202eb",
    "a\u200bb",
    "1٢",  # digits of two scripts
    "___",
    "...",
    "\ufdfa\ufdfa",  # one character each, eighteen when normalised
]


@pytest.mark.parametrize("name", GOOD)
def test_good_names_are_taken_as_they_are(name: str) -> None:
    assert fold(check_name(name)) == fold(name)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_bad_names_are_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(BadName, match=r"\.$"):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hank", "hank"),
        ("БОРИС", "борис"),
        ("ｈａｎｋ", "hank"),
        ("Straße", "STRASSE"),
        ("o\u0308zil", "özil"),
        ("ΣΑΣ", "σας"),
    ],
)
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_names_are_shown_as_given_but_normalised() -> None:
    assert (check_name("Hank"), check_name("ｈａｎｋ")) == ("Hank", "hank")
