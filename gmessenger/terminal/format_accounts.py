"""Format what is known of users and of the own account; all text is sanitized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gmessenger.client import OwnDevice, UserDetails
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.format_events import format_status
from gmessenger.terminal.i18n import _, as_notice, ngettext


def devices(infos: Sequence[OwnDevice]) -> str:
    """Format the devices of the account, one on each line."""
    head = ngettext("{count} device is logged in:", "{count} devices are logged in:", len(infos))
    return "\n".join([as_notice(head), *(f"   {_format_device(info)}" for info in infos)])


def _format_device(info: OwnDevice) -> str:
    text = _format_use(info)
    if info.certificate:
        return _("{device}, logs in by certificate {fingerprint}", device=text, fingerprint=sanitize(info.certificate))
    return text


def _format_use(info: OwnDevice) -> str:
    name = sanitize(info.name)
    if info.is_this:
        return _("{name} (this one)", name=name)
    if info.is_here:
        return _("{name} (connected now)", name=name)
    return _("{name} (used last: {time})", name=name, time=format_time(info.used))


def profile(name: str, values: Mapping[str, str]) -> str:
    """Format the profile of a user or a room, a key on each line."""
    if not values:
        return as_notice(_("the profile of {name} is empty", name=sanitize(name)))
    head = as_notice(_("the profile of {name}:", name=sanitize(name)))
    return "\n".join([head, *(f"   {sanitize(key)}: {sanitize(values[key])}" for key in sorted(values))])


def whois(user: UserDetails) -> str:
    """Format what is known of a user: status, since when, and the rooms that both are in."""
    name, status = sanitize(user.name), format_status(user.status, user.note)
    text = (
        _("{name}, an account: {status}", name=name, status=status)
        if user.is_account
        else _("{name}, a guest: {status}", name=name, status=status)
    )
    if user.is_bot:
        text = _("{name}, a hook: other programs post by it", name=name)
    if user.since is not None:
        text = _("{said}, since {time}", said=text, time=format_time(user.since))
    if not user.rooms:
        return as_notice(text)
    rooms = as_notice(_("rooms you share: {rooms}", rooms=sanitize(", ".join(user.rooms))))
    return f"{as_notice(text)}\n{rooms}"
