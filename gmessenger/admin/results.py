"""Results of administration methods, as structs."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct, ValidationError, convert, field

from gmessenger.chat.admin_results import DeviceTrace, SessionTrace
from gmessenger.errors import Unreachable

ResultT = TypeVar("ResultT")


def parse_result(result: Any, type_: type[ResultT]) -> ResultT:
    """Convert a result of `AdminClient.call`. Raises `Unreachable` if the server answered in another form."""
    try:
        return convert(result, type_)
    except ValidationError as error:
        raise Unreachable(f"The server answered in an unknown form, as another version might: {error}.") from error


class SanctionRow(Struct):
    """A ban or a mute. Exactly one of `user` and `address` is set; `until`: Unix time, None if permanent."""

    by: str
    user: str | None = None
    address: str | None = None
    until: float | None = None
    reason: str = ""

    @property
    def target(self) -> str:
        return self.user or self.address or ""


class SanctionPage(Struct):
    """A page of bans or of mutes. `more`: another page follows."""

    more: bool
    bans: list[SanctionRow] = []
    mutes: list[SanctionRow] = []


class NewHook(Struct):
    """A hook that was just made. `url`: None where the server does not know its own address."""

    name: str
    room: str
    token: str
    url: str | None = None


class HookRow(Struct):
    """A hook. `since`, `used`: when it was made and used last, in Unix seconds; `inactive`: it may not post."""

    name: str
    room: str
    by: str
    since: float
    used: float
    inactive: bool = False


class ReaderTrace(Struct):
    """A reader of a traced message; a guest has a `session` and no devices."""

    name: str
    guest: bool
    devices: list[DeviceTrace]
    may_read: bool = True
    read: int = 0
    session: SessionTrace | None = None


class TraceReport(Struct):
    """The result of `trace`. `time`: Unix time; `size`: characters of the text."""

    conversation: str
    seq: int
    sender: str = field(name="from")
    to: str
    time: float
    device: str | None
    id: str | None
    size: int
    erased: bool
    readers: list[ReaderTrace]
    kind: str = ""
    about: int | None = None
    what: str = ""
    edited: float | None = None
    erased_by: str | None = None
    erased_at: float | None = None
