"""Settings of an account, the same on all its devices: notifications, highlighted words, display of joins.

The server stores them and tells them; the clients act on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gmessenger.errors import BadRequest, TooManySettings
from gmessenger.field_types import MAX_SEQ, Name
from gmessenger.names import fold, is_room

MAX_HIGHLIGHTS: Final = 50
MAX_HIGHLIGHT: Final = 64
MAX_CHANGES: Final = 500
"""Items of one kind in a request."""
MAX_SETTINGS_BYTES: Final = 16_384
"""Of all settings of an account, as JSON: they fit a frame with room to spare."""

NotifyLevel: TypeAlias = Literal["all", "mentions", "none"]
JoinDisplay: TypeAlias = Literal["shown", "gathered", "hidden"]
Highlight: TypeAlias = Annotated[str, Meta(max_length=MAX_HIGHLIGHT)]
Time: TypeAlias = Annotated[float, Meta(ge=0, le=MAX_SEQ)]
"""Unix seconds."""


class NotifySetting(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Which messages of a conversation notify, for good or `until` a time."""

    level: NotifyLevel
    until: Time | None = None


class AccountSettings(Struct):
    """All settings of an account. `notify` is by folded name of the conversation."""

    notify: dict[str, NotifySetting] = {}
    highlights: list[str] = []
    joins: JoinDisplay = "shown"

    def level(self, conversation: str, now: float) -> NotifyLevel:
        """Return which messages of a conversation notify: by default those of users, and in rooms the mentions."""
        setting = self.notify.get(fold(conversation))
        if setting is not None and (setting.until is None or setting.until > now):
            return setting.level
        return "mentions" if is_room(conversation) else "all"

    def mention_finder(self, own_name: str) -> Callable[[str], bool]:
        """Return a function that says whether a text has the name or a highlight as a word, also behind an @."""
        words = "|".join(map(re.escape, (own_name, *self.highlights)))
        search = re.compile(rf"(?<!\w)@?(?:{words})(?!\w)", re.IGNORECASE).search
        return lambda text: search(text) is not None


class SettingsChange(Struct, forbid_unknown_fields=True):
    """A change of some settings; fields that are UNSET stay as they are.

    `notify` has the conversations to change, by name; those with None go back to the default.
    """

    notify: Annotated[dict[Name, NotifySetting | None], Meta(max_length=MAX_CHANGES)] | UnsetType = UNSET
    highlights: Annotated[list[Highlight], Meta(max_length=MAX_CHANGES)] | UnsetType = UNSET
    joins: JoinDisplay | UnsetType = UNSET


def decode_settings(stored: str) -> AccountSettings:
    """Return settings as they are stored. Settings of a later release that are unknown here are ignored."""
    return msgspec.json.decode(stored, type=AccountSettings) if stored else AccountSettings()


def encode_settings(settings: AccountSettings) -> str:
    """Return the form in which settings are stored."""
    return msgspec.json.encode(settings).decode()


def change_settings(settings: AccountSettings, change: SettingsChange, now: float) -> AccountSettings:
    """Return the settings after a change, without notify settings that have expired by `now`.

    Raises:
        BadRequest: a highlight is empty or not printable.
        TooManySettings: there are too many highlights, or the settings exceed `MAX_SETTINGS_BYTES`.
    """
    notify = settings.notify if change.notify is UNSET else _merge_notify(settings.notify, change.notify)
    changed = AccountSettings(
        {key: setting for key, setting in notify.items() if setting.until is None or setting.until > now},
        settings.highlights if change.highlights is UNSET else _check_highlights(change.highlights),
        settings.joins if change.joins is UNSET else change.joins,
    )
    if len(encode_settings(changed).encode()) > MAX_SETTINGS_BYTES:
        raise TooManySettings(limit=MAX_SETTINGS_BYTES)
    return changed


def _merge_notify(
    notify: Mapping[str, NotifySetting], changes: Mapping[str, NotifySetting | None]
) -> dict[str, NotifySetting]:
    merged: dict[str, NotifySetting | None] = {**notify, **{fold(name): setting for name, setting in changes.items()}}
    return {key: setting for key, setting in merged.items() if setting is not None}


def _check_highlights(highlights: list[str]) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in highlights))
    if not all(word and word.isprintable() for word in words):
        raise BadRequest(f"A highlight is 1 to {MAX_HIGHLIGHT} printable characters.")
    if len(words) > MAX_HIGHLIGHTS:
        raise TooManySettings(limit=MAX_HIGHLIGHTS)
    return words
