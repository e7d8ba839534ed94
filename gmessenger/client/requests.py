"""Requests that somebody waits for the answer of: users, status, join.

Questions that were too fast for the server are asked again when they may be.

What an operator can have the server do to those who disturb others.

What the owner of a link can ask the server, and have it do, apart from sending messages.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

import gevent
from gevent.event import AsyncResult

from gmessenger.client.responses import (
    ConversationInfo,
    SearchHit,
    SearchResults,
    encode_request,
    error_from_response,
    fetch_all,
    is_error,
    parse_conversations,
    parse_messages,
)
from gmessenger.constants import MAX_HISTORY_PAGE
from gmessenger.errors import RateLimited, Unreachable
from gmessenger.hosts import is_certainly_address
from gmessenger.names import fold
from gmessenger.text import Text
from gmessenger.wire.events import (
    BanRequest,
    BansRequest,
    BlockRequest,
    BlocksRequest,
    CloseRequest,
    ConversationsRequest,
    ExportRequest,
    ForgetRequest,
    HistoryRequest,
    JoinRequest,
    KickRequest,
    LeaveRequest,
    MembersRequest,
    MessageEvent,
    MuteRequest,
    MutesRequest,
    OpenRequest,
    ReadRequest,
    RemoveRequest,
    Request,
    ResponseFrame,
    RoomsRequest,
    SearchRequest,
    StatusRequest,
    TopicRequest,
    UnbanRequest,
    UnblockRequest,
    UnmuteRequest,
    UserInfo,
    UsersRequest,
)
from gmessenger.wire.jim import encode


class PendingRequests:
    """Asks, and hands each answer to whoever asked. A question outlives the line: it is asked again on the next."""

    def __init__(self) -> None:
        self._frames: dict[str, bytes] = {}
        self._results: dict[str, AsyncResult[ResponseFrame]] = {}

    def add(self, request: Request) -> tuple[str, bytes]:
        """Give the request an id; returns it and the frame to send. Raises `BadText`."""
        request.id = secrets.token_urlsafe(12)
        self._frames[request.id] = frame = encode_request(request)
        self._results[request.id] = AsyncResult()
        return request.id, frame

    def wait(self, id: str, timeout: float) -> ResponseFrame:
        """The answer. Raises the `WireError` it tells of, and `Unreachable` after `timeout` seconds without one."""
        waiting = self._results[id]
        try:
            waiting.wait(timeout)  # (a timeout of the caller's own passes through)
        finally:
            del self._results[id], self._frames[id]
        if not waiting.ready():
            raise Unreachable(Text("The server did not answer within {seconds:g} s.", seconds=timeout))
        answer = waiting.get()
        assert answer is not None
        if is_error(answer):
            raise error_from_response(answer)
        return answer

    def resolve(self, response: ResponseFrame) -> bool:
        """Hand an answer over; False where nobody asked."""
        waiting = self._results.get(response.id or "")
        if waiting is not None:
            waiting.set(response)
        return waiting is not None

    def fail(self, error: Exception) -> None:
        """No answer will come."""
        for waiting in self._results.values():
            waiting.set_exception(error)

    def unanswered_frames(self) -> dict[str, bytes]:
        """Ids and frames of what is to be asked again on a new line."""
        return dict(self._frames)


RETRY_TIMEOUT: Final = 60.0
"""Seconds over which a question is asked again."""
MIN_RETRY_DELAY: Final = 0.05


class RetryingRequests(ABC):
    """Asks, and waits for the answer."""

    @abstractmethod
    def _request_once(self, request: Request) -> ResponseFrame:
        """The answer, or the `WireError` it tells of."""

    def _request(self, request: Request) -> ResponseFrame:
        """The answer; nobody has to hear that the question came too fast, unless it goes on for too long."""
        patient_until = time.monotonic() + RETRY_TIMEOUT
        while True:
            try:
                return self._request_once(request)
            except RateLimited as error:
                pause = max(error.retry_after or 0.0, MIN_RETRY_DELAY)
                if time.monotonic() + pause > patient_until:
                    raise
                gevent.sleep(pause)


class OperatorRequests(RetryingRequests):
    """Everything raises as a question does; `OperatorsOnly` for everybody else. The counts are of sessions concerned.

    `target` is a name, or an address or network where it has a `:` or a `/`, which no name has (so one IPv4 address is
    `203.0.113.7/32`); without `seconds` a thing lasts until it is lifted.
    """

    def kick(self, name: str, reason: str = "") -> int:
        """Close all connections of a name; it may come again."""
        return self._request(KickRequest(user=name, reason=reason)).sessions or 0

    def mute(self, name: str, seconds: float | None = None, reason: str = "") -> int:
        """Have what a name says refused."""
        return self._request(MuteRequest(user=name, duration=seconds, reason=reason)).sessions or 0

    def unmute(self, name: str) -> None:
        """Let it speak again."""
        self._request(UnmuteRequest(user=name))

    def ban(self, target: str, seconds: float | None = None, reason: str = "") -> ResponseFrame:
        """Let nobody in under a name or from an address; the answer has how many `sessions` that closed, and the
        `address` as it was understood.
        """
        user, address = (None, target) if is_certainly_address(target) else (target, None)
        return self._request(BanRequest(user=user, address=address, duration=seconds, reason=reason))

    def unban(self, target: str) -> None:
        """Let them in again."""
        self._request(UnbanRequest(address=target) if is_certainly_address(target) else UnbanRequest(user=target))

    def bans(self) -> list[dict[str, Any]]:
        """Who may not come in: `user` or `address`, `by`, `since`, and where there are any, `reason` and `until`."""
        return self._fetch_sanctions(BansRequest())

    def mutes(self) -> list[dict[str, Any]]:
        """Who may not speak, likewise."""
        return self._fetch_sanctions(MutesRequest())

    def close_room(self, room: str, reason: str = "") -> None:
        """Have nothing more said in a room, and nobody come in."""
        self._request(CloseRequest(room=room, reason=reason))

    def open_room(self, room: str) -> None:
        """Let it be used again."""
        self._request(OpenRequest(room=room))

    def _fetch_sanctions(self, request: BansRequest | MutesRequest) -> list[dict[str, Any]]:
        return fetch_all(
            self._request,
            request,
            lambda page: page.bans or page.mutes or [],
            lambda each: each.get("user") or each.get("address"),
        )


class ChatRequests(OperatorRequests):
    """Every question raises the `WireError` that the server refuses with, and `Unreachable` where no answer came in
    time. It waits for a line that is down.
    """

    def __init__(self) -> None:
        self.registration: str | None = None
        """Whether a guest may `register`: `open`, `closed`, or with an `invite`; None for who may not from here."""
        self.is_account = False
        """Whether the name is an account."""
        self._session_state: dict[str, bytes] = {}  # status and rooms, which a guest's new session does not know

    @abstractmethod
    def _send_without_response(self, key: str, frame: bytes) -> None:
        """Say something that has no answer; of several of the same `what` that wait only the last is said."""

    def users(self) -> list[UserInfo]:
        """Who is present, with their status."""
        return self._fetch_users(UsersRequest())

    def members(self, room: str) -> list[UserInfo]:
        """Who is in a room one is in, with their status."""
        return self._fetch_users(MembersRequest(room=room))

    def topic(self, room: str) -> str:
        """What a room one is in is about."""
        return self._request(MembersRequest(room=room)).topic or ""

    def rooms(self) -> list[dict[str, Any]]:
        """The rooms there are: `room`, `topic`, and how many `members`."""
        return fetch_all(self._request, RoomsRequest(), lambda page: page.rooms or [], lambda room: room.get("room"))

    def conversations(self) -> list[ConversationInfo]:
        """What one takes part in, the newest first: a guest the rooms it is in, an account also whom it talked with.

        A server that knows no such request raises `UnknownAction`.
        """
        request = ConversationsRequest()
        listed = fetch_all(self._request, request, lambda page: page.conversations or [], lambda each: each.get("with"))
        return sorted(parse_conversations(listed), key=lambda each: each.time or 0.0, reverse=True)

    def mark_read(self, conversation: str, seq: int) -> None:
        """One has read up to `seq` there; one's other devices are told by a `ReadMarkerMoved`. Of no use to guests."""
        what, frame = f"read {fold(conversation)}", encode_request(ReadRequest(target=conversation, seq=seq))
        self._session_state[what] = frame
        self._send_without_response(what, frame)

    def set_status(self, status: str) -> None:
        """Say how one is; said again after every loss of the line."""
        self._request(StatusRequest(status=status))
        self._session_state["status"] = encode_request(StatusRequest(status=status))

    def join(self, room: str) -> ResponseFrame:
        """Enter a room, now and after every loss of the line; the answer has its `topic` and `members`."""
        answer = self._request(JoinRequest(room=room))
        self._session_state[f"join {fold(room)}"] = encode_request(JoinRequest(room=room))
        return answer

    def leave(self, room: str) -> None:
        """Be in a room no more."""
        self._request(LeaveRequest(room=room))
        self._session_state.pop(f"join {fold(room)}", None)

    def set_topic(self, room: str, topic: str) -> None:
        """Say what a room is about."""
        self._request(TopicRequest(room=room, topic=topic))

    def history(self, conversation: str, count: int, before: int | None = None) -> list[MessageEvent]:
        """The last so many messages with somebody or in a room, or those before a number; the oldest first."""
        found: list[MessageEvent] = []
        more = True
        while more and len(found) < count:
            answer = self._request(
                HistoryRequest(target=conversation, before=before, limit=min(count - len(found), MAX_HISTORY_PAGE))
            )
            page = [delivery for _, delivery in parse_messages(answer, conversation)]
            found = page + found
            before = page[0].seq or None if page else None
            more = bool(answer.more) and before is not None
        return found

    def search(self, text: str, conversation: str | None = None, count: int = 50) -> SearchResults:
        """Messages that hold all these words, in one conversation or in all of one's own; the newest first.

        The list's `incomplete` says whether there may be more because the server's time for it was over.
        """
        answer = self._request(SearchRequest(text=text, target=conversation, limit=min(count, MAX_HISTORY_PAGE)))
        found = SearchResults(
            SearchHit(str(entry.get("with", "")), delivery) for entry, delivery in parse_messages(answer)
        )
        found.is_incomplete = bool(answer.incomplete)
        return found

    def remove_member(self, room: str, name: str) -> None:
        """Take somebody out of a room that one has made."""
        self._request(RemoveRequest(room=room, user=name))

    def block(self, name: str) -> None:
        """Hear no more from somebody; what they say in rooms comes all the same."""
        self._request(BlockRequest(user=name))

    def unblock(self, name: str) -> None:
        """Hear from them again."""
        self._request(UnblockRequest(user=name))

    def blocks(self) -> list[UserInfo]:
        """Whom one does not want to hear from."""
        return self._fetch_users(BlocksRequest())

    def export(self) -> Iterator[bytes]:
        """All that one may read, of every conversation, oldest first: each message as a line of JSON."""
        place, more = 0, True
        while more:
            answer = self._request(ExportRequest(after=place))
            yield from (encode(entry) for entry in answer.messages or ())
            more = bool(answer.more) and answer.after is not None and answer.after > place
            place = answer.after or place

    def erase_account(self, password: str) -> None:
        """Have everything one has said erased, and the account with it. There is no way back, and the line ends."""
        self._request(ForgetRequest(password=password))

    def _state_to_restore(self, *, seqs_reset: bool) -> dict[str, bytes]:
        """An account is still in its rooms, unless somebody took it out meanwhile; a guest has read nothing, nor has
        anybody where the numbers begin `anew`.
        """
        if seqs_reset:
            self._discard_state("read ")
        known = "join " if self.is_account else "read "
        return {what: frame for what, frame in self._session_state.items() if not what.startswith(known)}

    def _discard_state(self, prefix: str) -> None:
        self._session_state = {
            what: frame for what, frame in self._session_state.items() if not what.startswith(prefix)
        }

    def _fetch_users(self, request: UsersRequest | MembersRequest | BlocksRequest) -> list[UserInfo]:
        return fetch_all(self._request, request, lambda page: page.users or [], lambda card: card.account_name)
