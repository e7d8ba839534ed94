"""Those who wait for a message to be kept are told, in their order, and everybody else has a turn between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.chat.contract import Done
from gmessenger.chat.tally import StoreTally
from gmessenger.errors import WireError
from gmessenger.turns import Turn

SETTLING: Final = 0.01
"""Seconds at a time that are spent on delivering what was committed. In a large room that is a few messages: with a
shorter turn every frame would be written by itself."""


class Outcome(Struct, gc=False):
    """What became of one post."""

    done: Done
    seq: int = 0
    duplicate: bool = False
    error: WireError | None = None


class Settling:
    """The part of every store that calls back. `failed` is told of a mistake in what it calls."""

    def __init__(self, failed: Callable[[str, BaseException], None] | None) -> None:
        self._failed = failed or (lambda what, failure: None)
        self.tally = StoreTally()
        self.settled_some: Callable[[], None] = lambda: None

    def find_fault(self) -> str:
        """Say why nothing can be stored although the disk works; a store without files has no such fault."""
        return ""

    def advise(self) -> str:
        """Say what the operator can do about it."""
        return ""

    def _settle(self, outcomes: Sequence[Outcome], began: float | None) -> None:
        """Call back. `began` is when the first of these was posted, None where they were refused."""
        turn = Turn(SETTLING)
        for outcome in outcomes:
            if turn.over:
                self._bring_together()
                turn.give_way()  # what was answered is written, and others have their turn
            try:
                outcome.done(outcome.seq, outcome.duplicate, outcome.error)
            except Exception as failure:  # the next one's message is on disk too, and must be delivered
                self._failed("delivery", failure)
        self._bring_together()
        if outcomes and began is not None:
            self.tally.batches.add(len(outcomes))
            self.tally.settling.add(max(0.0, time.time() - began), len(outcomes))

    def _bring_together(self) -> None:
        while True:
            try:
                return self.settled_some()
            except Exception as failure:  # the others' messages are on disk too, and must be delivered
                self._failed("delivery", failure)
