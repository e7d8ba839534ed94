"""Format what is known of users and of the own account; all text is sanitized."""

from __future__ import annotations

from collections.abc import Sequence

from gmessenger.client import OwnDevice
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.i18n import _, as_notice, ngettext


def devices(infos: Sequence[OwnDevice]) -> str:
    """Format the devices of the account, one on each line."""
    head = ngettext("{count} device is logged in:", "{count} devices are logged in:", len(infos))
    return "\n".join([as_notice(head), *(f"   {_format_device(info)}" for info in infos)])


def _format_device(info: OwnDevice) -> str:
    name = sanitize(info.name)
    if info.is_this:
        return _("{name} (this one)", name=name)
    if info.is_here:
        return _("{name} (connected now)", name=name)
    return _("{name} (used last: {time})", name=name, time=format_time(info.used))
