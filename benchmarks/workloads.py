"""The kinds of work: how many connections, who writes to whom, how much at once. One row each in `WORKS`.

python -m benchmarks.workloads            # prints the table
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.protocols import Message, Speech, Steps

SPEAKERS: Final = 10
"""Members of a room who write; everybody in it listens."""
IDLE: Final = 5000


@dataclass(frozen=True)
class Work:
    """One kind. `window` messages of each pair, or of the room, are on their way; or `rate` a second in all."""

    name: str
    title: str
    shape: Literal["pairs", "room", "idle"]
    size: int
    window: int = 0
    rate: float = 0.0
    stored: bool = False
    seconds: float = 1.0
    """How long, as a multiple of `--seconds`."""

    def plan(self, speech: Speech) -> str:
        """What the load generator reads; see load.c."""
        lines = {"pairs": self._pairs, "room": self._room, "idle": self._idle}[self.shape](speech)
        return "\n".join([f"together {speech.together}", *lines, ""])

    def _pairs(self, speech: Speech) -> Iterator[str]:
        prefix = "" if self.stored else "g"  # the names without it are accounts where there are accounts
        for number in range(self.size):
            one, other = f"{prefix}a{number}", f"{prefix}b{number}"
            yield "group 1"
            yield from connection(speech, speech.login(other) + speech.listen(other))
            if self.stored and (acknowledgement := speech.acknowledgement(one)):
                yield f"acknowledge {acknowledgement.hex()}"
            yield from connection(speech, speech.login(one))
            yield from writer(speech.say(other, one), speech.answer)

    def _room(self, speech: Speech) -> Iterator[str]:
        yield f"group {self.size if speech.echoes else self.size - 1}"
        listeners = self.size - 1 if speech.apart else self.size
        for number in range(listeners):
            name = f"m{number}"
            yield from connection(speech, speech.login(name) + speech.join(name))
            if number < SPEAKERS and not speech.apart:
                yield from writer(speech.say_in_room(name))
        for number in range(SPEAKERS if speech.apart else 0):
            yield from connection(speech, speech.login(f"w{number}"))
            yield from writer(speech.say_in_room(f"w{number}"))

    def _idle(self, speech: Speech) -> Iterator[str]:
        for number in range(self.size):
            yield from connection(speech, speech.login(f"i{number}") + speech.listen(f"i{number}"))


def connection(speech: Speech, steps: Steps) -> Iterator[str]:
    yield f"connect {speech.kind}"
    for sent, awaited in steps:
        yield f"send {sent.hex()}"
        yield f"wait {awaited.hex()}"


def writer(message: Message, answer: bytes = b"") -> Iterator[str]:
    yield f"message {message.frame.hex()} {message.serial[0]} {message.serial[1]}"
    if answer:
        yield f"answer {answer.hex()}"


WORKS: Final = (
    Work("direct-10", "direct, 10 pairs, 200 in flight each", "pairs", 10, window=200),
    Work("direct-100", "direct, 100 pairs, 200 in flight each", "pairs", 100, window=200),
    Work("single-10", "direct, 10 pairs, one in flight each", "pairs", 10, window=1),
    Work("single-100", "direct, 100 pairs, one in flight each", "pairs", 100, window=1),
    Work("room-100", "room of 100, 100 in flight", "room", 100, window=100),
    Work("room-1000", "room of 1,000, 100 in flight", "room", 1000, window=100),
    Work("latency", "direct, 50 pairs, 2,000 messages a second", "pairs", 50, rate=2000, seconds=2),
    Work("stored", "stored, 50 pairs, 200 in flight each", "pairs", 50, window=200, stored=True),
    Work("idle", f"{IDLE:,} connections at rest", "idle", IDLE),
)

if __name__ == "__main__":
    for work in WORKS:
        print(f"{work.name:<12} {work.title}")
