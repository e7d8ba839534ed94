"""The requests of JIM, one row each: who handles it, what it costs and what it requires.

A new native request is a struct in `wire.events`, a row here, and a row of a table in docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from gmessenger.chat.moderation import Moderation
from gmessenger.chat.session import Session
from gmessenger.server.jim.course import CourseHandler
from gmessenger.server.jim.handler import Command
from gmessenger.server.jim.native import NativeHandler
from gmessenger.wire import events

NativeCommand: TypeAlias = Command[NativeHandler]
CourseCommand: TypeAlias = Command[CourseHandler]

INVALID_FRAME_COST: Final = 1.0
"""What a frame costs that could not be decoded. It is refused already, so it is delayed but not refused again."""


def _operator_command(method: Callable[..., Any], *fields: str) -> NativeCommand:
    """Return the row of an operator's request: a method of `Moderation`, and the fields that it is called with."""

    def handle(native: NativeHandler, session: Session, request: Any) -> None:
        native.messenger.moderation.run_as_operator(
            session, request.id or None, method, *(getattr(request, field) for field in fields)
        )

    return Command(handle)


COMMANDS: Final[dict[type, NativeCommand]] = {
    events.PresenceRequest: Command(
        lambda native, _, request: native.handle_presence(request), needs_login=False, flush_first=False
    ),
    events.RegisterRequest: Command(NativeHandler.register, cost=10, needs_secure_transport=True, flush_first=False),
    events.MessageRequest: Command(
        lambda native, _, request: native.send_message(request),
        cost=0,
        flush_first=False,
        is_message=True,
        batchable=True,
    ),
    events.AckRequest: Command(
        lambda native, session, request: native.messenger.history_service.acknowledge(
            session, request.target, request.seq
        ),
        cost=0.01,
        delay_only=True,
        flush_first=False,
    ),
    events.ReadRequest: Command(
        lambda native, session, request: native.messenger.history_service.mark_read(
            session, request.target, request.seq
        ),
        cost=0.05,
        delay_only=True,
    ),
    events.HistoryRequest: Command(
        lambda native, session, request: native.messenger.history(
            session, request.id or None, request.target, request.before, request.after, request.limit
        )
    ),
    events.SearchRequest: Command(
        lambda native, session, request: native.messenger.search(
            session, request.id or None, request.text, request.target, request.limit
        ),
        cost=5,
    ),
    events.ConversationsRequest: Command(
        lambda native, session, request: native.messenger.conversations(session, request.id or None, request.after),
        cost=2,
    ),
    events.JoinRequest: Command(
        lambda native, session, request: native.messenger.room_service.join(session, request.id or None, request.room),
        cost=2,
    ),
    events.LeaveRequest: Command(
        lambda native, session, request: native.messenger.room_service.leave(session, request.id or None, request.room)
    ),
    events.RemoveRequest: Command(
        lambda native, session, request: native.messenger.room_service.remove(
            session, request.id or None, request.room, request.user
        )
    ),
    events.TopicRequest: Command(
        lambda native, session, request: native.messenger.room_service.set_topic(
            session, request.id or None, request.room, request.topic
        )
    ),
    events.MembersRequest: Command(
        lambda native, session, request: native.messenger.room_service.members(
            session, request.id or None, request.room, request.after
        )
    ),
    events.RoomsRequest: Command(
        lambda native, session, request: native.messenger.room_service.list_rooms(
            session, request.id or None, request.after
        )
    ),
    events.UsersRequest: Command(
        lambda native, session, request: native.messenger.users(session, request.id or None, request.after)
    ),
    events.StatusRequest: Command(
        lambda native, session, request: native.messenger.set_status(session, request.id or None, request.status)
    ),
    events.ProbeRequest: Command(
        lambda native, session, request: native.messenger.probe(session, request.id or None), cost=0.1
    ),
    events.ExportRequest: Command(
        lambda native, session, request: native.messenger.account_data.export(
            session, request.id or None, request.after
        ),
        cost=2,
    ),
    events.ForgetRequest: Command(
        lambda native, session, request: native.messenger.erase_account(session, request.id or None, request.password),
        cost=10,
        needs_secure_transport=True,
    ),
    events.KickRequest: _operator_command(Moderation.kick, "user", "reason"),
    events.MuteRequest: _operator_command(Moderation.mute, "user", "duration", "reason"),
    events.UnmuteRequest: _operator_command(Moderation.unmute, "user"),
    events.MutesRequest: _operator_command(Moderation.mutes, "after"),
    events.BanRequest: _operator_command(Moderation.ban, "user", "address", "duration", "reason"),
    events.UnbanRequest: _operator_command(Moderation.unban, "user", "address"),
    events.BansRequest: _operator_command(Moderation.bans, "after"),
    events.CloseRequest: _operator_command(Moderation.close, "room", "reason"),
    events.OpenRequest: _operator_command(Moderation.open, "room"),
    events.BlockRequest: Command(
        lambda native, session, request: native.messenger.blocks.block(session, request.id or None, request.user)
    ),
    events.UnblockRequest: Command(
        lambda native, session, request: native.messenger.blocks.unblock(session, request.id or None, request.user)
    ),
    events.BlocksRequest: Command(
        lambda native, session, request: native.messenger.blocks.list(session, request.id or None, request.after)
    ),
    events.QuitRequest: Command(
        lambda native, _, request: native.close_gracefully("quit"), cost=0, needs_login=False, flush_first=False
    ),
    # The answer to our probe: that it has arrived is all it is for.
    events.Pong: Command(lambda native, _, pong: None, cost=0.01, delay_only=True, flush_first=False),
}

COURSE_COMMANDS: Final[dict[type, CourseCommand]] = {
    events.CoursePresence: Command(lambda course, _, request: course.handle_presence(request.name), needs_login=False),
    events.CourseMessage: Command(CourseHandler.handle_message, cost=0, is_message=True),
    events.CourseList: Command(CourseHandler.handle_list),
    events.CourseContact: Command(CourseHandler.handle_contact, cost=0.1),
    events.CourseQuit: Command(lambda course, _, request: course.close_gracefully("quit"), cost=0, needs_login=False),
}
NATIVE_REQUEST_ON_COURSE: Final[CourseCommand] = Command(
    lambda course, _, request: course.reject_native_request(), cost=0
)
"""A native request within a course session: it is refused and closes the connection."""

MESSAGE_REQUESTS: Final = frozenset(
    request for table in (COMMANDS, COURSE_COMMANDS) for request, command in table.items() if command.is_message
)
BATCHABLE_REQUESTS: Final = frozenset(request for request, command in COMMANDS.items() if command.batchable)


def find_command(handler: NativeHandler | CourseHandler, request: object) -> NativeCommand | CourseCommand:
    """Return the row of a request."""
    if type(handler) is NativeHandler:
        return COMMANDS[type(request)]
    return COURSE_COMMANDS.get(type(request), NATIVE_REQUEST_ON_COURSE)
