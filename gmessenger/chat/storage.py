"""The interface of a store: what the chat requires of it. One test suite holds all stores to it.

1. A method that waits for the disk blocks the calling greenlet, never the loop. `append`, `append_all` and
   `acknowledge` do not block.
2. What a method has changed is on disk when it returns; a message, when its callback is called.
3. Any method may raise `StoreUnavailable`; what it was asked to change may or may not have been changed then.

Accounts and devices are given by id, names and rooms by key (folded), times in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from gmessenger.chat.records import (
    Account,
    ConversationRow,
    Credential,
    Device,
    DeviceInfo,
    DeviceLogin,
    ExportedMessage,
    FileUsage,
    Hook,
    InviteInfo,
    MessagePage,
    MessageTrace,
    NewMessage,
    PushSubscription,
    ReadRange,
    Sanction,
    SearchResult,
    StoredFile,
    Unread,
)
from gmessenger.chat.room_storage import RoomStorage
from gmessenger.chat.stats import StoreStats
from gmessenger.errors import WireError

AppendCallback: TypeAlias = Callable[[int, bool, WireError | None], None]
"""Called once with the seq of a message, whether it was stored before, and the error if it was not stored."""


class Store(RoomStorage, Protocol):
    """A store of accounts, rooms and messages."""

    @property
    def is_persistent(self) -> bool:
        """Whether it keeps anything after the process has ended."""

    @property
    def is_shared(self) -> bool:
        """Whether several servers may have it open at once; then it is a `SharedStore`."""

    @property
    def identity(self) -> str:
        """An id that no other store has, nor this one after a backup was restored. Seqs are valid with one identity."""

    @property
    def stats(self) -> StoreStats:
        """Its counters since it was opened."""

    erase_within: float
    """Seconds within which the text of an edited or erased message is out of the files that the store controls."""

    def close(self) -> None:
        """Finish what is under way, and close files and connections."""

    def check_writable(self) -> None:
        """Write something to the disk, to see whether that works. Raises `StoreUnavailable` if it does not."""

    def append(self, message: NewMessage, callback: AppendCallback) -> None:
        """Store a message with the next seq of its conversation. Callbacks are called in the order of `append`.

        A message with an id that its device has used in the conversation is stored once: the callback gets the earlier
        seq, or `IdReused` if the text differs (which is not known any more of a text that was changed since), or what
        it is about. To a room that does not exist (any more) it is not stored: the callback gets `NoSuchRoom`.

        A store that several nodes share does not store a message that `needs_membership` if its sender is not a member
        of the room at the time when the message is numbered: the callback gets `NotMember`.

        A reply or an amendment is stored only where its conversation has the message that it is about, else the
        callback gets `NoSuchMessage`. An amendment changes that message in the same transaction, unless `NotYours`,
        `TooLate` or `TooManyReactions` refuses it; of an edit and an erase the store keeps no text.

        A message with a file takes it, and the file goes with the message; the callback gets `NoSuchFile` where it is
        none of the sender's account that waits.
        """

    def append_all(self, messages: Sequence[tuple[NewMessage, AppendCallback]]) -> None:
        """Store all these messages as `append`, or none where it raises.

        (A list of one costs 0.9 µs more than `append`, a tenth of all that a stored message costs in the loop.)
        """

    def set_batch_listener(self, on_batch_completed: Callable[[], None]) -> None:
        """Have it called when callbacks of appended messages were called, before the loop runs anything else.

        Where it raises it is called again; each time it MUST have done a part of what there was. It must not block.
        Called once, by the messenger: what the callbacks collect can be delivered together.
        """

    def accounts(self) -> Sequence[Account]:
        """Return all accounts."""

    def create_account(
        self, key: str, name: str, password_hash: str, time: float, invite: str | None = None
    ) -> Account:
        """Create an account. What its name took part in before is not visible to it.

        Raises `NameTaken`, or `InvalidInvite` for an invite that does not exist, has expired or is used up.
        """

    def register(
        self,
        key: str,
        name: str,
        password_hash: str,
        time: float,
        login: DeviceLogin,
        rooms: Sequence[str] = (),
        invite: str | None = None,
    ) -> tuple[Account, Device]:
        """Create an account as `create_account`, a member of these rooms, and its first session: all or nothing."""

    def password_hash(self, account: int) -> str | None:
        """Return the hash of an account's password; None if there is no such account."""

    def has_one_time_password(self, account: int) -> bool:
        """Return whether an account has a one-time password, with which it may only choose another."""

    def set_password(self, account: int, password_hash: str, until: float | None = None) -> int:
        """Change the password hash, and revoke all tokens and certificates of the account. Returns its new generation.

        `until`: it is a one-time password, with which sessions begin before that time only. Raises `Upgrading` for one
        as `change_rules`.
        """

    def change_password(self, account: int, old_hash: str, new_hash: str, kept_token: str) -> int:
        """Change the password hash if it still is `old_hash`, and revoke all tokens but one. Returns the generation.

        A certificate goes with its device's token.

        Raises `WrongPassword` if another change came first.
        """

    def is_password_set_by(self, account: int, token: str) -> bool:
        """Return whether the account has its present password by `change_password` with this `kept_token`."""

    def set_disabled(self, account: int, disabled: bool) -> None:
        """Disable an account, or enable it again."""

    def set_role(self, account: int, role: str) -> None:
        """Set the role of an account: `operator`, or empty."""

    def change_settings(self, account: int, change: Callable[[str], str]) -> str:
        """Replace the settings of an account by what `change` makes of them, in one transaction; return the new ones.

        What `change` raises is raised, and nothing is changed. It may be called more than once.
        """

    def change_profile(self, account: int, change: Callable[[str], str]) -> str:
        """Replace the profile of an account as `change_settings` does; the old one is purged later."""

    def last_uses(self) -> Mapping[int, float]:
        """Return when a session of each account began or ended last; accounts that never logged in are left out."""

    def delete_account(self, account: int) -> Mapping[str, int]:
        """Delete an account, its devices, memberships and blocks. Its messages stay in their conversations.

        Returns the accounts that have become owners in its place, by room; see `leave`.
        """

    def add_invite(self, invite: str, time: float, by: str = "", expires: float | None = None, uses: int = 1) -> None:
        """Store an invite, with which so many accounts may be registered until it expires. Drops expired ones."""

    def invites(self) -> Sequence[InviteInfo]:
        """Return all invites, expired ones included, those made first first."""

    def remove_invite(self, id: str) -> bool:
        """Remove the invite with an id. Returns whether there was one."""

    def find_token(self, token: str, used_after: float = 0.0) -> tuple[int, str] | None:
        """Return the account id and the device name of a token, or None. One used before that time is not valid."""

    def devices(self, account: int, used_after: float = 0.0) -> Sequence[DeviceInfo]:
        """Return the devices of an account that have a token or a certificate, those used last first."""

    def drop_tokens(self, account: int, device: str | None = None, kept: int | None = None) -> Sequence[int]:
        """Revoke token and certificate of a device, or with None those of all but the device with the id `kept`.

        Returns the ids of these devices. They keep their cursors, and begin with a new token at their next login.
        """

    def note_use(self, devices: Mapping[int, float]) -> None:
        """Record when devices, and their tokens, were used last, by the device's id. Never moves a time back."""

    def begin_session(self, account: int, login: DeviceLogin, time: float, credential: Credential) -> Device:
        """Begin a session on a device, which is created if need be, with the account's furthest cursors.

        Of more than 20 devices the longest unused are evicted: those that are logged out first, those with a session
        last.
        Raises `PasswordRequired` if the credential is not valid any more, `WrongPassword` after a one-time password
        has expired. A shared store raises `DeviceTaken` if there was a login on the device since it was `free_at`.
        """

    def find_certificate(self, account: int, fingerprint: str, used_after: float = 0.0) -> str | None:
        """Return the name of the account's device with a certificate, or None where it has none that is valid.

        It is valid if it was added, or its device was used, after that time.
        """

    def accounts_with_certificate(self, fingerprint: str, used_after: float = 0.0) -> Sequence[tuple[int, bool]]:
        """Return accounts with a valid certificate, and whether they have presented it: two at most, those first."""

    def set_certificate(
        self,
        account: int,
        device: str,
        fingerprint: str,
        time: float,
        *,
        is_presented: bool,
        live_devices: Sequence[int] = (),
    ) -> Sequence[int]:
        """Store the certificate of a device, in place of the one it had; no other device of the account keeps it.

        The device is created if need be, and others are evicted for it, as by `begin_session`. Returns their ids.

        is_presented: whether the client that adds it has its key.

        Raises `AccountDeleted`, or `Upgrading` as `change_rules`.
        """

    def drop_certificate(self, account: int, device: str) -> bool:
        """Remove the certificate of a device. Returns whether it had one."""

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        """Move a device's cursor forward, never back. On disk with the next appended message, or after `flush`."""

    def flush(self) -> None:
        """Block until everything that was requested before is on disk."""

    def mark_read(self, account: int, conversation: str, seq: int) -> int:
        """Move an account's read position forward, at most to the head. Returns it; 0 if it may not read there."""

    def backlog(self, account: int) -> dict[str, int]:
        """Return the heads of all conversations that an account may read."""

    def page(self, account: int, conversation: str, after: int) -> MessagePage:
        """Return the messages after a seq that an account may read, oldest first, up to `MAX_PAGE_CHARACTERS`."""

    def read_range(self, account: int, conversation: str) -> ReadRange | None:
        """Return what an account may read of a conversation; None if it may read nothing there."""

    def conversations(self, account: int, after: str, limit: int) -> tuple[list[ConversationRow], bool]:
        """Return conversations of an account by key, those after `after`, and whether there are more.

        A room is listed by its own key, a direct conversation by the other end's, if there is anything to read in it.
        """

    def history(
        self,
        conversation: str,
        readable: ReadRange,
        before: int | None,
        after: int | None,
        limit: int,
        *,
        amendments: bool = False,
    ) -> MessagePage:
        """Return a page of what may be read of a conversation: before a seq, after one, or the latest.

        As each page, it ends where its texts reach `MAX_PAGE_CHARACTERS`. Without `amendments`, edits, erases and
        reactions are left out, and each message has its reactions; with them, it has what `page` has.
        """

    def seq_at(self, conversation: str, time: float) -> int:
        """Return the smallest seq of a message of a conversation from `time` or later; of none, the seq of the next.

        Messages are taken to be in the order of their times; of two from nodes whose clocks differ it may be either.
        """

    def search(self, account: int, text: str, conversation: str | None, limit: int, timeout: float) -> SearchResult:
        """Find messages that an account may read and that contain all words of `text`, newest first.

        After `timeout` seconds it returns what was found until then. Messages of others do not add to the cost.
        """

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        """Index messages that are not indexed, because an earlier release stored them. Returns about how many.

        Blocks until it is done, in slices, beside other work. `progress` is called with about how many are left. What
        another node is indexing is left to it.
        """

    def stored_bytes(self, account: int | None) -> int:
        """Return the bytes of text that are stored of an account, or, with None, of all guests together."""

    def trace(self, conversation: str, seq: int) -> MessageTrace | None:
        """Return what is known of one message; None if there is no such conversation."""

    def find_by_message_id(self, account: int, id: str) -> list[tuple[str, int]]:
        """Return conversation and seq of messages that an account's devices sent with an id, the latest 20."""

    def hooks(self, room: str | None = None) -> Sequence[Hook]:
        """Return all hooks, or those of a room, by the keys of their rooms and their own."""

    def find_hook(self, token: str) -> Hook | None:
        """Return the hook with the secret `token` in its URL."""

    def add_hook(
        self, key: str, name: str, room: str, token: str, time: float, by: str, creator: int | None = None
    ) -> Account:
        """Create an account without a password that is a hook of a room, and a member of it, all or nothing.

        `creator`: the account that does it, as an owner of the room; None for an operator. `delete_account` removes it,
        and so does `delete_room`; the account is never made the owner of a room. Of `token` a hash is kept.

        Raises `NoSuchRoom`, `NameTaken`, `NotOwner`, `TooManyHooks` beyond `MAX_HOOKS` of the room, or `Upgrading` as
        `change_rules`.
        """

    def find_alert(self, hook: int, fingerprints: Sequence[str], time: float) -> int | None:
        """Return the newest of the seqs that `note_alerts` was given for these alerts within `ALERT_TTL`, or None."""

    def note_alerts(self, hook: int, fingerprints: Sequence[str], seq: int, time: float) -> None:
        """Record with which message a hook, given by its account, has posted alerts; keep `MAX_ALERTS`, the newest."""

    def vapid_key(self, new: str) -> str:
        """Return the private key by which push services know this server; `new` becomes it if there was none."""

    def push_devices(self, account: int | None = None) -> Sequence[tuple[int, int]]:
        """Return account and device of each push subscription, of all or of one account."""

    def find_push_subscription(self, device: int, used_after: float = 0.0) -> PushSubscription | None:
        """Return the push subscription of a device, unless it has no token, or none that was used after that time."""

    def set_push_subscription(self, account: int, device: int, subscription: PushSubscription) -> None:
        """Store the push subscription of a device, in place of the one it had; no other device keeps the endpoint.

        It goes with the device, and when the device's token is revoked. Raises `NoSuchDevice`.
        """

    def drop_push_subscription(self, account: int, device: int, endpoint: str | None = None) -> None:
        """Remove the push subscription of a device; with `endpoint`, only if it has that one."""

    def unread(self, account: int, conversation: str, device: int) -> Unread | None:
        """Return the unread state of an account's conversation, with the last seq that one of its devices acknowledged.

        None if the account may not read the conversation.
        """

    @property
    def files_id(self) -> str:
        """What tells the files of this store from those of others, also after a backup of it was restored."""

    def add_file(self, file: StoredFile, of_one: int, of_all: int) -> None:
        """Add a file that no message has got yet; its content MUST be kept right afterwards.

        `of_one`, `of_all`: bytes that the account, and all, may have. Raises `FileQuotaExceeded` or `FilesFull`.
        """

    def find_file(self, id: str) -> StoredFile | None:
        """Return the file with an id."""

    def drop_file(self, id: str) -> None:
        """Remove a file, unless a message has got it."""

    def expire_files(self, before: float) -> int:
        """Remove files that were uploaded before a time, and that no message has got. Returns how many."""

    def file_usage(self, account: int | None = None) -> FileUsage:
        """Return what is kept of an account, or of all."""

    def used_contents(self, digests: Sequence[str]) -> set[str]:
        """Return those of these contents that a file has."""

    def dropped_contents(self, limit: int) -> list[tuple[int, str]]:
        """Return contents of files that were removed, the longest waiting first: numbers for `forget_dropped`.

        Another file may have the same content.
        """

    def forget_dropped(self, numbers: Sequence[int]) -> None:
        """Forget dropped contents, by their numbers: they are no longer on disk, or another file has them."""

    def finish_deletions(self) -> None:
        """Finish deletions that an earlier process did not complete."""

    def sanctions(self) -> Sequence[Sanction]:
        """Return all sanctions, expired ones included."""

    def add_sanction(self, sanction: Sanction) -> None:
        """Store a sanction, in place of one of its kind on the same target."""

    def remove_sanctions(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        """Remove the sanctions of a kind on these targets."""

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        """Return all blocks: the account's id, and the blocked name, folded and as shown."""

    def block(self, account: int, names: Mapping[str, str]) -> None:
        """Store that an account has blocked names, given as shown by key."""

    def unblock(self, account: int, key: str) -> None:
        """Remove a block."""

    def erase_messages(self, account: int) -> int:
        """Erase the texts of all messages of an account, and leave tombstones. Returns how many.

        It consists of many small changes: messages are stored meanwhile, and what was done before an error stays done.
        """

    def prune(self, before: float) -> int:
        """Delete messages older than a time; the first seqs of conversations move forward. Returns how many.

        It consists of many small changes, as `erase_messages`.
        """

    def purge(self) -> None:
        """Block until what was erased before this call is in none of the files that the store controls.

        See "Erasure" in docs/operations/retention.md. Raises `StoreUnavailable` if it takes too long, because something
        still reads the old data.
        """

    def find_fault(self) -> str:
        """Return why nothing can be stored although the disk works, such as files that were moved; empty if it can.

        Neither blocks nor logs.
        """

    def suggest_remedy(self) -> str:
        """Return what the operator can do about the fault, as a sentence."""

    def export_page(self, after: int, limit: int, account: int | None = None) -> tuple[list[ExportedMessage], bool]:
        """Return a page of all messages, or of those an account may read, oldest first, and whether there are more.

        `after`: the position of the last message of the page before.
        """

    def backup(self, file: str, fd: int | None = None) -> int:
        """Write a backup into a new file, readable by its owner only, beside other work. Returns its size in bytes.

        `fd`: an open, empty file to write into instead; `file` only names it in errors. Raises `FileError` if the file
        exists, cannot be written, or the store is in memory.
        """
