"""Hints, by which a node announces the messages it has stored to the nodes with sessions in the conversation.

A hint carries the message. One that is lost costs a read of the store, by the sequencer, never a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.peers import Peers
from gmessenger.chat.presence import PresenceTracker
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import MAX_PRESENCE_MEMBERS, RoomRegistry
from gmessenger.cluster.frames import HintBatch, MessageHint, encode
from gmessenger.cluster.interfaces import Bus
from gmessenger.cluster.sequencer import committed_from
from gmessenger.names import ROOM_PREFIX


class HintExchange:
    """Sends hints of committed messages to other nodes, and delivers theirs. No method blocks.

    `accept` is the sequencer's: it gets the messages of all nodes.
    """

    def __init__(
        self,
        bus: Bus,
        peers: Peers,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        accept: Callable[[list[CommittedMessage]], None],
    ) -> None:
        self._bus = bus
        self._peers = peers
        self._rooms = rooms
        self._presence = presence
        self._accept = accept

    def publish(self, committed: list[CommittedMessage]) -> None:
        """Announce messages of one conversation that this node has committed, and deliver them here."""
        nodes = self._interested_nodes(committed[0])
        if nodes:
            hints = [_make_hint(message) for message in committed]
            self._bus.send(encode(HintBatch(hints)), nodes)
        self._accept(committed)

    def on_hints(self, hints: HintBatch) -> None:
        """Deliver messages that another node has committed."""
        if not hints.hints:
            return
        committed = [committed_from(hint.to_message(), hint.seq, hint.action, self._rooms) for hint in hints.hints]
        for each, hint in zip(committed, hints.hints, strict=True):
            each.tags = hint.tags
        first = committed[0]
        if first.room is not None and first.room.id != hints.hints[0].room:
            return  # one of the nodes has a room of that name that was deleted; the head shows what is missing
        if first.room is not None:
            first.room.head = max(first.room.head, committed[-1].seq)
        elif first.message.conversation[:1] != ROOM_PREFIX:
            self._presence.link(first.sender_key, first.to_key)
        self._accept(committed)

    def _interested_nodes(self, committed: CommittedMessage) -> set[str]:
        """Return the nodes with sessions in the conversation."""
        presences = self._peers.presences
        if not presences:
            return set()
        if committed.room is None:
            return {node for key in (committed.sender_key, committed.to_key) for node in presences.get(key, ())}
        if committed.room.size > MAX_PRESENCE_MEMBERS:  # looking up all members costs more than a broadcast
            return set(self._bus.nodes)
        return {node for key in _room_keys(committed.room) for node in presences.get(key, ())}


def _room_keys(room: Room) -> Iterable[str]:
    yield from (account.key for account in room.members.values())
    yield from room.remote_guests


def _make_hint(committed: CommittedMessage) -> MessageHint:
    message, about = committed.message, committed.message.about
    return MessageHint(
        message.conversation,
        committed.seq,
        message.sender,
        message.to,
        message.text,
        message.time,
        committed.action,
        message.device,
        message.id,
        committed.room.id if committed.room is not None else 0,
        message.kind,
        about.seq if about is not None else None,
        about.what if about is not None else "",
        about.by if about is not None else "",
        message.file,
        committed.tags,
    )
