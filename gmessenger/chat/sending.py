"""The path of a message from its request: rate limit, mute, length, room; then the dispatcher takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gmessenger.chat.amendments import is_erasure
from gmessenger.chat.dispatcher import MessageDispatcher, MessageIds, OutgoingText
from gmessenger.chat.files import FileService
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.outbound import tags_size
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import PresenceTracker
from gmessenger.chat.ratelimit import CHARACTERS_PER_UNIT, message_cost
from gmessenger.chat.records import About
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import Throttle
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import (
    BroadcastDisabled,
    NoSuchFile,
    NoSuchMessage,
    NotLoggedIn,
    NotMember,
    StoreUnavailable,
    TextTooLong,
    WireError,
)
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold


class MessageService:
    """Checks and sends messages. Called from the connection's greenlet: blocking it holds back its requests."""

    def __init__(
        self,
        policy: Policy,
        throttle: Throttle,
        sanctions: SanctionRegistry,
        dispatcher: MessageDispatcher,
        rooms: RoomRegistry,
        membership: RoomMembership,
        presence: PresenceTracker,
        router: Router,
        files: FileService,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._files = files
        self._policy = policy
        self._throttle = throttle
        self._sanctions = sanctions
        self._dispatcher = dispatcher
        self._rooms = rooms
        self._membership = membership
        self._presence = presence
        self._router = router

    def send(
        self,
        session: Session,
        to: str,
        text: str,
        id: str | None = None,
        action: str = "",
        kind: str = "",
        about: About | None = None,
        file: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Send a text to a name, a room, or `BROADCAST_TARGET`; with `about`, a reply or an amendment.

        `file`: the id of a file that the account has uploaded, whose name is the text where there is none.
        `tags`: as in `Message`.

        The response is 200 with the seq once the message is on disk, or 202 if a session accepted it and it is not
        stored. Without an id there is none, unless the session `answers_all`, or the message is refused after this
        returns.

        Blocks while the session is over its rate, or has too much pending in the store.

        Raises:
            TextTooLong, RateLimited, Muted, Blocked, NotFound, RecipientGone, NoSuchRoom, NotMember, RoomClosed,
            OnlySpeakers, Silenced, ShutOut, BroadcastDisabled
            RecipientBusy: no session of the recipient had room for it.
            AccountsOnly, BadRequest, NoSuchMessage: of a message about another.
            AccountsOnly, NoSuchFile: of a message with a file.
            StoreUnavailable: it could not be stored, or what is pending was not within the timeout.
            NotLoggedIn: the session was ended while this blocked.
        """
        recipients = self._recipient_count(session, to) if to[:1] == ROOM_PREFIX else 0
        size = len(text) if tags is None else len(text) + tags_size(tags)
        self._throttle.charge_message(session, size, recipients)
        session.active_at = self._clock()
        if self._sanctions.muted:
            self._sanctions.check_not_muted(session.key)
        if len(text) > self._policy.max_text:
            raise TextTooLong(f"A message has at most {self._policy.max_text} characters.", limit=self._policy.max_text)
        if session.pending_characters > self._policy.max_pending_characters:
            self._wait_for_store(session)
        if about is not None and about.what == "erase":
            text = ""
        outgoing = OutgoingText(text, id, action, kind, about, tags=tags)
        if file is not None:
            outgoing.file = self._files.find_own(session, file)
            outgoing.text = text if text.strip() else outgoing.file.name
        if to[:1] != ROOM_PREFIX:
            key = fold(to)
            self._dispatcher.send_direct(session, key, to, outgoing)
            self._presence.link(session.key, key)
        elif to != BROADCAST_TARGET:
            room = self._room_for(session, to, about)
            self._dispatcher.send_to_room(session, room, outgoing)
        elif file is not None:
            raise NoSuchFile("A message to all users has no file.")
        elif about is not None:
            raise NoSuchMessage("Broadcasts are not stored, so none can be about another.")
        elif self._policy.broadcast:
            self._dispatcher.broadcast(session, outgoing)
        else:
            raise BroadcastDisabled

    def _room_for(self, session: Session, to: str, about: About | None) -> Room:
        """Return the room to write to: an own one, or as the rule `outside` allows; an operator erases in any room."""
        if is_erasure(about) and session.role == OPERATOR_ROLE:
            return self._rooms.find(to)
        try:
            return self._rooms.require_member(to, session)
        except NotMember:
            if about is not None:  # a user outside the room may not refer to messages that it cannot read
                raise
            return self._membership.find_from_outside(session, to)

    def send_batch(self, session: Session, to: str, texts: list[str], ids: MessageIds, action: str = "") -> bool:
        """Send several texts to one name or room as `send` would, with one check for all: most of a message's cost.

        Returns False, and has sent none, where one might be refused or delayed: then each must be sent by itself.
        Never blocks.
        """
        longest = max(map(len, texts))
        if self._sanctions.muted or longest > self._policy.max_text:
            return False
        key = fold(to)
        recipients = self._recipient_count(session, key) if key[:1] == ROOM_PREFIX else 0
        if longest < CHARACTERS_PER_UNIT:  # as nearly all are
            cost = len(texts) * message_cost(0, recipients)
        else:
            cost = sum(message_cost(len(text), recipients) for text in texts)
        charge = self._throttle.try_charge_batch(session, cost)
        if charge is None:
            return False
        with charge:
            if not self._dispatcher.send_batch(session, key, texts, ids, action):
                return False
            charge.commit()
        session.active_at = self._clock()
        if key[:1] != ROOM_PREFIX:
            self._presence.link(session.key, key)
        return True

    def join_and_send(self, session: Session, room: str, text: str, action: str) -> None:
        """Join a room and send a text to it, as course clients do. Raises as `RoomMembership.join` and `send`."""
        try:
            self._membership.join(session, room)
        except WireError:  # a refused message costs as much as one without recipients
            self._throttle.charge_message(session, len(text))
            raise
        self.send(session, room, text, action=action)

    def _recipient_count(self, session: Session, room: str) -> int:
        """Return how many recipients a message costs for. To a room that the session is not in, that tells nothing."""
        return len(self._router) if room == BROADCAST_TARGET else self._rooms.member_count(room, session)

    def _wait_for_store(self, session: Session) -> None:
        if not session.wait_for_store(self._policy.max_pending_characters, self._policy.store_timeout):
            raise StoreUnavailable
        if session.outbox.closed:  # the session was ended meanwhile
            raise NotLoggedIn
