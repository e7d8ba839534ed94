"""Format the hooks of a room as text for a person; all text is sanitized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gmessenger.client import CreatedHook, HookInfo
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.i18n import _, as_notice, ngettext

PATH: Final = "/hook/"


def made(room: str, hook: CreatedHook) -> str:
    """Say to which URL other programs post, which is shown this once; without one, what is missing."""
    values = {"name": sanitize(hook.name), "room": sanitize(room)}
    lines = [as_notice(_("the hook {name} posts to {room} what is sent to this URL:", **values))]
    lines.append(f"   {sanitize(hook.url or PATH + hook.token)}")
    if not hook.url:
        lines.append(as_notice(_("what comes before it is not known: the server takes no HTTP requests (--web)")))
    lines.append(as_notice(_("keep it secret; it is not shown again")))
    return "\n".join(lines)


def hooks(room: str, infos: Sequence[HookInfo]) -> str:
    """Format the hooks of a room, one on each line."""
    if not infos:
        return as_notice(_("{room} has no hooks; /hook add NAME makes one", room=sanitize(room)))
    head = ngettext("{count} hook of {room}:", "{count} hooks of {room}:", len(infos), room=sanitize(room))
    return "\n".join([as_notice(head), *(f"   {_format_hook(info)}" for info in infos)])


def _format_hook(info: HookInfo) -> str:
    values = {"name": sanitize(info.name), "by": sanitize(info.by), "time": format_time(info.used)}
    if info.is_inactive:
        return _("{name}, made by {by}: inactive, as it was removed, or {by} owns the room no more", **values)
    return _("{name}, made by {by} (used last: {time})", **values)
