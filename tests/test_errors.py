"""The error tree: drawn as it is, stable words, codes, and sentences."""

from __future__ import annotations

import re

import pytest

from gmessenger import errors
from gmessenger.errors import ERRORS, WIRE_ERRORS, ExitError, MessengerError, WireError


def family(root: type[MessengerError]) -> set[type[MessengerError]]:
    return {root, *(error for child in root.__subclasses__() for error in family(child))}


def test_the_tree_is_drawn_whole() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert drawn == {error.__name__ for error in family(MessengerError)} - {"MessengerError"}


@pytest.mark.parametrize("error", WIRE_ERRORS.values(), ids=WIRE_ERRORS.keys())
def test_a_wire_error_has_code_word_and_sentence(error: type[WireError]) -> None:
    assert 400 <= error.status < 600
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert error.message.endswith(".")
    row = re.search(rf"{error.__name__} .*", errors.__doc__ or "")
    assert row is None or error.code in row[0]


def test_words_are_unique_in_the_whole_tree() -> None:
    """The root and those that are never sent as well: none has its word from the class above it."""
    words = [error.code for error in family(MessengerError)]
    assert sorted(words) == sorted(set(words))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", word) for word in words)
    assert all("code" in vars(error) for error in family(MessengerError))


def test_every_error_is_found_by_its_word() -> None:
    assert {word: error.code for word, error in ERRORS.items()} == {word: word for word in ERRORS}
    assert set(ERRORS.values()) == family(MessengerError) - {MessengerError}
    assert set(WIRE_ERRORS.values()) == family(WireError) - {WireError}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_the_tree_is_drawn_with_the_words(error: type[MessengerError]) -> None:
    (row,) = re.findall(rf"[├└]── {error.__name__}\b(.*)", errors.__doc__ or "")
    assert re.search(rf"\b{error.code}\b", row)


def test_exit_codes_are_those_of_the_manual() -> None:
    assert {error.exit_code for error in family(ExitError) if issubclass(error, ExitError)} == {
        1,
        2,
        69,
        73,
        75,
        77,
        78,
    }
