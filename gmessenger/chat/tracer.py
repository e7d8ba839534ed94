"""Trace where a message went: from the store, and from the sessions there are. Never its text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gmessenger.chat.admin_results import AccountReader, DeviceTrace, GuestReader, SessionTrace, TraceResult
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.records import Account, MessageTrace, ReaderInfo, SentInfo
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, NotFound
from gmessenger.names import direct_key, fold, is_room, names_of_direct

MAX_SEQ: Final = 2**63 - 1
"""The highest seq that a store can hold."""


class MessageTracer:
    """Finds messages, and reports which devices and guests have received them. Methods block on the store."""

    def __init__(self, store: Store, messenger: Messenger) -> None:
        self._store = store
        self._router = messenger.router
        self._rooms = messenger.rooms
        self._authenticator = messenger.authenticator

    def trace(self, name: str, seq: int, other: str | None) -> TraceResult:
        """Trace a message in a room, or between two users.

        Raises `NoSuchRoom`, `BadRequest` for one user without the other, or `NotFound` with what is stored instead.
        """
        conversation, display_name = self.find_conversation(name, other)
        return self._trace(conversation, seq, display_name)

    def find_conversation(self, name: str, other: str | None) -> tuple[str, str]:
        """Return the key of a room, or of the conversation of two users, and how it is called. Raises as `trace`."""
        if is_room(name):
            return self._rooms.find(name).key, name
        if other is None:
            raise BadRequest("A conversation is a room, or two names.")
        return direct_key(fold(name), fold(other)), f"the conversation of {name} and {other}"

    def trace_by_id(self, account: Account, id: str) -> list[TraceResult]:
        """Trace the messages that an account's devices have sent with an id. Raises `NotFound`."""
        messages = self._store.find_by_message_id(account.id, id)
        if not messages:
            raise NotFound(f"No message of {account.name} with the id {id!r} is stored.")
        return [self._trace(conversation, seq, conversation) for conversation, seq in messages]

    def _trace(self, conversation: str, seq: int, display_name: str) -> TraceResult:
        if not 0 < seq <= MAX_SEQ:
            raise NotFound("A seq is a number from 1 on.")
        trace = self._store.trace(conversation, seq)
        sent = trace.sent if trace is not None else None
        if trace is None or sent is None:
            raise _not_found(trace, seq, display_name)
        return TraceResult(
            conversation=conversation,
            seq=seq,
            sender=sent.sender,
            to=sent.to,
            time=sent.time,
            device=sent.device,
            id=sent.id,
            size=sent.size,
            erased=sent.erased,
            readers=[
                *(self._account_reader(reader, sent, conversation, seq) for reader in trace.readers),
                *self._guest_readers(conversation, seq, sent),
            ],
            kind=sent.kind,
            about=sent.about,
            what=sent.what,
            edited=sent.edited,
            erased_by=sent.erased_by,
            erased_at=sent.erased_at,
        )

    def _account_reader(self, reader: ReaderInfo, sent: SentInfo, conversation: str, seq: int) -> AccountReader:
        account = self._authenticator.accounts_by_id.get(reader.account_id)
        sessions = self._router.sessions(account.key) if account is not None else []
        by_device = {session.device.id: session for session in sessions if session.device is not None}
        may_read = reader.visible_from <= seq and not reader.is_absent
        devices = [
            DeviceTrace(
                device.name,
                sender=device.id == sent.device_id,
                acknowledged=device.cursor >= seq,
                session=_session_trace(by_device.get(device.id), conversation, seq),
            )
            for device in reader.devices
            if may_read
        ]
        name = account.name if account is not None else f"account {reader.account_id}"
        return AccountReader(name, guest=False, may_read=may_read, read=reader.read_seq, devices=devices)

    def _guest_readers(self, conversation: str, seq: int, sent: SentInfo) -> Iterator[GuestReader]:
        for session in self._guest_sessions(conversation):
            if session.key != fold(sent.sender):
                yield GuestReader(session.name, True, [], _session_trace(session, conversation, seq))

    def _guest_sessions(self, conversation: str) -> list[Session]:
        if is_room(conversation):
            return list(self._rooms.find(conversation).guests.values())
        sessions = [session for key in names_of_direct(conversation) for session in self._router.sessions(key)]
        return [session for session in sessions if session.account is None]


def _session_trace(session: Session | None, conversation: str, seq: int) -> SessionTrace | None:
    if session is None:
        return None
    return SessionTrace(
        handed_over=session.sync.delivered(conversation) >= seq,
        behind=session.sync.catching_up,
        waiting=session.outbox.pending_frames,
    )


def _not_found(trace: MessageTrace | None, seq: int, display_name: str) -> NotFound:
    if trace is None or trace.head == 0:
        return NotFound(f"No messages of {display_name} are stored.")
    if seq > trace.head:
        return NotFound(f"{display_name[:1].upper()}{display_name[1:]} has no message {seq}: the last is {trace.head}.")
    return NotFound(f"Message {seq} of {display_name} is no longer stored: the oldest is {trace.first_seq}.")
