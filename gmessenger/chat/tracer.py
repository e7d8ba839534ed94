"""Tracing: where one message went, from what the store and the router know, without its text.

Results consist of JSON types, because they go to an operator over the control socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gmessenger.chat.messenger import Messenger
from gmessenger.chat.records import Account, DeviceCursor, MessageTrace, ReaderInfo, SentInfo
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, NotFound
from gmessenger.names import direct_key, fold, is_room, names_of_direct

MAX_SEQ: Final = 2**63 - 1


class MessageTracer:
    """Traces messages: who can read them, and which devices and sessions have them. Blocks on the store."""

    def __init__(self, store: Store, messenger: Messenger) -> None:
        self._store = store
        self._router = messenger.router
        self._rooms = messenger.rooms
        self._authenticator = messenger.authenticator

    def trace(self, name: str, seq: int, other: str | None) -> dict[str, Any]:
        """Trace a message in a room, or between two names. Raises `NoSuchRoom`, `NotFound` or `BadRequest`."""
        if is_room(name):
            conversation, shown = self._rooms.find(name).key, name
        elif other is None:
            raise BadRequest("A conversation is a room, or two names.")
        else:
            conversation, shown = direct_key(fold(name), fold(other)), f"the conversation of {name} and {other}"
        return self._trace(conversation, seq, shown)

    def trace_by_id(self, account: Account, id: str) -> list[dict[str, Any]]:
        """Trace the messages that an account's devices sent with an id. Raises `NotFound`."""
        found = self._store.find_by_message_id(account.id, id)
        if not found:
            raise NotFound(f"No message of {account.name} with the id {id!r} is stored.")
        return [self._trace(conversation, seq, conversation) for conversation, seq in found]

    def _trace(self, conversation: str, seq: int, conversation_name: str) -> dict[str, Any]:
        if not 0 < seq <= MAX_SEQ:
            raise NotFound("A seq is a number from 1 on.")
        way = self._store.trace(conversation, seq)
        sent = way.sent if way is not None else None
        if way is None or sent is None:
            raise _not_found(way, seq, conversation_name)
        told = {"conversation": conversation, "seq": seq, "from": sent.sender, "to": sent.to, "time": sent.time}
        told |= {"device": sent.device, "id": sent.id, "size": sent.size, "erased": sent.erased}
        readers = [self._reader_fields(each, sent, conversation, seq) for each in way.readers]
        return told | {"readers": readers + list(self._guest_fields(conversation, seq, sent))}

    def _reader_fields(self, reader: ReaderInfo, sent: SentInfo, conversation: str, seq: int) -> dict[str, Any]:
        account = self._authenticator.accounts_by_id.get(reader.account_id)
        local = self._router.sessions(account.key) if account is not None else []
        sessions = {session.device.id: session for session in local if session.device is not None}
        return {
            "name": account.name if account is not None else f"account {reader.account_id}",
            "guest": False,
            "may_read": reader.visible_from <= seq,
            "read": reader.read_seq,
            "devices": [
                _device_fields(device, sent, seq)
                | {"session": _session_fields(sessions.get(device.id), conversation, seq)}
                for device in reader.devices
                if reader.visible_from <= seq
            ],
        }

    def _guest_fields(self, conversation: str, seq: int, sent: SentInfo) -> Iterator[dict[str, Any]]:
        """Yield what is known of guests that are online; once a guest has left, nothing is."""
        for session in self._guest_sessions(conversation):
            if session.key != fold(sent.sender):
                yield {
                    "name": session.name,
                    "guest": True,
                    "devices": [],
                    "session": _session_fields(session, conversation, seq),
                }

    def _guest_sessions(self, conversation: str) -> list[Session]:
        if is_room(conversation):
            return list(self._rooms.find(conversation).guests.values())
        sessions = [session for key in names_of_direct(conversation) for session in self._router.sessions(key)]
        return [session for session in sessions if session.account is None]


def _device_fields(device: DeviceCursor, sent: SentInfo, seq: int) -> dict[str, Any]:
    return {
        "name": device.name,
        "sender": device.id == sent.device_id,
        "acknowledged": device.cursor >= seq,
    }


def _session_fields(session: Session | None, conversation: str, seq: int) -> dict[str, Any] | None:
    """Describe a session's delivery state; None if there is no session."""
    if session is None:
        return None
    return {
        "handed_over": session.sync.delivered(conversation) >= seq,
        "behind": session.sync.catching_up,
        "waiting": session.outbox.pending_frames,
    }


def _not_found(trace: MessageTrace | None, seq: int, conversation_name: str) -> NotFound:
    if trace is None or trace.head == 0:
        return NotFound(f"No messages of {conversation_name} are stored.")
    if seq > trace.head:
        return NotFound(
            f"{conversation_name[:1].upper()}{conversation_name[1:]} has no message {seq}: the last is {trace.head}."
        )
    return NotFound(f"Message {seq} of {conversation_name} is no longer stored: the oldest is {trace.first_seq}.")
