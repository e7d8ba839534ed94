"""Responses of the server: errors, pages of history and search, and conversation lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from gmessenger.errors import WIRE_ERRORS, BadText, GuestsDisabled, WireError
from gmessenger.text import ServerText, Text
from gmessenger.wire.encoder import encode
from gmessenger.wire.events import (
    BansRequest,
    BlocksRequest,
    ConversationsRequest,
    InvitationsRequest,
    MembersRequest,
    MessageEvent,
    MutesRequest,
    Request,
    ResponseFrame,
    RoomsRequest,
    Seq,
    ShutOutsRequest,
    SilencesRequest,
    UsersRequest,
)

MIN_ERROR_STATUS: Final = 400
RETRYABLE_STATUSES: Final = frozenset({429, 503})
FORBIDDEN_STATUS: Final = 403
"""Never retried, even if the response says when the sanction ends."""


def encode_request(request: Request | dict[str, Any]) -> bytes:
    """Return the frame of a request. Raises `BadText` for what UTF-8 cannot represent (a lone surrogate)."""
    try:
        return encode(request)
    except UnicodeEncodeError as error:
        raise BadText from error


def is_error(response: ResponseFrame) -> bool:
    """Return whether the request was refused."""
    return response.response >= MIN_ERROR_STATUS


def error_from_response(response: ResponseFrame) -> WireError:
    """Return the error of a response; a plain `WireError` if its code is not known here."""
    error_class = WIRE_ERRORS.get(response.code or "", WireError)
    message = response.error or Text("The server answered {code}.", code=response.response)
    if not isinstance(message, Text):  # made by the server, not here
        message = ServerText(message, response.code or "", response.limit, response.retry_after)
    error = error_class(message, limit=response.limit, retry_after=response.retry_after)
    if isinstance(error, GuestsDisabled):
        error.registration = response.registration or ""
    return error


def is_retryable(response: ResponseFrame) -> bool:
    """Return whether the request was refused, but may be accepted later."""
    may_succeed_later = (
        response.retry_after is not None
        or response.response in RETRYABLE_STATUSES
        or error_from_response(response).retryable
    )
    return is_error(response) and may_succeed_later and response.response != FORBIDDEN_STATUS


ItemT = TypeVar("ItemT")
ListRequest: TypeAlias = (
    UsersRequest
    | MembersRequest
    | RoomsRequest
    | ConversationsRequest
    | BlocksRequest
    | BansRequest
    | MutesRequest
    | InvitationsRequest
    | ShutOutsRequest
    | SilencesRequest
)
MAX_LIST_ITEMS: Final = 100_000
"""Items after which no further page is requested: the server may not end the list."""


class ReactionInfo(Struct, frozen=True):
    """A reaction to a message: its text, the names of the first users who reacted so, and how many there are."""

    text: str
    names: list[str] = field(name="from", default_factory=list)
    count: int = field(name="n", default=0)


class HistoryMessage(MessageEvent, omit_defaults=True, tag_field="action", tag="msg"):
    """A message as it is now: as it would have come live, with what was done to it since.

    by, at: who has erased it and when (Unix seconds), if that is known.
    """

    reactions: list[ReactionInfo] = field(default_factory=list)
    at: float | None = None


class SearchHit(Struct, frozen=True):
    """A message that a search has found, with its conversation."""

    conversation: str
    delivery: HistoryMessage


class SearchResults(list[SearchHit]):
    """The hits of a search, newest first. `is_incomplete` if the server has not searched everything."""

    is_incomplete = False


class History(list[HistoryMessage]):
    """A part of a conversation, the oldest message first.

    Attributes:
        first_seq: the oldest seq that one may read; what is before it is of a time before one joined the room or
            registered, or is no longer kept.
        absences: the first and the last seq of each time at which one was not a member of the room.
    """

    first_seq: int = 1
    absences: Sequence[tuple[int, int]] = ()


class ConversationInfo(Struct, frozen=True):
    """One of the own conversations.

    `seq` and `time` are those of its newest message (`time` in Unix seconds, None if unknown), `first` is the oldest
    seq that one may read, and `read` how far one has read, on any device. `quiet` counts the amendments after that.
    """

    name: str = field(name="with")
    seq: Seq = 0
    first: Seq = 1
    read: Seq = 0
    time: float | None = None
    quiet: int = 0

    @property
    def unread(self) -> int:
        """The number of messages above the read marker, own ones included, without amendments."""
        return max(0, self.seq - max(self.read, self.first - 1) - self.quiet)


class RoomInfo(Struct, frozen=True):
    """A room of the server's list."""

    name: str = field(name="room")
    topic: str = ""
    member_count: int = field(name="members", default=0)
    is_closed: bool = field(name="closed", default=False)


class UserDetails(Struct, frozen=True):
    """What one may know of a user.

    `since`: when it logged in or set its status, in Unix seconds; None if it is offline.
    `rooms`: the names of those that both are in, at most 50. `is_bot`: it is a hook, by which other programs post.
    """

    name: str
    status: str
    note: str
    is_account: bool
    since: float | None
    rooms: Sequence[str]
    is_bot: bool = False


class OwnDevice(Struct, frozen=True):
    """A device of the own account; `used` is when a connection of it began or ended last, in Unix seconds.

    `certificate`: the fingerprint of the certificate by which it logs in over IRC; empty without one.
    """

    name: str = field(name="device")
    used: float = 0.0
    is_here: bool = field(name="here", default=False)
    is_this: bool = field(name="this", default=False)
    certificate: str = ""


class SanctionInfo(Struct, frozen=True):
    """A ban or a mute: of a `user`, or of an `address` or network; `until` (Unix seconds) or for ever."""

    user: str | None = None
    address: str | None = None
    by: str = ""
    since: float = 0.0
    until: float | None = None
    reason: str = ""

    @property
    def target(self) -> str:
        """The user, address or network."""
        return self.user or self.address or ""


class InvitationInfo(Struct, frozen=True):
    """An invitation of a `user` to a room, `by` another one; `since` is Unix seconds."""

    user: str
    by: str = ""
    since: float = 0.0


class CreatedHook(Struct, frozen=True):
    """A hook that was just made, with the secret in its URL, which the server tells this once.

    `url`: where other programs post to; empty if the server does not know its own address.
    """

    name: str
    token: str
    url: str


class HookInfo(Struct, frozen=True):
    """A hook of a room, made `by` an owner or an operator; `since` and `used` (last) are Unix seconds.

    `is_inactive`: it may not post, as it was removed from the room, or who has made it is no owner of that any more.
    """

    name: str
    by: str = ""
    since: float = 0.0
    used: float = 0.0
    is_inactive: bool = field(name="inactive", default=False)


def fetch_all(
    send_request: Callable[[ListRequest], ResponseFrame],
    request: ListRequest,
    get_items: Callable[[ResponseFrame], Sequence[ItemT]],
    get_cursor: Callable[[ItemT], object],
) -> list[ItemT]:
    """Return all items of a list, requested page by page; a page begins after the `get_cursor` of the last item."""
    items: list[ItemT] = []
    while len(items) < MAX_LIST_ITEMS:
        response = send_request(request)
        items += get_items(response)
        after = str(get_cursor(items[-1]) or "") if items else ""
        if not response.more or after in ("", request.after):
            break
        request.after = after
    return items


InfoT = TypeVar("InfoT", bound=Struct)


def parse_rows(rows: Sequence[dict[str, Any]], kind: type[InfoT]) -> list[InfoT]:
    """Return the rows of a list as structs; rows of a later version of the protocol are skipped."""
    infos: list[InfoT] = []
    for row in rows:
        with suppress(msgspec.ValidationError):
            infos.append(msgspec.convert(row, kind))
    return infos


def parse_messages(response: ResponseFrame, conversation: str = "") -> Iterator[tuple[dict[str, Any], HistoryMessage]]:
    """Yield the messages of a response, as JSON objects and as events.

    An erased message has a seq only: no sender, time or text. Rows of a later version of the protocol are skipped.
    """
    for row in response.messages or ():
        frame = {"action": "msg", "from": "", "to": conversation, "time": 0.0, "message": "", **row}
        try:
            message = msgspec.convert(frame, HistoryMessage)
        except msgspec.ValidationError:
            continue
        yield frame, message
