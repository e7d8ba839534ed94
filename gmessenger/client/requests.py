"""The requests of a client, apart from sending messages: each blocks the caller until the server responds."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping

from gevent.event import AsyncResult

from gmessenger.account_settings import AccountSettings, SettingsChange
from gmessenger.client.files import resolve_file_url
from gmessenger.client.request_retry import RetryingRequests
from gmessenger.client.responses import (
    ConversationInfo,
    History,
    HistoryMessage,
    OwnDevice,
    RoomInfo,
    SanctionInfo,
    SearchHit,
    SearchResults,
    UserDetails,
    encode_request,
    error_from_response,
    fetch_all,
    is_error,
    parse_messages,
    parse_rows,
)
from gmessenger.client.room_requests import RoomRequests
from gmessenger.constants import MAX_HISTORY_PAGE, OFFLINE
from gmessenger.errors import UnknownAction, Unreachable
from gmessenger.hosts import is_certainly_address
from gmessenger.names import fold, is_room
from gmessenger.room_rules import RuleValue
from gmessenger.text import Text
from gmessenger.wire.encoder import encode
from gmessenger.wire.events import (
    BanRequest,
    BansRequest,
    BlockRequest,
    BlocksRequest,
    CertificateRequest,
    CloseRequest,
    ConversationsRequest,
    DevicesRequest,
    DropRequest,
    ExportRequest,
    ForgetRequest,
    HistoryRequest,
    JoinRequest,
    KickRequest,
    LeaveRequest,
    MembersRequest,
    MuteRequest,
    MutesRequest,
    OpenRequest,
    PasswordRequest,
    ProfileRequest,
    ReadRequest,
    Request,
    ResponseFrame,
    RoomsRequest,
    SearchRequest,
    SettingsRequest,
    StatusRequest,
    TopicRequest,
    UnbanRequest,
    UnblockRequest,
    UnmuteRequest,
    UserInfo,
    UsersRequest,
    WhoisRequest,
)


class PendingRequests:
    """Matches responses to waiting requests by their ids. Unanswered requests are sent again after a reconnection."""

    def __init__(self) -> None:
        self._frames: dict[str, bytes] = {}
        self._results: dict[str, AsyncResult[ResponseFrame]] = {}

    def add(self, request: Request) -> tuple[str, bytes]:
        """Give a request an id; return it, and the frame to send. Raises `BadText`."""
        request.id = secrets.token_urlsafe(12)
        self._frames[request.id] = frame = encode_request(request)
        self._results[request.id] = AsyncResult()
        return request.id, frame

    def wait(self, id: str, timeout: float) -> ResponseFrame:
        """Return the response to a request. Blocks.

        Raises:
            WireError: the server has refused the request.
            Unreachable: there is no response within `timeout` seconds, or the client is closed.
        """
        result = self._results[id]
        try:
            result.wait(timeout)  # a gevent.Timeout of the caller passes through
        finally:
            del self._results[id], self._frames[id]
        if not result.ready():
            raise Unreachable(Text("The server did not answer within {seconds:g} s.", seconds=timeout))
        response = result.get()
        assert response is not None
        if is_error(response):
            raise error_from_response(response)
        return response

    def resolve(self, response: ResponseFrame) -> bool:
        """Pass a response to its waiting request; return False if there is none."""
        result = self._results.get(response.id or "")
        if result is not None:
            result.set(response)
        return result is not None

    def fail(self, error: Exception) -> None:
        """Raise an error in all waiting requests."""
        for result in self._results.values():
            result.set_exception(error)

    def unanswered_frames(self) -> dict[str, bytes]:
        """Return the frames to send again after a reconnection, by id."""
        return dict(self._frames)


class OperatorRequests(RetryingRequests):
    """The requests of operators. They raise as those of `ChatRequests` do, and `OperatorsOnly` for other users.

    `target` is a network or an IPv6 address if it has a `:` or a `/`, which no name has, else a name; one IPv4 address
    is `203.0.113.7/32`. A sanction without `seconds` lasts until it is lifted.
    """

    def kick(self, name: str, reason: str = "") -> int:
        """Close all sessions of a name, and return how many; it may log in again."""
        return self._request(KickRequest(user=name, reason=reason)).sessions or 0

    def mute(self, name: str, seconds: float | None = None, reason: str = "") -> int:
        """Have the messages of a name refused; return how many sessions it has."""
        return self._request(MuteRequest(user=name, duration=seconds, reason=reason)).sessions or 0

    def unmute(self, name: str) -> None:
        """Lift the mute of a name."""
        self._request(UnmuteRequest(user=name))

    def ban(self, target: str, seconds: float | None = None, reason: str = "") -> ResponseFrame:
        """Refuse logins of a name, or connections from a network; close those that there are.

        The response has the number of closed `sessions`, and the `address` as the server understood it.
        """
        user, address = (None, target) if is_certainly_address(target) else (target, None)
        return self._request(BanRequest(user=user, address=address, duration=seconds, reason=reason))

    def unban(self, target: str) -> None:
        """Lift the ban of a name or network."""
        self._request(UnbanRequest(address=target) if is_certainly_address(target) else UnbanRequest(user=target))

    def bans(self) -> list[SanctionInfo]:
        """Return the bans, each with `user` or `address`, `by`, `since`, `until` and `reason`."""
        return self._fetch_sanctions(BansRequest())

    def mutes(self) -> list[SanctionInfo]:
        """Return the mutes, as `bans` does."""
        return self._fetch_sanctions(MutesRequest())

    def close_room(self, room: str, reason: str = "") -> None:
        """Close a room: members can read it, but it takes no messages and no members."""
        self._request(CloseRequest(room=room, reason=reason))

    def open_room(self, room: str) -> None:
        """Reopen a closed room."""
        self._request(OpenRequest(room=room))

    def _fetch_sanctions(self, request: BansRequest | MutesRequest) -> list[SanctionInfo]:
        rows = fetch_all(
            self._request,
            request,
            lambda page: page.bans or page.mutes or [],
            lambda row: row.get("user") or row.get("address"),
        )
        return parse_rows(rows, SanctionInfo)


class ChatRequests(OperatorRequests, RoomRequests):
    """The requests of every user. Each blocks until the response, also over a reconnection.

    Raises:
        WireError: the server refuses the request; the class says why.
        Unreachable: there is no response within `Timeouts.response`, or the client is closed.
    """

    def __init__(self) -> None:
        self.files_url = ""
        """Where the server takes files, and below which they are found; empty where it keeps none."""
        self.registration: str | None = None
        """Whether the guest may `register`: `open`, `closed`, or `invite`; None if it may not over this connection."""
        self.is_account = False
        """Whether the name is an account; known after the login."""
        self.must_change_password = False
        """Whether the login was with a one-time password: nothing else is allowed before `replace_password`."""
        self.features: frozenset[str] | None = None
        """The keys of requests that the server says it knows; None before the first login."""
        self._session_state: dict[str, bytes] = {}
        """Frames that restore the state of a session after a reconnection: `status`, `join ROOM`, `read NAME`."""

    def supports(self, key: str) -> bool:
        """Return whether the server knows a key of requests, such as `about` or `rules`; True before the first login.

        Only of keys that servers once did not know, and ignored without a word.
        """
        return self.features is None or key in self.features

    @abstractmethod
    def _send_without_response(self, key: str, frame: bytes) -> None:
        """Send a request that has no response; of several unsent ones with one `key` only the last is sent."""

    def users(self) -> list[UserInfo]:
        """Return the users who are online, with their status."""
        return self._fetch_users(UsersRequest())

    def whois(self, name: str) -> UserDetails:
        """Return what one may know of a user: status, since when, and the rooms that both are in."""
        response = self._request(WhoisRequest(user=name))
        user = response.user or UserInfo(name)
        rooms = [info.name for info in parse_rows(response.rooms or [], RoomInfo)]
        return UserDetails(
            user.account_name,
            user.status or OFFLINE,
            user.note or "",
            bool(response.account),
            response.since,
            rooms,
            bool(user.bot),
        )

    def members(self, room: str) -> list[UserInfo]:
        """Return the members of a room that one is in, with their status."""
        return self._fetch_users(MembersRequest(room=room))

    def topic(self, room: str) -> str:
        """Return the topic of a room that one is in."""
        return self._request(MembersRequest(room=room)).topic or ""

    def rooms(self) -> list[RoomInfo]:
        """Return all rooms, each with `name`, `topic`, `member_count` and `is_closed`."""
        rows = fetch_all(self._request, RoomsRequest(), lambda page: page.rooms or [], lambda row: row.get("room"))
        return parse_rows(rows, RoomInfo)

    def conversations(self) -> list[ConversationInfo]:
        """Return the own conversations, the newest first: rooms, and for an account also direct ones.

        Raises `UnknownAction` if the server is too old.
        """
        rows = fetch_all(
            self._request, ConversationsRequest(), lambda page: page.conversations or [], lambda row: row.get("with")
        )
        return sorted(
            parse_rows(rows, ConversationInfo), key=lambda conversation: conversation.time or 0.0, reverse=True
        )

    def mark_read(self, conversation: str, seq: int) -> None:
        """Set how far one has read a conversation; other devices get a `ReadMarkerMoved`. Only for accounts."""
        key, frame = f"read {fold(conversation)}", encode_request(ReadRequest(target=conversation, seq=seq))
        self._session_state[key] = frame
        self._send_without_response(key, frame)

    def set_status(self, status: str, note: str = "") -> None:
        """Set the own status, and a note on it, also after each reconnection."""
        self._request(StatusRequest(status=status, note=note))
        self._session_state["status"] = encode_request(StatusRequest(status=status, note=note))

    def settings(self) -> AccountSettings:
        """Return the settings of the account, which are the same on all its devices."""
        return self._request(SettingsRequest()).settings or AccountSettings()

    def change_settings(self, change: SettingsChange) -> AccountSettings:
        """Change some settings of the account, and return all; its other devices get a `SettingsChanged`."""
        return self._request(SettingsRequest(set=change)).settings or AccountSettings()

    def profile(self, name: str) -> dict[str, str]:
        """Return the profile of a user or a room: its values by key, such as `homepage` or `pronouns`."""
        return self._request(_profile_request(name)).profile or {}

    def change_profile(self, name: str, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Set keys of the own profile, or of a room's, and remove those with None; return all of it."""
        return self._request(_profile_request(name, dict(changes))).profile or {}

    def join(self, room: str, rules: Mapping[str, RuleValue] | None = None, key: str | None = None) -> ResponseFrame:
        """Join a room, also after each reconnection; the response has its `topic`, `members` and `rules`.

        `key`: for a room whose rules have one.

        An account makes the room if it does not exist, with these `rules`. With rules, also none (`{}`), it must be a
        new room or an own one, whose rules are set then: else the request raises `NotOwner`. An older server, which
        would ignore them, is not asked: `UnknownAction`.
        """
        if rules is not None and not self.supports("rules"):  # it would make a room that is open to all
            raise UnknownAction(Text("This server is older and does not know rules of rooms."))
        response = self._request(JoinRequest(room=room, rules=dict(rules) if rules is not None else None, key=key))
        self._session_state[f"join {fold(room)}"] = encode_request(JoinRequest(room=room, key=key))
        return response

    def leave(self, room: str) -> None:
        """Leave a room."""
        self._request(LeaveRequest(room=room))
        self._session_state.pop(f"join {fold(room)}", None)

    def set_topic(self, room: str, topic: str) -> None:
        """Set the topic of a room."""
        self._request(TopicRequest(room=room, topic=topic))

    def history(self, conversation: str, count: int, before: int | None = None) -> History:
        """Return the last `count` messages of a conversation, or those before a seq; the oldest first.

        The result has the `first_seq` that one may read, and the `absences`: what one may not, because one was not a
        member of the room then.
        """
        messages = History()
        more = True
        while more and len(messages) < count:
            response = self._request(
                HistoryRequest(target=conversation, before=before, limit=min(count - len(messages), MAX_HISTORY_PAGE))
            )
            page = [message for _, message in parse_messages(response, conversation)]
            self._resolve_file_urls(page)
            messages[:0] = page
            messages.first_seq = response.first or 1
            messages.absences = response.absent or ()
            before = page[0].seq or None if page else None
            more = bool(response.more) and before is not None
        return messages

    def search(self, text: str, conversation: str | None = None, count: int = 50) -> SearchResults:
        """Return messages that have all words of `text`, of one conversation or all own ones; the newest first.

        The result `is_incomplete` if the server's time for a search was over.
        """
        response = self._request(SearchRequest(text=text, target=conversation, limit=min(count, MAX_HISTORY_PAGE)))
        results = SearchResults(
            SearchHit(str(row.get("with", "")), message) for row, message in parse_messages(response)
        )
        self._resolve_file_urls([hit.delivery for hit in results])
        results.is_incomplete = bool(response.incomplete)
        return results

    def _resolve_file_urls(self, messages: Iterable[HistoryMessage]) -> None:
        for message in messages:
            resolve_file_url(message, self.files_url)

    def block(self, name: str) -> None:
        """Block a user: their direct messages are refused. Their messages in rooms still arrive."""
        self._request(BlockRequest(user=name))

    def unblock(self, name: str) -> None:
        """Unblock a user."""
        self._request(UnblockRequest(user=name))

    def blocks(self) -> list[UserInfo]:
        """Return the users one has blocked."""
        return self._fetch_users(BlocksRequest())

    def export(self) -> Iterator[bytes]:
        """Yield every message that one has written or may read, oldest first, as lines of JSON."""
        after, more = 0, True
        while more:
            response = self._request(ExportRequest(after=after))
            yield from (encode(row) for row in response.messages or ())
            more = bool(response.more) and response.after is not None and response.after > after
            after = response.after or after

    def change_password(self, old: str, new: str) -> None:
        """Change the password of the account: all its other devices are logged out. Raises `WrongPassword`, too."""
        self._request(PasswordRequest(old=old, new=new))

    def devices(self) -> list[OwnDevice]:
        """Return the devices of the account that are logged in, those used last first."""
        return parse_rows(self._request(DevicesRequest()).devices or [], OwnDevice)

    def drop_device(self, device: str) -> None:
        """Log out a device of the account; if it is this one, the connection is closed."""
        self._request(DropRequest(device=device))

    def drop_other_devices(self) -> None:
        """Log out all devices of the account but this one."""
        self._request(DropRequest(all=True))

    def set_certificate(self, fingerprint: str, device: str | None = None) -> None:
        """Have a device log in over IRC by a TLS certificate: this one, or `device`. `fingerprint`: its SHA-256."""
        self._request(CertificateRequest(fingerprint=fingerprint, device=device))

    def remove_certificate(self, device: str | None = None) -> None:
        """Have a device, this one or `device`, log in by no certificate any more; its connection stays."""
        self._request(CertificateRequest(device=device))

    def erase_account(self, password: str) -> None:
        """Erase the account with all its messages, irrevocably; the client is closed then."""
        self._request(ForgetRequest(password=password))

    def _state_to_restore(self, *, seqs_reset: bool) -> dict[str, bytes]:
        """Return the frames to send after a reconnection, by their keys.

        Not those that join rooms for an account, which still is a member, or was removed; not read markers for a guest,
        which has none, or with `seqs_reset`, when they mean other messages.
        """
        if seqs_reset:
            self._discard_state("read ")
        omitted = "join " if self.is_account else "read "
        return {key: frame for key, frame in self._session_state.items() if not key.startswith(omitted)}

    def _discard_state(self, prefix: str) -> None:
        self._session_state = {key: frame for key, frame in self._session_state.items() if not key.startswith(prefix)}

    def _fetch_users(self, request: UsersRequest | MembersRequest | BlocksRequest) -> list[UserInfo]:
        return fetch_all(self._request, request, lambda page: page.users or [], lambda user: user.account_name)


def _profile_request(name: str, changes: dict[str, str | None] | None = None) -> ProfileRequest:
    return ProfileRequest(room=name, set=changes) if is_room(name) else ProfileRequest(user=name, set=changes)
