"""Results of administration methods that the server makes and `gmessenger-admin` reads.

The names of the fields, and their order, are those of the control socket.
"""

from __future__ import annotations

from msgspec import Struct, field

from gmessenger.chat.results import InvitationEntry, SanctionEntry
from gmessenger.room_rules import RuleValue


class AccountRow(Struct):
    """An account, as `accounts` lists it.

    `here`: a session of it is logged in; `seen`: when one began or ended last, in Unix seconds; None: never. `bot`: it
    is a hook, and was seen when it posted.
    """

    name: str
    disabled: bool
    role: str
    here: bool
    seen: float | None = None
    bot: bool = False


class InviteRow(Struct):
    """An invite that is still good, as `invites` lists it. `created`, `expires`: Unix seconds; None: for good."""

    id: str
    by: str
    created: float
    expires: float | None
    uses: int


class RoomRow(Struct):
    """A room, as `rooms` lists it. `seq`: of its latest message, 0 if it has none.

    `creator`: once that account is deleted, one of the owners; None if it has none, as an empty room. `rules`: those
    that differ from an open room's. `topic_by`, `topic_at`: who has set the topic, and when, in Unix seconds.
    """

    name: str
    topic: str
    creator: str | None
    members: int
    guests: int
    seq: int
    closed: bool
    owners: list[str] = []
    rules: dict[str, RuleValue] = {}
    topic_by: str = ""
    topic_at: float | None = None


class MaskEntry(Struct):
    """A mask in a list of a room, as `room_access.RoomMask`."""

    kind: str
    mask: str
    by: str
    since: float


class RoomDetails(Struct):
    """A room with all its rules, the roles higher than `member`, by name, and who is kept out, silent or invited.

    `masks`: by kind, the earliest first.
    """

    name: str
    topic: str
    members: int
    guests: int
    rules: dict[str, RuleValue]
    roles: dict[str, str]
    shut_outs: list[SanctionEntry] = []
    silences: list[SanctionEntry] = []
    invitations: list[InvitationEntry] = []
    masks: list[MaskEntry] = []


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


class AccountReader(Struct):
    """An account that a traced message is for. `read`: the seq up to which it has read the conversation."""

    name: str
    guest: bool
    may_read: bool
    read: int
    devices: list[DeviceTrace]


class GuestReader(Struct):
    """A guest that a traced message is for: nothing is known of one that has left."""

    name: str
    guest: bool
    devices: list[DeviceTrace]
    session: SessionTrace | None


class TraceResult(Struct):
    """Where a message went. `device`: the sender's; `size`: characters of the text."""

    conversation: str
    seq: int
    sender: str = field(name="from")
    to: str
    time: float  # Unix seconds
    device: str | None
    id: str | None
    size: int
    erased: bool
    readers: list[AccountReader | GuestReader]
    kind: str = ""
    about: int | None = None
    what: str = ""
    edited: float | None = None  # Unix seconds
    erased_by: str | None = None
    erased_at: float | None = None  # Unix seconds


class Quantiles(Struct):
    """Quantiles of recent durations, in seconds."""

    count: int
    p50: float
    p99: float


class StoreReport(Struct):
    """The store in a status report. `bytes`: its size, None if it is unknown; `failed`: commits."""

    url: str
    identity: str
    failed: int
    bytes: int | None


class FilesReport(Struct):
    """The files in a status report. `size`: what counts for the limits, and `limit` that of all; both in bytes."""

    folder: str
    count: int
    size: int
    limit: int
    uploads: int


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

    `registration`: who may register; `guests`: whether they may log in; `plain_passwords`: whether passwords are
    accepted from other machines without TLS; `tls_port`: None without TLS; `host`, `pin`: of the certificate, or empty;
    `web_url`: of the page, as people reach it, without a slash at the end; empty if there is none, or it is not known.
    `irc_port`, `irc_tls_port`: None without; `irc_websocket`: the URL of IRC over WebSocket, empty without.
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
    registration: str = ""
    guests: bool = True
    plain_passwords: bool = False
    tls_port: int | None = None
    host: str = ""
    pin: str = ""
    files: FilesReport | None = None
    web_url: str = ""
    irc_port: int | None = None
    irc_tls_port: int | None = None
    irc_websocket: str = ""
