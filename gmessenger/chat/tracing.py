"""Where one message went, told from what the store knows and who is here. Never what it said.

Everything that is told is made of JSON's own types, because it goes to an operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gmessenger.chat.archive import direct_key
from gmessenger.chat.contract import Store
from gmessenger.chat.names import fold
from gmessenger.chat.records import Account
from gmessenger.chat.service import Messenger
from gmessenger.chat.session import Session
from gmessenger.chat.way import Reader, Receiver, Sent, Way
from gmessenger.errors import BadRequest, NeverSeen

LARGEST_SEQ: Final = 2**63 - 1


class Tracing:
    """Finds messages and tells their way."""

    def __init__(self, store: Store, messenger: Messenger) -> None:
        self._store = store
        self._router = messenger.router
        self._rooms = messenger.rooms
        self._entrance = messenger.entrance

    def by_seq(self, name: str, seq: int, other: str | None) -> dict[str, Any]:
        """A message in a room, or between two names. Raises as `Administration.trace`."""
        if name[:1] == "#":
            conversation, shown = self._rooms.find(name).key, name
        elif other is None:
            raise BadRequest("A conversation is a room, or two names.")
        else:
            conversation, shown = direct_key(fold(name), fold(other)), f"the conversation of {name} and {other}"
        return self._told(conversation, seq, shown)

    def by_id(self, account: Account, id: str) -> list[dict[str, Any]]:
        """What an account's devices sent under an id. Raises `NeverSeen`."""
        found = self._store.sent_as(account.id, id)
        if not found:
            raise NeverSeen(f"No message of {account.name} with the id {id!r} is stored.")
        return [self._told(conversation, seq, conversation) for conversation, seq in found]

    def _told(self, conversation: str, seq: int, shown: str) -> dict[str, Any]:
        if not 0 < seq <= LARGEST_SEQ:
            raise NeverSeen("A seq is a number from 1 on.")
        way = self._store.trace(conversation, seq)
        sent = way.sent if way is not None else None
        if way is None or sent is None:
            raise _missing(way, seq, shown)
        told = {"conversation": conversation, "seq": seq, "from": sent.sender, "to": sent.to, "time": sent.time}
        told |= {"device": sent.device, "id": sent.id, "size": sent.size, "erased": sent.erased}
        readers = [self._reader(each, sent, conversation, seq) for each in way.readers]
        return told | {"readers": readers + list(self._guests(conversation, seq, sent))}

    def _reader(self, reader: Reader, sent: Sent, conversation: str, seq: int) -> dict[str, Any]:
        account = self._entrance.by_id.get(reader.account)
        here = self._router.sessions(account.key) if account is not None else []
        sessions = {each.device.id: each for each in here if each.device is not None}
        return {
            "name": account.name if account is not None else f"account {reader.account}",
            "guest": False,
            "may_read": reader.visible <= seq,
            "read": reader.read,
            "devices": [
                _device(each, sent, seq) | {"session": _live(sessions.get(each.id), conversation, seq)}
                for each in reader.devices
                if reader.visible <= seq
            ],
        }

    def _guests(self, conversation: str, seq: int, sent: Sent) -> Iterator[dict[str, Any]]:
        """Those without an account: of what a guest got, nothing is known once it has left."""
        for session in self._guests_here(conversation):
            if session.key != fold(sent.sender):
                yield {
                    "name": session.name,
                    "guest": True,
                    "devices": [],
                    "session": _live(session, conversation, seq),
                }

    def _guests_here(self, conversation: str) -> list[Session]:
        if conversation[:1] == "#":
            return list(self._rooms.find(conversation).guests.values())
        sessions = [session for key in conversation.split(" ") for session in self._router.sessions(key)]
        return [session for session in sessions if session.account is None]


def _device(receiver: Receiver, sent: Sent, seq: int) -> dict[str, Any]:
    return {
        "name": receiver.name,
        "sender": receiver.id == sent.device_id,
        "acknowledged": receiver.cursor >= seq,
    }


def _live(session: Session | None, conversation: str, seq: int) -> dict[str, Any] | None:
    """How a session is; None where there is none."""
    if session is None:
        return None
    return {
        "handed_over": session.sent.get(conversation, 0) >= seq,
        "behind": session.behind,
        "waiting": session.outbox.waiting,
    }


def _missing(way: Way | None, seq: int, shown: str) -> NeverSeen:
    if way is None or way.head == 0:
        return NeverSeen(f"No messages of {shown} are stored.")
    if seq > way.head:
        return NeverSeen(f"{shown[:1].upper()}{shown[1:]} has no message {seq}: the last is {way.head}.")
    return NeverSeen(f"Message {seq} of {shown} is no longer stored: the oldest is {way.first}.")
