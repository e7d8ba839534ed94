"""Results that services return to a protocol: pages, counts and descriptions.

The names given by `field(name=…)`, and the order of the fields, are those of JIM's responses and of the control socket;
what is UNSET is left out there. `size` is what a result adds to the weight of its response in an outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from gmessenger.account_settings import AccountSettings
from gmessenger.chat.records import Absence, FileInfo, Reaction, StoredMessage
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import RuleValue
from gmessenger.urls import file_path

ENTRY_SIZE: Final = 96
"""What an entry of a list weighs besides the text of a message."""
ABSENCE_SIZE: Final = 24


class Result(Struct):
    """The base of all results."""

    @property
    def size(self) -> int:
        return 0


class Page(Result):
    """A result with a list, which a protocol shortens until its response fits a frame.

    Its fields are declared in each page, in the order of the response: the list, and `more`.
    """

    list_field: ClassVar[str]
    """The name of the field with the list."""

    @property
    def size(self) -> int:
        return ENTRY_SIZE * len(self)

    def __len__(self) -> int:
        return len(getattr(self, self.list_field))

    def keep(self, count: int) -> None:
        """Shorten the list to its first `count` entries; the next page begins after them."""
        setattr(self, self.list_field, getattr(self, self.list_field)[:count])
        setattr(self, "more", True)  # noqa: B010


class FileEntry(Struct, omit_defaults=True):
    """The file of a message in a page. `url`: its path on the server. `size`: in bytes."""

    url: str
    name: str
    type: str
    size: int
    width: int | None = None
    height: int | None = None


class MessageEntry(Struct, kw_only=True):
    """A stored message in a page.

    `target` is the conversation as it is shown to the session that asks, `position` its place in an export. `by`: as
    in `StoredMessage`.
    """

    sender: str = field(name="from")
    to: str
    time: float  # Unix seconds
    text: str = field(name="message")
    seq: int
    target: str | UnsetType = field(name="with", default=UNSET)
    position: int | UnsetType = field(name="place", default=UNSET)
    conversation: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    about: int | UnsetType = UNSET
    what: str | UnsetType = UNSET
    edited: float | UnsetType = UNSET  # Unix seconds
    reactions: list[Reaction] | UnsetType = UNSET
    file: FileEntry | UnsetType = UNSET
    by: str | UnsetType = UNSET

    @property
    def size(self) -> int:
        return ENTRY_SIZE + len(self.text) + (_reactions_size(self.reactions) if self.reactions else 0)


class ErasedEntry(Struct, kw_only=True):
    """What is left of an erased message in a page; `by` whom, and `at` what time in Unix seconds, if that is known."""

    seq: int
    erased: bool = True
    by: str | UnsetType = UNSET
    at: float | UnsetType = UNSET
    about: int | UnsetType = UNSET
    what: str | UnsetType = UNSET
    text: str = field(name="message", default="")
    target: str | UnsetType = field(name="with", default=UNSET)
    position: int | UnsetType = field(name="place", default=UNSET)
    conversation: str | UnsetType = UNSET

    @property
    def size(self) -> int:
        return ENTRY_SIZE


def _reactions_size(reactions: list[Reaction]) -> int:
    return sum(len(reaction.text) + sum(map(len, reaction.names)) + ENTRY_SIZE for reaction in reactions)


AnyMessageEntry: TypeAlias = MessageEntry | ErasedEntry


def message_entry(stored: StoredMessage, **extra: Any) -> AnyMessageEntry:
    """Return the entry of a stored message; `extra`: its `target`, `position` or `conversation`."""
    about: dict[str, Any] = {"about": _or_unset(stored.about), "what": stored.what or UNSET}
    if stored.erased:
        by, at = _or_unset(stored.erased_by), _or_unset(stored.erased_at)
        return ErasedEntry(seq=stored.seq, by=by, at=at, **about, **extra)
    return MessageEntry(
        sender=stored.sender,
        to=stored.to,
        time=stored.time,
        text=stored.text,
        seq=stored.seq,
        kind=stored.kind or UNSET,
        edited=_or_unset(stored.edited),
        reactions=stored.reactions or UNSET,
        file=file_entry(stored.file) if stored.file is not None else UNSET,
        by=stored.by or UNSET,
        **about,
        **extra,
    )


def file_entry(file: FileInfo) -> FileEntry:
    """Return a file as a message in a page or a response has it."""
    return FileEntry(file_path(file.id, file.name), file.name, file.type, file.size, file.width, file.height)


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value


class SentMessage(Result):
    """What the sender of a message with a file is told besides its seq: what the file is, as the server sees it."""

    seq: int
    file: FileEntry


class HistoryPage(Page):
    """A page of a conversation, oldest first, which is shortened at its beginning.

    `absences`: what may not be read of the conversation, because the account was not a member of the room then.
    """

    list_field = "messages"
    target: str = field(name="with")
    first_seq: int = field(name="first")
    messages: list[AnyMessageEntry]
    more: bool
    absences: list[Absence] | UnsetType = field(name="absent", default=UNSET)

    @property
    def size(self) -> int:
        return _messages_size(self.messages) + _absences_size(self.absences)

    def keep(self, count: int) -> None:
        """Shorten the page to its last `count` messages, which are the newest."""
        self.messages, self.more = self.messages[-count:], True


class ForwardHistoryPage(HistoryPage):
    """A page after a seq, oldest first, which is shortened at its end."""

    def keep(self, count: int) -> None:
        """Shorten the page to its first `count` messages."""
        self.messages, self.more = self.messages[:count], True


class SearchPage(Page):
    """What a search found, newest first. `incomplete`: it ended before everything was searched."""

    list_field = "messages"
    messages: list[AnyMessageEntry]
    more: bool
    incomplete: bool | UnsetType = UNSET

    @property
    def size(self) -> int:
        return _messages_size(self.messages)


class ExportPage(Page):
    """A page of all that an account may read, oldest first. `after` is where the next page begins."""

    list_field = "messages"
    messages: list[AnyMessageEntry]
    more: bool
    after: int

    @property
    def size(self) -> int:
        return _messages_size(self.messages)

    def keep(self, count: int) -> None:
        """Shorten the page to its first `count` messages; the next page begins after them."""
        super().keep(count)
        position = self.messages[-1].position
        assert position is not UNSET
        self.after = position


class DumpPage(Result):
    """A page of all stored messages, for the owner. `after`: of the next page; None at the end."""

    messages: list[AnyMessageEntry]
    after: int | None


def _absences_size(absences: list[Absence] | UnsetType) -> int:
    return 0 if absences is UNSET else ABSENCE_SIZE * len(absences)


def _messages_size(messages: list[AnyMessageEntry]) -> int:
    return sum(message.size for message in messages)


class ConversationEntry(Struct):
    """How far a session may read a conversation, and has read it."""

    target: str = field(name="with")
    seq: int
    first_seq: int = field(name="first")
    read_seq: int = field(name="read")
    time: float | UnsetType = UNSET  # of the newest, Unix seconds
    quiet: int | UnsetType = UNSET


class ConversationPage(Page):
    """A page of conversations, by name."""

    list_field = "conversations"
    conversations: list[ConversationEntry]
    more: bool


class UserEntry(Struct):
    """A user in a list; of a blocked name, neither status nor its note is shown.

    `role`: in the room, where it is not `member`. `bot`: it is a hook.
    """

    name: str = field(name="account_name")
    status: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    role: RoomRole | UnsetType = UNSET
    bot: bool | UnsetType = UNSET


class UserPage(Page):
    """A page of users, by name; of the members of a room, with its topic."""

    list_field = "users"
    users: list[UserEntry]
    more: bool
    topic: str | UnsetType = UNSET

    @property
    def size(self) -> int:
        return super().size + sum(len(user.note) for user in self.users if user.note is not UNSET)


class SharedRoom(Struct):
    """A room that both users are in."""

    name: str = field(name="room")


class Whois(Result):
    """A user as another one may see it. `since`: when it logged in or set its status, in Unix seconds."""

    user: UserEntry
    account: bool
    since: float | UnsetType
    rooms: list[SharedRoom]

    @property
    def size(self) -> int:
        return ENTRY_SIZE * (len(self.rooms) + 1)


class RoomEntry(Struct):
    """A room in the list of rooms. `members` is their number."""

    name: str = field(name="room")
    topic: str
    members: int
    closed: bool | UnsetType = UNSET


class RoomPage(Page):
    """A page of rooms, by name."""

    list_field = "rooms"
    rooms: list[RoomEntry]
    more: bool


class RoomState(Result):
    """A room as a member that joins or leaves it sees it. `seq` is that of its latest message.

    `first_seq`: of who joins, the first seq that may be read. `absences`: as in `HistoryPage`. `rules`: all of them, of
    who joins; `role`: its own, where that is not `member`.
    """

    name: str = field(name="room")
    members: list[str]
    seq: int
    topic: str
    first_seq: int | UnsetType = field(name="first", default=UNSET)
    absences: list[Absence] | UnsetType = field(name="absent", default=UNSET)
    rules: dict[str, RuleValue] | UnsetType = UNSET
    role: RoomRole | UnsetType = UNSET

    @property
    def size(self) -> int:
        return sum(map(len, self.members)) + _absences_size(self.absences)


class SettingsResult(Result):
    """The settings of an account."""

    settings: AccountSettings

    @property
    def size(self) -> int:
        return 512


class ProfileResult(Result):
    """The profile of a user or a room, with its name as shown."""

    name: str
    profile: dict[str, str]

    @property
    def size(self) -> int:
        return sum(len(key) + len(value) for key, value in self.profile.items())


class RulesResult(Result):
    """All rules of a room, by key."""

    rules: dict[str, RuleValue]


class Registration(Result, kw_only=True):
    """A guest has become an account; `token` is the secret of its session."""

    account: bool = True
    token: str = field(name="session")


class DeviceEntry(Struct):
    """A device of the account that asks. `here`: connected now, on any node; `this`: it is the one that asks."""

    name: str = field(name="device")
    used: float  # Unix seconds
    here: bool
    this: bool | UnsetType = UNSET
    certificate: str | UnsetType = UNSET


class DeviceList(Result):
    """The devices of an account that are logged in, those used last first."""

    devices: list[DeviceEntry]

    @property
    def size(self) -> int:
        return ENTRY_SIZE * len(self.devices)


class SessionCount(Result):
    """How many sessions an action concerned; `address`: the banned network, as it was understood."""

    sessions: int
    address: str | UnsetType = UNSET


class SanctionEntry(Struct, kw_only=True):
    """A ban or a mute. Exactly one of `user` and `address` is set; without `until` it has no end."""

    user: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    by: str
    since: float  # Unix seconds
    reason: str | UnsetType = UNSET
    until: float | UnsetType = UNSET  # Unix seconds


class BanPage(Page):
    """A page of bans of names and networks."""

    list_field = "bans"
    bans: list[SanctionEntry]
    more: bool


class ShutOutPage(Page):
    """A page of names that are kept out of a room."""

    list_field = "shut_outs"
    shut_outs: list[SanctionEntry]
    more: bool


class SilencePage(Page):
    """A page of names that may not write in a room."""

    list_field = "silences"
    silences: list[SanctionEntry]
    more: bool


class InvitationEntry(Struct):
    """A name that is invited to a room."""

    user: str
    by: str
    since: float  # Unix seconds


class InvitationPage(Page):
    """A page of names that are invited to a room."""

    list_field = "invitations"
    invitations: list[InvitationEntry]
    more: bool


class HookSecret(Result):
    """A hook that was just made, with its secret. `url`: where it is posted to, if this server has a web endpoint."""

    name: str
    room: str
    token: str
    url: str | UnsetType


class HookEntry(Struct):
    """A hook. `by`: who has made it. `since`, `used`: when it was made, and used last, in Unix seconds.

    `inactive`: it may not post, since it was removed from the room, or who has made it is no owner of that any more.
    """

    name: str
    room: str
    by: str
    since: float
    used: float
    inactive: bool | UnsetType = UNSET


class HookList(Result):
    """The hooks of a room, by name."""

    hooks: Sequence[HookEntry]

    @property
    def size(self) -> int:
        return 2 * ENTRY_SIZE * len(self.hooks)


class MutePage(Page):
    """A page of mutes."""

    list_field = "mutes"
    mutes: list[SanctionEntry]
    more: bool
