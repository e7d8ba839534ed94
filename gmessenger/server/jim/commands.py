"""The requests of JIM, one row each: handler, cost, and requirements.

Most rows name a service of the messenger and its method, which returns the result for the response. docs/how-to-add.md
says what a new request needs besides a row here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from gmessenger.chat.moderation import Moderation, operator_name
from gmessenger.chat.results import Result
from gmessenger.chat.session import Session
from gmessenger.errors import AccountDeleted
from gmessenger.server.jim.course import CourseHandler
from gmessenger.server.jim.handler import Command
from gmessenger.server.jim.native import NativeHandler
from gmessenger.wire import events

NativeCommand: TypeAlias = Command[NativeHandler]
CourseCommand: TypeAlias = Command[CourseHandler]

INVALID_FRAME_COST: Final = 1.0
"""What a frame costs that could not be decoded. It is refused already, so it is delayed but not refused again."""


def _change(
    handler: Callable[[NativeHandler, Session, Any], Result | None],
    *,
    cost: float = 1.0,
    status: int = 200,
    needs_secure_transport: bool = False,
    flush_first: bool = True,
    then: Callable[[NativeHandler, Session], object] | None = None,
    opening: Callable[[NativeHandler, Any], object] | None = None,
    is_always_allowed: bool = False,
) -> NativeCommand:
    """Return the row of a request that changes stored state."""
    return Command(
        handler,
        cost,
        status=status,
        needs_secure_transport=needs_secure_transport,
        flush_first=flush_first,
        is_change=True,
        then=then,
        opening=opening,
        is_always_allowed=is_always_allowed,
    )


def _operator_change(method: Callable[[Moderation, str, Any], Result | None]) -> NativeCommand:
    """Return the row of an operator's request, handled by `method(moderation, operator, request)`."""
    return _change(
        lambda native, session, request: method(native.messenger.moderation, operator_name(session), request)
    )


def _change_certificate(handler: NativeHandler, session: Session, request: events.CertificateRequest) -> None:
    """Have a device log in by a certificate, or by none any more."""
    certificates = handler.messenger.certificates
    if request.fingerprint is None:
        certificates.remove(session, request.device)
    else:
        certificates.add(session, request.fingerprint, request.device)


COMMANDS: Final[dict[type, NativeCommand]] = {
    events.PresenceRequest: Command(NativeHandler.handle_login, needs_login=False, flush_first=False, status=None),
    events.RegisterRequest: _change(
        NativeHandler.register,
        cost=10,
        status=201,
        needs_secure_transport=True,
        flush_first=False,
        then=lambda native, session: native.messenger.delivery.start_catch_up(session),
        opening=NativeHandler.register_stranger,
    ),
    events.PasswordRequest: _change(
        NativeHandler.change_password, cost=10, needs_secure_transport=True, is_always_allowed=True
    ),
    events.DevicesRequest: Command(lambda native, session, _: native.messenger.credentials.devices(session)),
    events.DropRequest: _change(
        lambda native, session, request: native.messenger.credentials.drop(session, request.device, request.all),
        then=lambda native, session: native.messenger.credentials.end_if_dropped(session),
    ),
    events.CertificateRequest: _change(_change_certificate, cost=5),
    events.SettingsRequest: _change(
        lambda native, session, request: native.messenger.settings_service.settings(session, request.set), cost=2
    ),
    events.ProfileRequest: _change(
        lambda native, session, request: native.messenger.profiles.profile(
            session, request.user, request.room, request.set
        ),
        cost=3,
    ),
    events.MessageRequest: Command(
        lambda native, _, request: native.send_message(request),
        cost=0,
        flush_first=False,
        is_message=True,
        batchable=True,
        status=None,
    ),
    events.AckRequest: Command(
        lambda native, session, request: native.messenger.history_service.acknowledge(
            session, request.target, request.seq
        ),
        cost=0.01,
        delay_only=True,
        flush_first=False,
        status=None,
    ),
    events.ReadRequest: Command(
        lambda native, session, request: native.messenger.history_service.mark_read(
            session, request.target, request.seq
        ),
        cost=0.05,
        delay_only=True,
        status=None,
    ),
    events.HistoryRequest: Command(
        lambda native, session, request: native.messenger.history_service.history(
            session, request.target, request.before, request.after, request.limit, amendments=request.amendments
        )
    ),
    events.SearchRequest: Command(
        lambda native, session, request: native.messenger.history_service.search(
            session, request.text, request.target, request.limit
        ),
        cost=5,
    ),
    events.ConversationsRequest: Command(
        lambda native, session, request: native.messenger.history_service.conversations(
            session, request.after, native.messenger.listings.page_size
        ),
        cost=2,
    ),
    events.JoinRequest: _change(
        lambda native, session, request: native.messenger.room_service.join(
            session, request.room, request.rules, request.key
        ),
        cost=2,
    ),
    events.LeaveRequest: _change(
        lambda native, session, request: native.messenger.room_service.leave(session, request.room)
    ),
    events.RemoveRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.remove(session, request.room, request.user)
    ),
    events.InviteRequest: _change(
        lambda native, session, request: native.messenger.invitations.invite(session, request.room, request.user),
        cost=2,
    ),
    events.UninviteRequest: _change(
        lambda native, session, request: native.messenger.invitations.uninvite(session, request.room, request.user)
    ),
    events.InvitationsRequest: _change(
        lambda native, session, request: native.messenger.invitations.list(session, request.room, request.after)
    ),
    events.ShutOutRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.shut_out(
            session, request.room, request.user, request.duration, request.reason
        )
    ),
    events.LetInRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.let_in(session, request.room, request.user)
    ),
    events.ShutOutsRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.shut_outs(session, request.room, request.after)
    ),
    events.SilenceRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.silence(
            session, request.room, request.user, request.duration, request.reason
        )
    ),
    events.UnsilenceRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.unsilence(session, request.room, request.user)
    ),
    events.SilencesRequest: _change(
        lambda native, session, request: native.messenger.room_sanctions.silences(session, request.room, request.after)
    ),
    events.TopicRequest: _change(
        lambda native, session, request: native.messenger.room_service.set_topic(session, request.room, request.topic)
    ),
    events.RuleRequest: _change(
        lambda native, session, request: native.messenger.room_service.rules(session, request.room, request.changes)
    ),
    events.RoleRequest: _change(
        lambda native, session, request: native.messenger.room_service.change_role(
            session, request.room, request.user, request.role
        )
    ),
    events.HookRequest: _change(
        lambda native, session, request: native.messenger.hooks.add(session, request.room, request.name), cost=10
    ),
    events.UnhookRequest: _change(
        lambda native, session, request: native.messenger.hooks.revoke(session, request.room, request.name)
    ),
    events.HooksRequest: _change(lambda native, session, request: native.messenger.hooks.list(session, request.room)),
    events.PushRequest: _change(
        lambda native, session, request: native.messenger.subscriptions.subscribe(
            session, request.endpoint, request.p256dh, request.auth
        ),
        cost=2,
    ),
    events.MembersRequest: Command(
        lambda native, session, request: native.messenger.room_service.members(session, request.room, request.after)
    ),
    events.RoomsRequest: Command(
        lambda native, session, request: native.messenger.listings.rooms(session, request.after)
    ),
    events.UsersRequest: Command(
        lambda native, session, request: native.messenger.listings.users(session.key, request.after)
    ),
    events.WhoisRequest: Command(
        lambda native, session, request: native.messenger.whois_service.whois(session, request.user), cost=2
    ),
    events.StatusRequest: Command(
        lambda native, session, request: native.messenger.set_status(session, request.status, request.note)
    ),
    events.ProbeRequest: Command(lambda native, _, request: None, cost=0.1, is_always_allowed=True),
    events.ExportRequest: Command(
        lambda native, session, request: native.messenger.account_data.export(session, request.after), cost=2
    ),
    events.ForgetRequest: _change(
        NativeHandler.erase_account,
        cost=10,
        needs_secure_transport=True,
        then=lambda native, session: native.messenger.session_closer.close(session, AccountDeleted()),
    ),
    events.KickRequest: _operator_change(lambda moderation, by, ask: moderation.kick(by, ask.user, ask.reason)),
    events.MuteRequest: _operator_change(
        lambda moderation, by, ask: moderation.mute(by, ask.user, ask.duration, ask.reason)
    ),
    events.UnmuteRequest: _operator_change(lambda moderation, by, ask: moderation.unmute(by, ask.user)),
    events.MutesRequest: _operator_change(lambda moderation, by, ask: moderation.mutes(by, ask.after)),
    events.BanRequest: _operator_change(
        lambda moderation, by, ask: moderation.ban(by, ask.user, ask.address, ask.duration, ask.reason)
    ),
    events.UnbanRequest: _operator_change(lambda moderation, by, ask: moderation.unban(by, ask.user, ask.address)),
    events.BansRequest: _operator_change(lambda moderation, by, ask: moderation.bans(by, ask.after)),
    events.CloseRequest: _operator_change(lambda moderation, by, ask: moderation.close(by, ask.room, ask.reason)),
    events.OpenRequest: _operator_change(lambda moderation, by, ask: moderation.open(by, ask.room)),
    events.BlockRequest: _change(lambda native, session, request: native.messenger.blocks.block(session, request.user)),
    events.UnblockRequest: _change(
        lambda native, session, request: native.messenger.blocks.unblock(session, request.user)
    ),
    events.BlocksRequest: Command(
        lambda native, session, request: native.messenger.blocks.list(session, request.after)
    ),
    events.QuitRequest: Command(
        lambda native, _, request: native.close_gracefully("quit"),
        cost=0,
        is_always_allowed=True,
        needs_login=False,
        flush_first=False,
        status=None,
    ),
    # The answer to our probe: that it has arrived is all it is for.
    events.Pong: Command(
        lambda native, _, pong: None, cost=0.01, is_always_allowed=True, delay_only=True, flush_first=False, status=None
    ),
}

COURSE_COMMANDS: Final[dict[type, CourseCommand]] = {
    events.CoursePresence: Command(lambda course, _, request: course.handle_login(request), needs_login=False),
    events.CourseMessage: Command(CourseHandler.handle_message, cost=0, is_message=True),
    events.CourseList: Command(CourseHandler.handle_list),
    events.CourseContact: Command(CourseHandler.handle_contact, cost=0.1),
    events.CourseKey: Command(CourseHandler.handle_key),
    events.CourseRoom: Command(CourseHandler.handle_room, cost=2),
    events.CourseUnknown: Command(CourseHandler.handle_unknown, needs_login=False),
    events.CourseQuit: Command(lambda course, _, request: course.close_gracefully("quit"), cost=0, needs_login=False),
}
NATIVE_REQUEST_ON_COURSE: Final[CourseCommand] = Command(
    lambda course, _, request: course.reject_native_request(), cost=0
)
"""A native request within a course session: it is refused and closes the connection."""

MESSAGE_REQUESTS: Final = frozenset(
    request for table in (COMMANDS, COURSE_COMMANDS) for request, command in table.items() if command.is_message
)
BATCHABLE_REQUEST: Final[Any] = next(request for request, command in COMMANDS.items() if command.batchable)
"""The only batchable request. Not a set, because each of hundreds of messages in a read is compared with it."""


def find_command(handler: NativeHandler | CourseHandler, request: object) -> NativeCommand | CourseCommand:
    """Return the row of a request."""
    if type(handler) is NativeHandler:
        return COMMANDS[type(request)]
    return COURSE_COMMANDS.get(type(request), NATIVE_REQUEST_ON_COURSE)
