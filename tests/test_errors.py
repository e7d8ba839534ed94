"""The error tree: drawn as it is, stable words, codes, and sentences."""

from __future__ import annotations

import re

import pytest

from gmessenger import errors
from gmessenger.errors import WIRE_ERRORS, ExitError, MessengerError, WireError


def family(root: type[MessengerError]) -> set[type[MessengerError]]:
    return {root, *(error for child in root.__subclasses__() for error in family(child))}


def test_the_tree_is_drawn_whole() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert drawn == {error.__name__ for error in family(MessengerError)} - {"MessengerError"}


@pytest.mark.parametrize("error", WIRE_ERRORS.values(), ids=WIRE_ERRORS.keys())
def test_a_wire_error_has_code_word_and_sentence(error: type[WireError]) -> None:
    assert 400 <= error.code < 600
    assert re.fullmatch(r"[a-z_]+", error.word)
    assert error.sentence.endswith(".")
    row = re.search(rf"{error.__name__} .*", errors.__doc__ or "")
    assert row is None or error.word in row[0]


def test_words_are_unique() -> None:
    assert set(WIRE_ERRORS.values()) == family(WireError) - {WireError}


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
