"""The error tree: drawn as it is, with unique codes, statuses, exit codes and messages."""

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
def test_a_wire_error_has_status_code_and_message(error: type[WireError]) -> None:
    assert 400 <= error.status < 600
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert error.message.endswith(".")


def test_codes_are_unique_in_the_whole_tree() -> None:
    """Also of the root and of errors that are never sent: none inherits its code."""
    codes = [error.code for error in family(MessengerError)]
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
    assert all("code" in vars(error) for error in family(MessengerError))


def test_every_error_is_found_by_its_code() -> None:
    assert {code: error.code for code, error in ERRORS.items()} == {code: code for code in ERRORS}
    assert set(ERRORS.values()) == family(MessengerError) - {MessengerError}
    assert set(WIRE_ERRORS.values()) == family(WireError) - {WireError}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_the_tree_says_of_each_error_what_it_is(error: type[MessengerError]) -> None:
    (row,) = re.findall(rf"[├└]── {error.__name__}\b(.*)", errors.__doc__ or "")
    number = getattr(error, "status", None) or getattr(error, "exit_code", None)
    is_base = error in (WireError, ExitError)
    numbers = [] if number is None or is_base else [str(number)]
    assert row.split() == [*numbers, error.code, *(["retryable"] if error.retryable else [])]


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
