"""What a server allows: the operator's decisions, as the messenger knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gmessenger.chat.entrance import Registration
from gmessenger.chat.names import LONGEST_NAME

LONGEST_STATUS: Final = 32


@dataclass(frozen=True, slots=True)
class Policy:
    """What this server allows. Sizes: text in characters, frame in bytes."""

    guests: bool = True
    broadcast: bool = True
    registration: Registration = "open"
    max_text: int = 16_384
    max_frame: int = 65_536
    names_remembered: int = 10_000
    retention: float | None = None  # days
    unsettled: int = 1_048_576  # characters of one session that may be on their way to the disk
    store_timeout: float = 30.0  # seconds
    busy_pause: float = 1.0  # seconds after which a message to somebody busy may be tried again

    @property
    def limits(self) -> dict[str, int]:
        return {"frame": self.max_frame, "text": self.max_text, "name": LONGEST_NAME, "status": LONGEST_STATUS}
