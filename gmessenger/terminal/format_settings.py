"""Format the settings of the account as text for a person; all text is sanitized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gmessenger.account_settings import NotifySetting
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.i18n import N_, _, as_notice

NOTIFY_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "all": (N_("{name} notifies of every message"), N_("{name} notifies of every message until {time}")),
    "mentions": (N_("{name} notifies of mentions"), N_("{name} notifies of mentions until {time}")),
    "none": (N_("{name} does not notify"), N_("{name} does not notify until {time}")),
}
"""By level: for good, and until a time."""


def notify_setting(conversation: str, setting: NotifySetting) -> str:
    """Say which messages of a conversation notify."""
    return as_notice(_format_notify(conversation, setting))


def _format_notify(conversation: str, setting: NotifySetting) -> str:
    for_good, limited = NOTIFY_SENTENCES[setting.level]
    if setting.until is None:
        return _(for_good, name=sanitize(conversation))
    return _(limited, name=sanitize(conversation), time=format_time(setting.until))


def notify_settings(settings: Mapping[str, NotifySetting]) -> str:
    """Format the conversations with a setting of their own, one on each line."""
    default = as_notice(_("direct messages notify, and mentions in rooms"))
    lines = [_format_notify(conversation, settings[conversation]) for conversation in sorted(settings)]
    return "\n".join([default, *(as_notice(line) for line in lines)])


def highlights(words: Sequence[str]) -> str:
    """Format the words that count as mentions."""
    if not words:
        return as_notice(_("only your name counts as a mention; /highlight WORDS adds to it"))
    head = as_notice(_("these count as mentions, beside your name:"))
    return "\n".join([head, *(f"   {sanitize(word)}" for word in words)])
