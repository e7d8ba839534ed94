"""Profiles: which keys and values there may be, and how they are changed."""

from __future__ import annotations

import pytest

from gmessenger.errors import BadRequest, ProfileFull
from gmessenger.profiles import (
    MAX_PROFILE_KEY,
    MAX_PROFILE_KEYS,
    MAX_PROFILE_VALUE,
    change_profile,
    changed_keys,
    decode_profile,
    encode_profile,
    is_profile_key,
    is_profile_value,
)


@pytest.mark.parametrize("key", ["a", "display-name", "example.org/key_1", "x" * MAX_PROFILE_KEY])
def test_keys(key: str) -> None:
    assert is_profile_key(key) and change_profile({}, {key: "x"}) == {key: "x"}


@pytest.mark.parametrize("key", ["", "A", "ж", "a b", "a:b", "*", "a\n", "x" * (MAX_PROFILE_KEY + 1)])
def test_what_is_no_key(key: str) -> None:
    assert not is_profile_key(key)
    with pytest.raises(BadRequest):
        change_profile({}, {"kept": "x", key: None})


@pytest.mark.parametrize(
    "value", [" ", "a: b", "👩\u200d🚀", "\ufdfa", "x" * MAX_PROFILE_VALUE, "ж" * (MAX_PROFILE_VALUE // 2)]
)
def test_values(value: str) -> None:
    assert is_profile_value(value)
    stored = encode_profile(change_profile({}, {"key": value}))
    assert decode_profile(stored) == {"key": value}


@pytest.mark.parametrize(
    "value",
    [
        *("", "a\nb", "\0", "\x1b[31m", "\x7f", "\x9b", "\u2028", "\ud800"),
        *("x" * (MAX_PROFILE_VALUE + 1), "ж" * (MAX_PROFILE_VALUE // 2 + 1)),
    ],
)
def test_what_is_no_value(value: str) -> None:
    assert not is_profile_value(value)
    with pytest.raises(BadRequest):
        change_profile({}, {"kept": "x", "key": value})


def test_a_profile_has_so_many_keys_and_no_more() -> None:
    full = {f"k{number}": "x" for number in range(MAX_PROFILE_KEYS)}
    assert change_profile({}, dict(full)) == full
    with pytest.raises(ProfileFull):
        change_profile(full, {"more": "x"})
    assert change_profile(full, {"k0": None, "more": "x"}).keys() == {*full, "more"} - {"k0"}
    assert change_profile({**full, "more": "x"}, {"k1": "y"})["k1"] == "y"  # a limit that was higher once


def test_what_has_changed() -> None:
    assert changed_keys({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == {
        "a": None,
        "c": "4",
        "d": "5",
    }
    assert encode_profile({}) == "" and decode_profile("") == {}
