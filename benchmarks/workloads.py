"""The workloads: number of connections, who writes to whom, messages in flight. One row each in WORKLOADS.

python -m benchmarks.workloads            # prints the table
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.protocols import TEXT, Message, Steps, WireProtocol, word_texts

SPEAKERS: Final = 10
"""Members of a room who write; all members read."""
IDLE: Final = 5000


@dataclass(frozen=True)
class Workload:
    """A workload: `window` messages in flight per pair or room, or `rate` messages a second in all."""

    name: str
    title: str
    shape: Literal["pairs", "mixed", "room", "idle"]
    size: int
    window: int = 0
    rate: float = 0.0
    stored: bool = False
    words: bool = False
    """Texts of words in place of one long token, for what a search index costs."""
    tls: bool = False
    """The generator's connections go through a tunnel, which speaks TLS with the server."""
    seconds: float = 1.0
    """The duration, as a multiple of `--seconds`."""

    def plan(self, protocol: WireProtocol) -> str:
        """Return the plan for the load generator; see load.c."""
        lines = {"pairs": self._pairs, "mixed": self._mixed, "room": self._room, "idle": self._idle}[self.shape](
            protocol
        )
        return "\n".join([f"concurrent {protocol.concurrent_logins}", *lines, ""])

    def _pairs(self, protocol: WireProtocol) -> Iterator[str]:
        prefix = "" if self.stored else "g"  # names without it are accounts, where there are any
        for number in range(self.size):
            one, other = f"{prefix}a{number}", f"{prefix}b{number}"
            yield "group 1"
            yield from connection(protocol, protocol.login(other) + protocol.listen(other))
            if self.stored and (acknowledgement := protocol.acknowledgement(one)):
                yield f"acknowledge {acknowledgement.hex()}"
            yield from connection(protocol, protocol.login(one))
            for text in word_texts(number) if self.words else [TEXT]:
                yield from writer(protocol.message(other, one, text), protocol.answer)

    def _mixed(self, protocol: WireProtocol) -> Iterator[str]:
        """Have each of some writers write to every one of as many listeners in turn."""
        yield "group 1"
        listeners = [f"gb{number}" for number in range(self.size)]
        for name in listeners:
            yield from connection(protocol, protocol.login(name) + protocol.listen(name))
        for number in range(self.size):
            yield from connection(protocol, protocol.login(f"ga{number}"))
            for name in listeners[number:] + listeners[:number]:
                yield from writer(protocol.message(name, f"ga{number}"), protocol.answer)

    def _room(self, protocol: WireProtocol) -> Iterator[str]:
        yield f"group {self.size if protocol.echoes_to_sender else self.size - 1}"
        listeners = self.size - 1 if protocol.separate_writers else self.size
        for number in range(listeners):
            name = f"m{number}"
            yield from connection(protocol, protocol.login(name) + protocol.join(name))
            if number < SPEAKERS and not protocol.separate_writers:
                yield from writer(protocol.room_message(name))
        for number in range(SPEAKERS if protocol.separate_writers else 0):
            yield from connection(protocol, protocol.login(f"w{number}"))
            yield from writer(protocol.room_message(f"w{number}"))

    def _idle(self, protocol: WireProtocol) -> Iterator[str]:
        for number in range(self.size):
            yield from connection(protocol, protocol.login(f"i{number}") + protocol.listen(f"i{number}"))


def connection(protocol: WireProtocol, steps: Steps) -> Iterator[str]:
    yield f"connect {protocol.kind}"
    for sent, awaited in steps:
        yield f"send {sent.hex()}"
        yield f"wait {awaited.hex()}"


def writer(message: Message, answer: bytes = b"") -> Iterator[str]:
    yield f"message {message.frame.hex()} {message.serial[0]} {message.serial[1]}"
    if answer:
        yield f"answer {answer.hex()}"


WORKLOADS: Final = (
    Workload("direct-10", "direct, 10 pairs, 200 in flight each", "pairs", 10, window=200),
    Workload("direct-100", "direct, 100 pairs, 200 in flight each", "pairs", 100, window=200),
    Workload("mixed-10", "mixed, each of 10 to 10 in turn, 2,000 in flight", "mixed", 10, window=2000),
    Workload("mixed-100", "mixed, each of 100 to 100 in turn, 2,000 in flight", "mixed", 100, window=2000),
    Workload("single-10", "direct, 10 pairs, one in flight each", "pairs", 10, window=1),
    Workload("single-100", "direct, 100 pairs, one in flight each", "pairs", 100, window=1),
    Workload("room-100", "room of 100, 100 in flight", "room", 100, window=100),
    Workload("room-1000", "room of 1,000, 100 in flight", "room", 1000, window=100),
    Workload("latency", "direct, 50 pairs, 2,000 messages a second", "pairs", 50, rate=2000, seconds=2),
    Workload("stored", "stored, 50 pairs, 200 in flight each", "pairs", 50, window=200, stored=True),
    Workload(
        "stored-words",
        "stored, 50 pairs, 200 in flight each, texts of words",
        "pairs",
        50,
        window=200,
        stored=True,
        words=True,
    ),
    Workload("stored-single", "stored, 10 pairs, one in flight each", "pairs", 10, window=1, stored=True),
    Workload("tls-10", "TLS, direct, 10 pairs, 50 in flight each", "pairs", 10, window=50, tls=True),
    Workload("tls-single-10", "TLS, direct, 10 pairs, one in flight each", "pairs", 10, window=1, tls=True),
    Workload("idle", f"{IDLE:,} connections at rest", "idle", IDLE),
)

if __name__ == "__main__":
    for work in WORKLOADS:
        print(f"{work.name:<12} {work.title}")
