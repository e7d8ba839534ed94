"""Signals: what clients tell each other beside messages, such as that a user is writing. Nothing of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gmessenger.chat.blocks import BlockList
from gmessenger.chat.moderation import operator_name
from gmessenger.chat.outbound import MESSAGE_OVERHEAD, Signal, tags_size
from gmessenger.chat.records import Account
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import Throttle
from gmessenger.errors import NotFound
from gmessenger.names import BROADCAST_TARGET, fold, is_room
from gmessenger.room_roles import RoomRole, has_rank


class SignalService:
    """Checks signals as messages are checked, and offers them to who is online. `accounts`: by folded name."""

    def __init__(
        self,
        throttle: Throttle,
        sanctions: SanctionRegistry,
        router: Router,
        rooms: RoomRegistry,
        blocks: BlockList,
        accounts: Mapping[str, Account],
        clock: Callable[[], float],
    ) -> None:
        self._throttle = throttle
        self._sanctions = sanctions
        self._router = router
        self._rooms = rooms
        self._blocks = blocks
        self._accounts = accounts
        self._clock = clock

    def send(
        self,
        session: Session,
        to: str,
        tags: Mapping[str, str],
        text: str = "",
        kind: str = "",
        least: RoomRole = "member",
    ) -> Signal:
        """Send a signal to a name or a room, and return it. It costs what a message of its size costs.

        `least`: the role that one needs to be sent it, of a room that the session is in, whatever its own role.

        Blocks while the session is over its rate. Raises as `MessageService.send`, but for what is about storing.
        """
        size = len(text) + tags_size(tags)
        in_room = is_room(to)
        self._throttle.charge_message(session, size, self._rooms.member_count(to, session) if in_room else 0)
        self._sanctions.check_not_muted(session.key)
        name = self._check_room(session, to).name if in_room else self._check_name(session, to)
        signal = Signal(session.name, name, tags, self._clock(), text, kind, size + MESSAGE_OVERHEAD, least)
        if text:
            session.active_at = signal.time
        self.deliver(signal, session)
        self._router.peers.send_signal(signal)
        return signal

    def announce(self, session: Session, text: str) -> None:
        """Send a text of an operator to all who are online. It costs what a broadcast costs, and blocks as `send`.

        Which sessions show it is for their protocols to say. Raises `OperatorsOnly`, `RateLimited` or `Muted`.
        """
        operator_name(session)
        self._throttle.charge_message(session, len(text), len(self._router))
        self._sanctions.check_not_muted(session.key)
        signal = Signal(session.name, BROADCAST_TARGET, {}, self._clock(), text, size=len(text) + MESSAGE_OVERHEAD)
        self.deliver(signal)
        self._router.peers.send_signal(signal)

    def deliver(self, signal: Signal, sender: Session | None = None) -> None:
        """Offer a signal to the sessions of this server that it is for, but its sender's."""
        sender_key = fold(signal.sender)
        for session in self._recipients(fold(signal.to), signal.least):
            is_for = session.accepts_signals and session is not sender
            if is_for and not self._blocks.is_hidden(session.key, sender_key):
                session.outbox.offer_if_roomy(signal)

    def _recipients(self, key: str, least: RoomRole) -> Iterable[Session]:
        if not is_room(key):
            return self._router.sessions(key)
        if key == BROADCAST_TARGET:
            return self._router
        room = self._rooms.get(key)
        if room is None:
            return ()
        return [each for each in self._rooms.sessions(room) if has_rank(room.role_of(each), least)]

    def _check_room(self, session: Session, name: str) -> Room:
        room = self._rooms.require_member(name, session)
        if room.is_restricted:
            self._rooms.check_may_write(room, session)
            room.check_not_silenced(session, self._clock())
        return room

    def _check_name(self, session: Session, name: str) -> str:
        """Return a name as it is shown. Raises `NotFound` or `Blocked`."""
        key = fold(name)
        self._blocks.check(session.key, key)
        if (account := self._accounts.get(key)) is not None:
            return account.name
        if key not in self._router:
            raise NotFound
        return self._router.names.get(key, name)
