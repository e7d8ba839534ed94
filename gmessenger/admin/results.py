"""Results of administration methods, as structs."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct, ValidationError, convert, field

from gmessenger.errors import Unreachable

ResultT = TypeVar("ResultT")


def parse_result(result: Any, type_: type[ResultT]) -> ResultT:
    """Convert a result of `AdminClient.call`. Raises `Unreachable` if the server answered in another form."""
    try:
        return convert(result, type_)
    except ValidationError as error:
        raise Unreachable(f"The server answered in an unknown form, as another version might: {error}.") from error


class AccountRow(Struct):
    """An account, as `accounts` lists it. `here`: a session of it is logged in."""

    name: str
    disabled: bool
    role: str
    here: bool


class RoomRow(Struct):
    """A room, as `rooms` lists it. `seq`: of its latest message, 0 if it has none."""

    name: str
    topic: str
    creator: str | None
    members: int
    seq: int
    closed: bool


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


class SessionTrace(Struct):
    """The session of a reader. `waiting`: frames in its outbox."""

    handed_over: bool
    behind: bool
    waiting: int


class DeviceTrace(Struct):
    """A device of a reader; `session` is None if it is not connected."""

    name: str
    sender: bool
    acknowledged: bool
    session: SessionTrace | None


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


class Quantiles(Struct):
    """Quantiles of recent durations, in seconds."""

    p50: float
    p99: float
    count: int = 0


class StoreReport(Struct):
    """The store in a status report. `bytes`: its size, None if it is unknown; `failed`: commits."""

    url: str
    identity: str
    failed: int
    bytes: int | None


class ClusterReport(Struct):
    """The cluster in a status report.

    `bus`: whether it is connected, None if there is none; `bus_for`: seconds in this state; `filled`: messages read
    from the store because the bus did not deliver them.
    """

    bus: bool | None
    bus_for: float
    nodes: int
    names: int
    filled: int


class StatusReport(Struct):
    """The result of `status`. `uptime` is in seconds, `certificate` its expiry in Unix time.

    `connections`: rows of labels and, last, a count; `waiting` and `longest`: frames in all outboxes, and in one.
    """

    version: str
    pid: int
    port: int
    uptime: float
    draining: bool
    connections: list[list[str | int]]
    most_connections: int
    behind: int
    waiting: int
    longest: int
    store: StoreReport
    cluster: ClusterReport | None
    commits: Quantiles
    lag: Quantiles
    certificate: float | None
    failures: int
