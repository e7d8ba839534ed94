"""What each request costs, in requests: the table of prices. A message is paid for by how many are to hear it.

What native requests about keeping the peace ask of the messenger: operators' verbs, and everybody's blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from gmessenger.chat.messenger import Messenger
from gmessenger.chat.moderation import Moderation, OperatorMethod
from gmessenger.chat.session import Session
from gmessenger.wire import events
from gmessenger.wire.events import ClientEvent

REQUEST_COSTS: Final[dict[type[ClientEvent], float]] = {
    events.MessageRequest: 0,
    events.CourseMessage: 0,
    events.QuitRequest: 0,
    events.CourseQuit: 0,
    events.Pong: 0.01,
    events.AckRequest: 0.01,
    events.ReadRequest: 0.05,
    events.ProbeRequest: 0.1,
    events.CourseContact: 0.1,
    events.JoinRequest: 2,
    events.SearchRequest: 5,
    events.ConversationsRequest: 2,
    events.ExportRequest: 2,
    events.RegisterRequest: 10,
    events.ForgetRequest: 10,
}
DEFAULT_COST: Final = 1.0
"""The price of what is not in the table."""
DELAY_ONLY_REQUESTS: Final = frozenset({events.Pong, events.AckRequest, events.ReadRequest, events.InvalidFrame})
"""What has no answer, or is refused already: it is taken slowly, but always."""


RequestHandler: TypeAlias = Callable[[Messenger, Session, Any], None]
OPERATOR_METHODS: Final[dict[type[events.Request], tuple[OperatorMethod, tuple[str, ...]]]] = {
    events.KickRequest: (Moderation.kick, ("user", "reason")),
    events.MuteRequest: (Moderation.mute, ("user", "duration", "reason")),
    events.UnmuteRequest: (Moderation.unmute, ("user",)),
    events.MutesRequest: (Moderation.mutes, ("after",)),
    events.BanRequest: (Moderation.ban, ("user", "address", "duration", "reason")),
    events.UnbanRequest: (Moderation.unban, ("user", "address")),
    events.BansRequest: (Moderation.bans, ("after",)),
    events.CloseRequest: (Moderation.close, ("room", "reason")),
    events.OpenRequest: (Moderation.open, ("room",)),
}
"""The verb of each request, and what it takes of the request."""


def _make_operator_handler(method: OperatorMethod, fields: tuple[str, ...]) -> RequestHandler:
    def handle(messenger: Messenger, session: Session, asked: Any) -> None:
        messenger.moderation.run_as_operator(
            session, asked.id or None, method, *(getattr(asked, field) for field in fields)
        )

    return handle


MODERATION_HANDLERS: Final[dict[type, RequestHandler]] = {
    **{request: _make_operator_handler(*row) for request, row in OPERATOR_METHODS.items()},
    events.BlockRequest: lambda messenger, session, ask: messenger.blocks.block(session, ask.id or None, ask.user),
    events.UnblockRequest: lambda messenger, session, ask: messenger.blocks.unblock(session, ask.id or None, ask.user),
    events.BlocksRequest: lambda messenger, session, ask: messenger.blocks.list(session, ask.id or None, ask.after),
}
"""Rows of the table of native requests."""


REQUEST_HANDLERS: Final[dict[type, Callable[[Messenger, Session, Any], None]]] = {
    events.AckRequest: lambda messenger, session, ack: messenger.history_service.acknowledge(
        session, ack.target, ack.seq
    ),
    events.ReadRequest: lambda messenger, session, read: messenger.history_service.mark_read(
        session, read.target, read.seq
    ),
    events.HistoryRequest: lambda messenger, session, ask: messenger.history(
        session, ask.id or None, ask.target, ask.before, ask.after, ask.limit
    ),
    events.SearchRequest: lambda messenger, session, ask: messenger.search(
        session, ask.id or None, ask.text, ask.target, ask.limit
    ),
    events.ConversationsRequest: lambda messenger, session, ask: messenger.conversations(
        session, ask.id or None, ask.after
    ),
    events.JoinRequest: lambda messenger, session, ask: messenger.room_service.join(session, ask.id or None, ask.room),
    events.LeaveRequest: lambda messenger, session, ask: messenger.room_service.leave(
        session, ask.id or None, ask.room
    ),
    events.RemoveRequest: lambda messenger, session, ask: messenger.room_service.remove(
        session, ask.id or None, ask.room, ask.user
    ),
    events.TopicRequest: lambda messenger, session, ask: messenger.room_service.set_topic(
        session, ask.id or None, ask.room, ask.topic
    ),
    events.MembersRequest: lambda messenger, session, ask: messenger.room_service.members(
        session, ask.id or None, ask.room, ask.after
    ),
    events.RoomsRequest: lambda messenger, session, ask: messenger.room_service.list_rooms(
        session, ask.id or None, ask.after
    ),
    events.UsersRequest: lambda messenger, session, users: messenger.users(session, users.id or None, users.after),
    events.StatusRequest: lambda messenger, session, status: messenger.set_status(
        session, status.id or None, status.status
    ),
    events.ExportRequest: lambda messenger, session, ask: messenger.account_data.export(
        session, ask.id or None, ask.after
    ),
    events.ForgetRequest: lambda messenger, session, ask: messenger.erase_account(
        session, ask.id or None, ask.password
    ),
    events.ProbeRequest: lambda messenger, session, probe: messenger.probe(session, probe.id or None),
    events.Pong: lambda messenger, session, pong: None,  # having arrived is all it was for
    **MODERATION_HANDLERS,
}
"""What each native request asks of the messenger."""


UNFLUSHED_REQUESTS: Final = frozenset({events.AckRequest, events.Pong})
"""Requests that are not answered. (Messages are, once stored: acknowledgements before them are on disk by then.)"""


COURSE_REQUESTS: Final = frozenset(
    {events.CoursePresence, events.CourseMessage, events.CourseList, events.CourseContact, events.CourseQuit}
)


MESSAGE_REQUESTS: Final = frozenset({events.MessageRequest, events.CourseMessage})
