"""Profiles: what users and rooms say of themselves, as a small map of keys and values. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from gmessenger.errors import BadRequest, ProfileFull

MAX_PROFILE_KEYS: Final = 24
MAX_PROFILE_KEY: Final = 50
"""Characters of a key; all are ASCII."""
MAX_PROFILE_VALUE: Final = 300
"""Bytes of a value in UTF-8: with names and a key it fits a line of IRC."""
MAX_PROFILE_CHANGES: Final = 100
"""Of one request; those that cannot all be made are refused as a whole."""
KEY: Final = re.compile(r"[a-z0-9_./-]+")
FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that no value may have: line separators, control characters and surrogates."""

ProfileText: TypeAlias = Annotated[str, Meta(max_length=MAX_PROFILE_VALUE)]
"""A key or a value as it arrives; its exact form is checked where it is used."""
ProfileChanges: TypeAlias = Annotated[dict[ProfileText, ProfileText | None], Meta(max_length=MAX_PROFILE_CHANGES)]
"""Values to set, by key; None removes the key."""


def is_profile_key(text: str) -> bool:
    """Return whether that can be a key of a profile."""
    return len(text) <= MAX_PROFILE_KEY and KEY.fullmatch(text) is not None


def is_profile_value(text: str) -> bool:
    """Return whether that can be a value of a profile: any text of one line that is not empty or too long."""
    if not text or len(text) > MAX_PROFILE_VALUE or FORBIDDEN.search(text):
        return False
    return len(text.encode()) <= MAX_PROFILE_VALUE


def decode_profile(stored: str) -> dict[str, str]:
    """Return a profile as it is stored."""
    return msgspec.json.decode(stored, type=dict[str, str]) if stored else {}


def encode_profile(profile: Mapping[str, str]) -> str:
    """Return the form in which a profile is stored; an empty one is empty."""
    return msgspec.json.encode(profile).decode() if profile else ""


def change_profile(profile: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return a profile after changes.

    Raises:
        BadRequest: a key or a value is not valid.
        ProfileFull: it would have more than `MAX_PROFILE_KEYS`.
    """
    if not all(map(is_profile_key, changes)):
        raise BadRequest(f"A key of a profile is 1 to {MAX_PROFILE_KEY} of a-z, 0-9, '_', '.', '/' and '-'.")
    if not all(value is None or is_profile_value(value) for value in changes.values()):
        raise BadRequest(f"A value of a profile is one line of 1 to {MAX_PROFILE_VALUE} bytes.")
    changed = {key: value for key, value in {**profile, **changes}.items() if value is not None}
    if len(changed) > max(MAX_PROFILE_KEYS, len(profile)):
        raise ProfileFull(limit=MAX_PROFILE_KEYS)
    return changed


def changed_keys(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """Return the keys that differ, with their values after; None for those that are gone."""
    keys = dict.fromkeys((*before, *after))
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}
