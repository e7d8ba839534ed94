"""What a server allows: one object that everybody who has to know holds, so that a reload reaches them all."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gmessenger.chat.ratelimit import Limits
from gmessenger.chat.session import Session
from gmessenger.constants import RegistrationMode
from gmessenger.field_types import MAX_STATUS
from gmessenger.names import MAX_NAME


@dataclass(slots=True)
class Policy:
    """What this server allows. Sizes: text in characters, frame in bytes.

    Read a value when it is needed and keep no copy of it: `become` changes it while sessions live.
    """

    guests: bool = True
    broadcast: bool = True
    registration: RegistrationMode = "open"
    greeting: str = ""  # the operator's own words
    max_text: int = 16_384
    max_frame: int = 65_536
    max_seen_names: int = 10_000
    retention: float | None = None  # days
    account_quota: int = 0  # bytes of text kept of one account; 0 is no limit
    guest_quota: int = 0  # bytes of text kept of all guests together
    max_pending_characters: int = 1_048_576  # characters of one session that may be on their way to the disk
    store_timeout: float = 30.0  # seconds
    search_timeout: float = 1.0  # seconds after which a search ends with what it has found
    busy_retry_after: float = 1.0  # seconds after which a message to somebody busy may be tried again
    limits: Limits = Limits()

    def announced_limits(self, session: Session) -> dict[str, int]:
        """What is announced to a client: a guest's address is counted as well as its name, where it is."""
        sizes = {"frame": self.max_frame, "text": self.max_text, "name": MAX_NAME, "status": MAX_STATUS}
        bounds = self.limits.for_guests if session.network_buckets else self.limits
        return sizes | bounds.announced

    def update_from(self, other: Policy) -> None:
        """Allow what the other allows, from now on, to those who are here too."""
        for each in fields(other):
            setattr(self, each.name, getattr(other, each.name))
