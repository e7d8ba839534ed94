"""Erasing any one message for the owner of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gevent.event import AsyncResult

from gmessenger.chat.delivery import CommittedMessage, FanOut
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import About, NewMessage, SentInfo
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.storage import Store
from gmessenger.constants import SERVER_OWNER
from gmessenger.errors import NoSuchMessage, StoreUnavailable, WireError
from gmessenger.names import fold, is_room

ERASE: Final = "erase"


class MessageEraser:
    """Erases any one message on behalf of the owner of the server. Blocks on the store."""

    def __init__(
        self, store: Store, rooms: RoomRegistry, fan_out: FanOut, clock: Callable[[], float], policy: Policy
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._fan_out = fan_out
        self._clock = clock
        self._policy = policy

    def erase(self, conversation: str, seq: int) -> int:
        """Erase a message; those who are online are sent the erase, whose seq is returned. Raises `NoSuchMessage`.

        In a room it comes from the owner. In a direct conversation it comes from who wrote the message, as each end
        finds the conversation by the other one's name; `by` says that the owner of the server has erased it.
        """
        trace = self._store.trace(conversation, seq)
        if trace is None or trace.sent is None:
            raise NoSuchMessage
        message = self._new_message(conversation, seq, trace.sent)
        result: AsyncResult[tuple[int, WireError | None]] = AsyncResult()

        def on_stored(seq: int, duplicate: bool, error: WireError | None) -> None:
            if error is None:
                self._deliver(message, seq)
            result.set((seq, error))

        self._store.append(message, on_stored)
        outcome = result.wait(self._policy.store_timeout)
        if outcome is None:
            raise StoreUnavailable
        erase_seq, error = outcome
        if error is not None:
            raise error
        return erase_seq

    def _new_message(self, conversation: str, seq: int, sent: SentInfo) -> NewMessage:
        sender = SERVER_OWNER if is_room(conversation) else sent.sender
        by = "" if sender == SERVER_OWNER else SERVER_OWNER
        about = About(seq, ERASE, may_moderate=True, by=by)
        return NewMessage(conversation, sender, sent.to, "", self._clock(), about=about)

    def _deliver(self, message: NewMessage, seq: int) -> None:
        room = self._rooms.get(message.conversation) if is_room(message.conversation) else None
        if room is not None:
            room.head = max(room.head, seq)
        to_key = "" if room is not None else fold(message.to)
        if room is not None or to_key:
            self._fan_out.add(CommittedMessage(message, seq, "", fold(message.sender), None, room, to_key))
