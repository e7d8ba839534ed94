"""What the messenger asks of a store.

A method that waits for the disk blocks the greenlet that calls it, never the loop. `append` and `acknowledge` do not
wait at all. Whatever a method changes is on disk when it returns (`append`: when `done` is called). Every method may
raise `StoreUnavailable`; what it was asked then may or may not have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from gmessenger.chat.records import (
    Account,
    ConversationRow,
    Credential,
    Device,
    DeviceLogin,
    ExportedMessage,
    MessagePage,
    MessageTrace,
    NewMessage,
    RoomRecord,
    Sanction,
    SearchResult,
)
from gmessenger.chat.stats import StoreStats
from gmessenger.errors import WireError

AppendCallback: TypeAlias = Callable[[int, bool, WireError | None], None]
"""Called once with the seq of a post, whether it had been kept before, and the error where it was not kept."""


class Store(Protocol):
    """The contract that every store fulfils, and one test suite holds them to."""

    @property
    def is_persistent(self) -> bool:
        """Whether anything is there after the process has ended."""

    @property
    def is_shared(self) -> bool:
        """Whether several servers may have it open at once: it is a `SharedStore` then."""

    @property
    def identity(self) -> str:
        """What tells this store from every other, and from itself after a backup was put in its place.

        Seqs of another store mean nothing here.
        """

    @property
    def stats(self) -> StoreStats:
        """What it has done since it was opened."""

    def close(self) -> None:
        """Finish what is under way and let go of the files."""

    def check_writable(self) -> None:
        """Write something and have it on disk. Raises `StoreUnavailable` where that cannot be done."""

    def append(self, message: NewMessage, callback: AppendCallback) -> None:
        """Keep a message under the next seq of its conversation; `done` is called in the order of `append`.

        The same id from the same device to the same conversation is kept once: `done` gets the seq it has, or
        `IdReused` where its text was another. What was said in a room that is not there (any more) is not kept: `done`
        gets `NoSuchRoom`.
        """

    def append_all(self, messages: Sequence[tuple[NewMessage, AppendCallback]]) -> None:
        """`append` all of them, or, where that raises, none."""

    def set_batch_listener(self, on_batch_completed: Callable[[], None]) -> None:
        """Have it called when callbacks of appended messages were called, before the loop runs anything else.

        Where it raises it is called again; each time it MUST have done a part of what there was. It must not block.
        Called once, by the messenger: what the callbacks collect can be delivered together.
        """

    def accounts(self) -> Sequence[Account]:
        """Every account."""

    def create_account(
        self, key: str, name: str, password_hash: str, time: float, invite: str | None = None
    ) -> Account:
        """A new account with this password hash; conversations its name took part in are closed to it up to now.

        Raises `NameTaken`, or `InvalidInvite` for an `invite` that is not (or no longer) good.
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
        """A new account, as `create_account`, that is a member of these rooms and has entered: all of it or nothing."""

    def password_hash(self, account: int) -> str | None:
        """The hash of an account's password; None where there is no such account."""

    def set_password(self, account: int, password_hash: str) -> None:
        """Change it; every token of the account stops working."""

    def set_disabled(self, account: int, disabled: bool) -> None:
        """Shut an account out, or let it in again."""

    def set_role(self, account: int, role: str) -> None:
        """Make an account an `operator`, or none with an empty role."""

    def delete_account(self, account: int) -> None:
        """Forget an account, its devices, memberships and blocks; its messages stay with those who got them."""

    def add_invite(self, invite: str, time: float) -> None:
        """Let whoever shows this invite register, once."""

    def find_token(self, token: str) -> tuple[int, str] | None:
        """Account id and device name that a token stands for."""

    def begin_session(self, account: int, login: DeviceLogin, time: float, credential: Credential) -> Device:
        """An account's session begins on a device, made if need be: a new one starts at the account's furthest cursors.

        Of more than 20 devices the longest unused are dropped, those that are `live` last. Raises `PasswordRequired`
        where the proof is good no more.
        """

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        """Move a device's cursor on (never back); on disk with what is appended later, or after `flush`."""

    def flush(self) -> None:
        """Wait until everything asked for before is on disk."""

    def mark_read(self, account: int, conversation: str, seq: int) -> int:
        """Move an account's read position on, at most to the head; says where it is, 0 where it takes no part."""

    def backlog(self, account: int) -> dict[str, int]:
        """The head of every conversation the account takes part in."""

    def page(self, account: int, conversation: str, after: int) -> MessagePage:
        """The messages after a seq that an account may read, oldest first, as many as fit `MAX_PAGE_CHARACTERS`."""

    def visible_from(self, account: int, conversation: str) -> int | None:
        """The first seq an account may read of a conversation; None where it takes no part in it."""

    def conversations(self, account: int, after: str, limit: int) -> tuple[list[ConversationRow], bool]:
        """What an account takes part in, by folded names behind `after`, and whether there is more.

        Rooms are under their own name, whatever was said there; others under the other end's, where there is anything
        to read.
        """

    def history(
        self, conversation: str, visible_from: int, before: int | None, after: int | None, limit: int
    ) -> MessagePage:
        """A page of what was said from `visible` on: before a seq, after one, or the latest.

        It, as every page, ends where its texts reach `MAX_PAGE_CHARACTERS`.
        """

    def search(self, account: int, text: str, conversation: str | None, limit: int, timeout: float) -> SearchResult:
        """Find messages that hold all words of `text`, newest first, where the account may read them.

        After `timeout` seconds it returns what was found until then. What others may read costs nothing.
        """

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        """Make findable what is not yet, because an earlier release stored it; returns how many messages, about.

        Blocks until it is done, in slices that hold up nobody; `progress` is called with how many are left, about. What
        another node is at is left to that one.
        """

    def stored_bytes(self, account: int | None) -> int:
        """How many bytes of text are kept of an account, or, with None, of all guests together."""

    def trace(self, conversation: str, seq: int) -> MessageTrace | None:
        """Where a message went; None where there is no such conversation."""

    def find_by_message_id(self, account: int, id: str) -> list[tuple[str, int]]:
        """Conversation and seq of what an account's devices sent under an id, newest first; at most 20."""

    def rooms(self) -> Sequence[RoomRecord]:
        """Every room with its members."""

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> RoomRecord:
        """A new room without members; where there is one of that key, that one."""

    def join(self, room: str, account: int) -> int:
        """Make an account a member from the next seq on, unless it is one; returns the last seq it may not read.

        Raises `NoSuchRoom`, or `AccountDeleted` where another node has deleted the account.
        """

    def leave(self, room: str, account: int, by: str = "") -> None:
        """A member is one no more. (`by`, here and below, is who did it, for those who are told on other nodes.)"""

    def set_topic(self, room: str, topic: str, by: str = "") -> None:
        """Change what the room is about."""

    def delete_room(self, room: str) -> None:
        """Forget a room and that it was closed at once, and what was said there before this returns, or later where
        the disk will not.
        """

    def finish_deletions(self) -> None:
        """Finish what an earlier process was asked to forget and did not come to."""

    def sanctions(self) -> Sequence[Sanction]:
        """Everything that operators have imposed, what is over included."""

    def add_sanction(self, sanction: Sanction) -> None:
        """Keep a sanction, in the place of one of its kind on the same target."""

    def remove_sanctions(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        """Keep the sanctions of a kind on these targets no more."""

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        """Which accounts do not want to hear from whom: account id, the name folded and as shown."""

    def block(self, account: int, names: Mapping[str, str]) -> None:
        """An account does not want to hear from these names any more, given as shown by their folded form."""

    def unblock(self, account: int, key: str) -> None:
        """An account wants to hear from a name again."""

    def erase_messages(self, account: int) -> int:
        """Erase the text of every message of an account; tombstones stay. Returns how many.

        Made in many small changes: what is said meanwhile is not held up, and what was done before an error stays so.
        """

    def prune(self, before: float) -> int:
        """Drop messages older than a time; each conversation's `first` moves on. Returns how many.

        Made in many small changes, as `forget`.
        """

    def purge(self) -> None:
        """Return when what was erased before this call is in none of the store's files any more, as far as the store
        has them in hand: see "Erasure" in docs/operations/retention.md.

        Raises `StoreUnavailable` where that takes too long, because something still reads what was there before.
        """

    def find_fault(self) -> str:
        """Say why nothing can be stored although the disk works: files that were moved away. Empty where all is well.

        Does not block; logs nothing.
        """

    def suggest_remedy(self) -> str:
        """Say what the operator can do about the fault, in a sentence."""

    def export_page(self, after: int, limit: int, account: int | None = None) -> tuple[list[ExportedMessage], bool]:
        """A page of all that is kept, or of all that an account may read, after a place, oldest first; and whether
        there is more.
        """

    def backup(self, file: str, fd: int | None = None) -> int:
        """Write all that is on disk now into a new file, for its owner only, while everything else goes on.

        With a `handle` it is an open and empty file that somebody else has made, who calls it `file`. Says how many
        bytes it has. Raises `FileError` where there is such a file, where it cannot be written, or where nothing is
        on disk.
        """
