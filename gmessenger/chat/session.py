"""A session: one live connection that has logged in."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal

from gevent.event import Event

from gmessenger.chat.outbox import Outbox
from gmessenger.chat.ratelimit import SenderBuckets
from gmessenger.chat.records import Account, Device
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.sync_state import SyncState
from gmessenger.constants import ONLINE
from gmessenger.errors import AccountsOnly
from gmessenger.lru_map import LruMap
from gmessenger.names import MAX_NAME, fold

MAX_CONTACTS: Final = 200
MAX_SAID: Final = 1000


class Session:
    """One connection that has logged in under `name`.

    `key`: the name folded.
    `protocol`: the protocol's name, for the log.
    `accepts_push`: push events may be sent; False for course clients, which are sent messages and responses only.
    `hears_itself`: what it sends is delivered to it as well, in its place in the conversation, with the message's id.
    `writes_to_itself`: so is what it sends to its own name. `accepts_signals`: it may be sent a `Signal`.
    `wants_status_at_once`: it is sent a status as soon as that is set, not together with others a second later.
    `is_unattended`: its client has connected by itself: its status counts only where the name has no other session.
    `account`, `device`: None for a guest.
    `acting`: the operator's account that it has proven to be with its password, and with whose rights it acts.
    `must_change_password`: it logged in with a one-time password, and may do nothing else before.
    `sync`: what the session was sent and has acknowledged.
    `pending_characters`: the size of its messages that were handed to the store and are not committed.
    `buckets`: the rate limit's state of the name, shared by all its sessions; `network_buckets`: a guest's network's.
    `token`: resumes a guest's session, or logs in an account's again without a password; empty once it was revoked.
    `answers_all`: messages without an id have a response, too; only of course clients.
    `public_key`: with which others can encrypt for it; only of course clients.
    `said`: of a guest, conversation and seq of its latest stored messages: only it may amend them.
    `former_rooms`: keys of the rooms that a guest was in on the node from which it has come, as far as that was known,
    and may join again; None if it has come from no other node.
    `status`, `status_since`: `online` or what the session set; Unix seconds of the login, or when it was set.
    `active_at`: when it has sent something last, or has logged in; Unix seconds.
    `note`: what it says about the status, or empty. `profile`: a guest's, as of `Account`.
    `on_change_made`: called without blocking with the event of each change in a room that the session makes, which all
    others there are sent; None for a protocol whose responses say what was changed.
    """

    __slots__ = (
        "_contacts",
        "_progress",
        "accepts_push",
        "accepts_signals",
        "account",
        "acting",
        "active_at",
        "address",
        "answers_all",
        "buckets",
        "device",
        "former_rooms",
        "hears_itself",
        "is_unattended",
        "key",
        "must_change_password",
        "name",
        "network_buckets",
        "note",
        "on_change_made",
        "outbox",
        "pending_characters",
        "profile",
        "protocol",
        "public_key",
        "said",
        "status",
        "status_since",
        "sync",
        "token",
        "wants_status_at_once",
        "writes_to_itself",
    )

    def __init__(self, name: str, outbox: Outbox, *, protocol: str, accepts_push: bool, address: str) -> None:
        self.name = name
        self.key = fold(name)
        self.outbox = outbox
        self.protocol = protocol
        self.accepts_push = accepts_push
        self.address = address
        self.account: Account | None = None
        self.device: Device | None = None
        self.acting: Account | None = None
        self.hears_itself = False
        self.is_unattended = False
        self.writes_to_itself = False
        self.accepts_signals = False
        self.wants_status_at_once = False
        self.must_change_password = False
        self.sync = SyncState()
        self.pending_characters = 0
        self.buckets = SenderBuckets()
        self.network_buckets: Sequence[tuple[SenderBuckets, int]] = ()
        self.status_since = self.active_at = 0.0
        self._progress: Event | None = None
        self.said: deque[tuple[str, int]] | None = None
        self.token = secrets.token_urlsafe(24)
        self.status = ONLINE
        self.former_rooms: frozenset[str] | None = None
        self.answers_all = False
        self.public_key = ""
        self.note = ""
        self.profile = ""
        self.on_change_made: Callable[[RoomEvent], None] | None = None
        self._contacts: LruMap[str, str] | None = None  # only course clients have any

    def __repr__(self) -> str:
        return f"<Session {self.name} {self.address}>"

    @property
    def kind(self) -> Literal["guest", "account"]:
        return "guest" if self.account is None else "account"

    @property
    def role(self) -> str:
        """Empty, or `operator`."""
        account = self.authority
        return account.role if account is not None else ""

    @property
    def authority(self) -> Account | None:
        """The account whose rights the session has on the server: the one that it acts as, or its own."""
        return self.acting or self.account

    @property
    def account_id(self) -> int | None:
        return self.account.id if self.account is not None else None

    @property
    def device_id(self) -> int | None:
        return self.device.id if self.device is not None else None

    @property
    def generation(self) -> int:
        """The generation of the account with which the session logged in, or that it made by a new password."""
        return self.device.generation if self.device is not None else 0

    @property
    def contacts(self) -> list[str]:
        return list(self._contacts.values()) if self._contacts is not None else []

    def require_account(self) -> Account:
        """Return the session's account. Raises `AccountsOnly` for a guest."""
        if self.account is None:
            raise AccountsOnly
        return self.account

    def hears_itself_in(self, to_key: str) -> bool:
        """Return whether its messages to a folded name are delivered to itself too; `to_key` is empty for a room."""
        return self.hears_itself or (self.writes_to_itself and to_key == self.key)

    def bind_account(self, account: Account) -> None:
        """Make it a session of an account. Nothing is sent to it live until it has caught up."""
        self.account = account
        self.sync.require_all()

    def bind_device(self, device: Device) -> None:
        """Bind the account's session to a device, which has acknowledged up to its cursors."""
        self.device = device
        self.must_change_password = device.password_until is not None
        self.sync.load_cursors(device.cursors)

    def outlive_password_change(self, generation: int) -> None:
        """Go on after a change of the account's password to this generation, as a session whose token is valid."""
        if self.device is not None:
            self.device.generation = max(self.device.generation, generation)
            self.device.password_until = None
        self.must_change_password = False

    def add_pending(self, size: int) -> None:
        """Record that messages of this size, in characters, were handed to the store."""
        self.pending_characters += size
        self.sync.expect_flush()

    def release_pending(self, size: int) -> None:
        """Record that as much was committed, or was not stored."""
        self.pending_characters -= size
        if self._progress is not None:
            self._progress.set()

    def wait_for_store(self, max_pending: int, timeout: float) -> bool:
        """Block until at most `max_pending` characters are pending.

        Returns False after `timeout` seconds without progress. Called from the session's own greenlet.
        """
        while self.pending_characters > max_pending:
            self._progress = Event()
            if not self._progress.wait(timeout):
                return False
        self._progress = None
        return True

    def note_said(self, conversation: str, seq: int) -> None:
        """Remember a stored message of a guest; beyond `MAX_SAID` the oldest is forgotten."""
        if self.said is None:
            self.said = deque(maxlen=MAX_SAID)
        self.said.append((conversation, seq))

    def has_said(self, conversation: str, seq: int) -> bool:
        """Return whether this session said a message while it was a guest's."""
        return self.said is not None and (conversation, seq) in self.said

    def forget_former_room(self, room: str) -> None:
        """Forget that a guest was in a room on another node: it has left it, or was removed."""
        if self.former_rooms is not None:
            self.former_rooms -= {room}

    def add_contact(self, name: str) -> None:
        """Add a contact for as long as the session lasts; beyond MAX_CONTACTS the oldest is dropped."""
        if len(name) <= MAX_NAME:
            if self._contacts is None:
                self._contacts = LruMap(MAX_CONTACTS)
            self._contacts[fold(name)] = name

    def remove_contact(self, name: str) -> None:
        if self._contacts is not None:
            self._contacts.pop(fold(name))
