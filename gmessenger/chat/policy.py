"""The policy: what a server allows, in one object that all services share, so that a reload reaches them all."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gmessenger.chat.ratelimit import Limits
from gmessenger.chat.session import Session
from gmessenger.constants import RegistrationMode
from gmessenger.field_types import MAX_STATUS
from gmessenger.names import MAX_NAME
from gmessenger.room_rules import OPEN_ROOM, RoomRules


@dataclass(slots=True)
class Policy:
    """What the server allows. Texts are measured in characters, frames in bytes.

    Read a value each time it is needed and keep no copy: `update_from` changes it while sessions live.
    """

    guests: bool = True
    broadcast: bool = True
    guest_rooms: bool = False  # whether guests may create rooms, which are deleted when the last user leaves
    guest_shut_out: float = 3600.0  # seconds for which the network of a guest that is removed from a room is kept out
    registration: RegistrationMode = "open"
    greeting: str = ""  # the operator's; what is stored is added to it
    max_text: int = 16_384
    max_frame: int = 65_536
    max_recent_names: int = 10_000
    token_days: float = 90.0  # days after its last use for which a token is valid; 0 is for good
    announced_retention: float | None = None  # days; the greeting tells it
    account_quota: int = 0  # bytes of text kept of one account; 0 is no limit
    guest_quota: int = 0  # bytes of text kept of all guests together
    max_pending_characters: int = 1_048_576  # characters of one session in the store's queue
    store_timeout: float = 30.0  # seconds
    edit_for: float = 86_400.0  # seconds in which a message may be edited; 0 is never
    max_file: int = 0  # bytes of a file that is sent; 0: there is no place for files
    files_of_one: int = 2**30  # bytes of files kept of one account
    files_of_all: int = 20 * 2**30  # bytes of files kept of all accounts together
    web_url: str = ""  # the beginning of URLs at which this server is reached by HTTP, as far as it is known
    search_timeout: float = 1.0  # seconds after which a search returns what it has found
    busy_retry_after: float = 1.0  # seconds after which to retry a message to a busy recipient
    limits: Limits = Limits()
    new_room_rules: RoomRules = OPEN_ROOM

    def announced_limits(self, session: Session) -> dict[str, int]:
        """Return the limits that a client is told at login, by their names on the wire."""
        sizes = {"frame": self.max_frame, "text": self.max_text, "name": MAX_NAME, "status": MAX_STATUS}
        if self.takes_files:
            sizes["file"] = self.max_file
        limits = self.limits.for_guests if session.network_buckets else self.limits
        return sizes | limits.announced

    @property
    def takes_files(self) -> bool:
        """Whether files can be sent, and their URLs be told to people."""
        return self.max_file > 0 and self.web_url != ""

    def update_from(self, other: Policy) -> None:
        """Take over the values of another policy; they hold for present sessions too."""
        for field in fields(other):
            setattr(self, field.name, getattr(other, field.name))
