"""The records that pass between the chat and its store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import OPEN_ROOM, RoomRules

MAX_PAGE_CHARACTERS: Final = 262_144
"""Characters of text after which a page ends: its size is bounded, however long the messages are."""


MAX_DEVICES: Final = 20  # per account; the least recently used one is dropped


class Account(Struct):
    """A registered name, with a password unless it is a hook.

    `key`: the name folded. `role`: empty or `operator`.
    `generation`: counts changes of the password: sessions that logged in with an earlier password are ended.
    `settings`: as `account_settings.encode_settings` makes them; empty for the defaults.
    `is_bot`: it is a hook, which cannot log in. `profile`: as `profiles.encode_profile` makes it.
    """

    id: int
    key: str
    name: str
    disabled: bool = False
    role: str = ""
    generation: int = 0
    settings: str = ""
    is_bot: bool = False
    profile: str = ""


class Device(Struct):
    """A device of an account.

    `cursors`: by conversation, the last seq that it has acknowledged.
    `evicted`: the ids of devices that were deleted to make room for it. `login_count`: where the store counts logins.
    `generation`: that of the account when the session began, or when it changed the password itself.
    `password_until`: when the account's one-time password expires, in Unix seconds; None if it has none.
    """

    id: int
    name: str
    cursors: dict[str, int]
    evicted: Sequence[int] = ()
    login_count: int = 0
    generation: int = 0
    password_until: float | None = None


class DeviceInfo(Struct):
    """A device that is logged in, as it has a token, or logs in by its certificate.

    `used`: when a session on it began or ended last, in Unix seconds. `certificate`: its fingerprint; or empty.
    `login_count`: where the store counts logins.
    """

    id: int
    name: str
    used: float
    certificate: str = ""
    login_count: int = 0


class DeviceLogin(Struct):
    """A session's login: the name of the device, and the token that resumes it, of which the store keeps a hash.

    `live_devices`: the ids of the account's devices that have a session now.
    `free_at`: of a device that was selected as it had no session, how many logins the store had counted then, 0 where
    it was not logged in; None for any other.
    """

    device: str
    token: str
    live_devices: Sequence[int] = ()
    free_at: int | None = None


class DeviceTaken(Exception):
    """Another node has logged in on a device since it was selected."""


class Credential(Struct):
    """Proof of a login: the hash of the given password, or a token or a certificate's fingerprint.

    `used_after`: the earliest valid time of their last use.
    """

    password_hash: str | None = None
    token: str | None = None
    certificate: str | None = None
    used_after: float = 0.0


Absence: TypeAlias = tuple[int, int]
"""First and last seq of the messages of a room that an account may not read: it was no member then."""


class ReadRange(Struct):
    """What an account may read of a conversation: everything from `visible_from` on but its `absences`, ascending.

    `start`: the first seq that its devices are sent, unless they have acknowledged more: in a room, of what was said
    since it has joined.
    """

    visible_from: int
    start: int
    absences: list[Absence] = []


EVERYTHING: Final = ReadRange(1, 1)
"""All of a conversation, for those who read it for the service."""


class InviteInfo(Struct):
    """A code with which `uses` more accounts may be registered, without the code itself.

    `id`: tells it from others. `by`: who made it. `created`, `expires`: Unix seconds; None: it does not expire.
    """

    id: str
    by: str
    created: float
    expires: float | None
    uses: int


class RoomRecord(Struct):
    """A room as it is stored.

    `members`: by account id, the first seq that the member's devices are sent (`ReadRange.start`). `roles`: by account
    id, those that are higher than `member`. `first_seq`: the oldest seq that is stored. `id`: tells it from earlier
    rooms of its name. `passing`: a guest has made it, and it is deleted as soon as it is empty. `topic_by`, `topic_at`:
    the name that set the topic, and when, in Unix seconds; empty and None where no topic was set, or before that was
    stored. `created`: when the room was made, in Unix seconds; None where that was before it was stored. `profile`: as
    of `Account`.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int
    first_seq: int
    members: dict[int, int]
    id: int = 0
    rules: RoomRules = OPEN_ROOM
    roles: dict[int, RoomRole] = field(default_factory=dict)
    passing: bool = False
    topic_by: str = ""
    topic_at: float | None = None
    created: float | None = None
    profile: str = ""


MAX_HOOKS: Final = 10  # of a room
MAX_ALERTS: Final = 10_000  # of a hook that are remembered
ALERT_TTL: Final = 30 * 86_400.0  # seconds
HOOK_DEVICE: Final = "hook"
"""The name of a hook's only device; ids of messages are unique for each device."""
HOOK_ROLE: Final[RoomRole] = "speaker"
"""The role that a hook has in its room at first: it may write where the room is moderated."""


class Hook(Struct):
    """An account by which another program posts to one room, without the secret in its URL.

    `account`, `device`: its ids. `room`: the key of its room. `creator`: the account that has made it, and has to be an
    owner of the room; None for one that an operator has made. `by`: the name of who has. `created`, `used`: Unix
    seconds.
    """

    account: int
    name: str
    room: str
    device: int
    creator: int | None
    by: str
    created: float
    used: float


AmendmentKind: TypeAlias = Literal["edit", "erase", "react", "unreact"]
REMOVES_TEXT: Final = frozenset({"edit", "erase"})
"""Amendments that change the text of the message that they are about, and of which no text is kept themselves."""


class About(Struct, gc=False, omit_defaults=True):
    """That a message is about the one with `seq` in its conversation: a reply, or an amendment.

    `what`: empty for a reply, else an `AmendmentKind`.

    Of an amendment, what the store has to know to allow it. `is_own`: a guest has said that message in its present
    session. `may_moderate`: the sender may erase what others said. `edit_for`: seconds in which one may edit a message.
    `by`: who erases, where that is not the sender.
    """

    seq: int
    what: str = ""
    is_own: bool = False
    may_moderate: bool = False
    edit_for: float = 0.0
    by: str = ""


class FileInfo(Struct, gc=False, omit_defaults=True):
    """A file as a message has it. `size`: in bytes. `width`, `height`: of a picture, in pixels."""

    id: str
    name: str
    type: str
    size: int
    width: int | None = None
    height: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is such a file: of one that is gone, or another account's, there is the id only."""
        return bool(self.name)


class StoredFile(Struct):
    """A file that an account has uploaded.

    `digest`: of its content, in hexadecimal. `is_sent`: whether a message has it. `time`: of the upload, Unix seconds.
    """

    info: FileInfo
    digest: str
    account: int
    time: float
    is_sent: bool = False


class FileUsage(Struct):
    """How many files are kept, of an account or of all, and the bytes that count for them."""

    count: int = 0
    size: int = 0


class PushSubscription(Struct, frozen=True):
    """Where push messages for a device are sent, and the keys with which they are encrypted, as the browser made them.

    `endpoint`: the URL, which is a secret. `p256dh`, `auth`: in base64url.
    """

    endpoint: str
    p256dh: str
    auth: str


class Unread(Struct):
    """Up to where an account has read a conversation, and how many messages of others it has not, up to a limit.

    `received_seq`: up to where one of its devices has acknowledged it.
    """

    read_seq: int
    count: int
    received_seq: int


UPLOAD_TTL: Final = 86_400.0  # seconds after which a file that no message has got is dropped
FILE_BLOCK: Final = 4096
"""Bytes that a file counts at least, and a multiple of which it counts: many small files take room, too."""


class NewMessage(Struct, gc=False, omit_defaults=True):
    """A message to be stored.

    `conversation`: a room's key, or the keys of both names in order, with a space between. Those of the two that are
    accounts when it is stored may read it.
    `sender`, `to`: names as shown. `time`: Unix seconds. `account`, `device`: ids of the sender's, if it has any.
    `id`: the sender's own; a message that is sent again from a device with the same id is stored once.
    `kind`: empty, `action` or `notice`. `about`: set for a reply and for an amendment. `file`: one that the account has
    uploaded, and no message has got yet.
    `needs_membership`: the sender may write because it is a member of the room. This node may not know yet that another
    node has removed it, so a store that several nodes share checks the membership again.
    """

    conversation: str
    sender: str
    to: str
    text: str
    time: float
    account: int | None = None
    device: int | None = None
    id: str | None = None
    kind: str = ""
    about: About | None = None
    file: FileInfo | None = None
    needs_membership: bool = False


class Reaction(Struct):
    """A reaction to a message: its text, the names of the first who reacted so, and how many there are."""

    text: str
    names: list[str] = field(name="from")
    count: int = field(name="n")


class StoredMessage(Struct):
    """A message as it is stored. If it was `erased`, its text is empty.

    `about`: the seq of the message that it is about; `what`: empty, or what it did to that. The text of an edit is the
    one that the edited message has now.
    `edited`, `erased_at`: Unix seconds of the last edit, and of the erasure. `erased_by`: the name that erased it;
    of an erase, who did it, where that is not its sender.
    """

    conversation: str
    seq: int
    sender: str
    to: str
    text: str
    time: float
    device: int | None = None
    id: str | None = None
    erased: bool = False
    kind: str = ""
    about: int | None = None
    what: str = ""
    edited: float | None = None
    erased_by: str | None = None
    erased_at: float | None = None
    reactions: list[Reaction] = []
    file: FileInfo | None = None

    @property
    def by(self) -> str:
        """Of an erase, who did it, where that is not its sender; else empty."""
        return (self.erased_by or "") if self.what == "erase" else ""


class ConversationRow(Struct):
    """A conversation of an account, in a list by `key`, the folded name of the room or the other end.

    `target`: that name as shown. `seq`: the newest that the account may read, 0 if there is none. `first_seq`: the
    oldest. `read_seq`: up to where it has read. `time`: of the newest; None if that was erased.
    `quiet`: how many of the unread are edits, erases or reactions; at most a thousand are counted.
    """

    key: str
    target: str
    seq: int
    first_seq: int
    read_seq: int
    time: float | None
    quiet: int = 0


class Sanction(Struct):
    """What an operator has imposed on a name, a network or a room.

    `target`: the folded name, or the network in CIDR notation. `by`: the operator's name. `since`, `until`: Unix
    seconds; without `until` it does not expire.
    """

    kind: Literal["name", "network", "mute", "close"]
    target: str
    by: str
    reason: str
    since: float
    until: float | None = None


class MessagePage(Struct):
    """Messages of one conversation, oldest first.

    `more`: there are further ones. `first_seq`: the oldest seq that is stored and may be read. `absences`: those after
    it, of a page of the history.
    """

    messages: list[StoredMessage]
    more: bool
    first_seq: int = 1
    absences: list[Absence] = []


class SearchResult(Struct):
    """The messages that a search has found, newest first.

    `more`: there are more than were asked for. `incomplete`: the timeout ended the search, or not all is indexed yet.
    """

    messages: list[StoredMessage]
    more: bool = False
    incomplete: bool = False


class ExportedMessage(Struct):
    """A message of an export, and its position among all stored ones, oldest first: the next page begins after it."""

    position: int
    message: StoredMessage


class SentInfo(Struct):
    """A stored message without its text. `size`: of the text, in characters. `device`: the name of the sender's."""

    sender: str
    to: str
    time: float
    size: int
    erased: bool
    device_id: int | None
    device: str | None
    id: str | None
    kind: str = ""
    about: int | None = None
    what: str = ""
    edited: float | None = None
    erased_by: str | None = None
    erased_at: float | None = None


class DeviceCursor(Struct):
    """A device, and the last seq of a conversation that it has acknowledged."""

    id: int
    name: str
    cursor: int


class ReaderInfo(Struct):
    """An account that may read a conversation from `visible_from` on, and has read it up to `read_seq`.

    `is_absent`: it may not read the message in question, which was sent while it was not a member.
    """

    account_id: int
    visible_from: int
    read_seq: int
    devices: list[DeviceCursor]
    is_absent: bool = False


class MessageTrace(Struct):
    """What the store knows of one message and its readers.

    `first_seq`, `head`: the seqs between which the conversation is stored. `sent`: None if the message is not there.
    """

    first_seq: int
    head: int
    sent: SentInfo | None
    readers: list[ReaderInfo]
