"""What native requests about keeping the peace ask of the messenger: operators' verbs, and everybody's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from gmessenger.chat.moderation import Moderation, Verb
from gmessenger.chat.service import Messenger
from gmessenger.chat.session import Session
from gmessenger.wire import events

Handler: TypeAlias = Callable[[Messenger, Session, Any], None]
OPERATING: Final[dict[type[events.Request], tuple[Verb, tuple[str, ...]]]] = {
    events.Kick: (Moderation.kick, ("user", "reason")),
    events.Mute: (Moderation.mute, ("user", "for_", "reason")),
    events.Unmute: (Moderation.unmute, ("user",)),
    events.Mutes: (Moderation.mutes, ("after",)),
    events.Ban: (Moderation.ban, ("user", "address", "for_", "reason")),
    events.Unban: (Moderation.unban, ("user", "address")),
    events.Bans: (Moderation.bans, ("after",)),
    events.Close: (Moderation.close, ("room", "reason")),
    events.Open: (Moderation.open, ("room",)),
}
"""The verb of each request, and what it takes of the request."""


def _operating(verb: Verb, fields: tuple[str, ...]) -> Handler:
    def handle(messenger: Messenger, session: Session, asked: Any) -> None:
        messenger.moderation.ask(session, asked.id or None, verb, *(getattr(asked, field) for field in fields))

    return handle


MODERATING: Final[dict[type, Handler]] = {
    **{request: _operating(*row) for request, row in OPERATING.items()},
    events.Block: lambda messenger, session, ask: messenger.blocks.block(session, ask.id or None, ask.user),
    events.Unblock: lambda messenger, session, ask: messenger.blocks.unblock(session, ask.id or None, ask.user),
    events.Blocks: lambda messenger, session, ask: messenger.blocks.list(session, ask.id or None, ask.after),
}
"""Rows of the table of native requests."""
