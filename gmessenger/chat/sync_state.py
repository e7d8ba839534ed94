"""What one session was sent of each conversation, and what it has acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


class SyncState:
    """The delivery state of one session. Its fields are written in this module only; a test on the source holds that.

    What delivery promises, for a session of an account:

    1. Seq n is sent live only if everything before it was sent (`is_next`).
    2. What cannot be sent live is not skipped: the session falls behind, and catches up from the store.
    3. Nothing is sent twice: while the session catches up, nothing is sent live.
    4. Only what was sent is acknowledged, and no acknowledgement moves back.

    A guest has no history to catch up from. It is sent what comes live, and what does not fit its outbox is lost to it.

    Conversations are given by key. Nothing here blocks or yields. Where a caller yields between two calls, the
    conversation may have been forgotten meanwhile: see `is_pass_stale`.

    `catching_up`: the session is sent nothing live, because a catch-up runs or is about to.
    `ack_pending`: what the session acknowledged, or said, may not be on disk yet.
    """

    __slots__ = (
        "_acknowledged",
        "_delivered",
        "_is_dirty",
        "_is_gapless",
        "_starts",
        "ack_pending",
        "catching_up",
        "is_pass_stale",
    )

    def __init__(self) -> None:
        self._delivered: dict[str, int] = {}
        self._acknowledged: dict[str, int] = {}
        self._is_gapless = False
        self._starts: dict[str, int] | None = None
        self._is_dirty = False
        self.catching_up = False
        self.ack_pending = False
        self.is_pass_stale = False
        """A conversation was forgotten since `begin_pass`: what that pass has read of the store is not to be sent."""

    def __iter__(self) -> Iterator[str]:
        """The conversations of which something was sent, or is known to be owed no more."""
        return iter(self._delivered)

    def delivered(self, conversation: str) -> int:
        """Return the seq up to which the session was sent everything it is owed; 0 at first."""
        return self._delivered.get(conversation, 0)

    def acknowledged(self, conversation: str) -> int:
        """Return the seq up to which the session has acknowledged; 0 at first."""
        return self._acknowledged.get(conversation, 0)

    # -- live delivery: `is_next`, then `advance` if it was sent, else `fall_behind`, without yielding in between

    def is_next(self, conversation: str, seq: int) -> bool:
        """True if `seq` may be sent live: all before it was sent; to a guest, if nothing from `seq` on was."""
        if self._is_gapless:
            return not self.catching_up and self._delivered.get(conversation, 0) == seq - 1
        return self._delivered.get(conversation, 0) < seq

    def advance(self, conversation: str, seq: int) -> None:
        """Record that everything up to `seq` was sent or is owed no more. Never moves back."""
        if self._delivered.get(conversation, 0) < seq:
            self._delivered[conversation] = seq

    def fall_behind(self, conversation: str, seq: int) -> bool:
        """Record that `seq` was not sent live. Returns True if the caller must start a catch-up."""
        if self.catching_up:
            self._is_dirty = True
            return False
        if self._delivered.get(conversation, 0) >= seq:
            return False
        if not self._is_gapless:
            self._delivered[conversation] = seq
            return False
        self.start_catch_up()
        return True

    # -- catching up: `start_catch_up`; then passes, each from `begin_pass` to `caught_up`, until that returns True

    def start_catch_up(self) -> None:
        """Send nothing live from now on; the caller must start a catch-up."""
        self.catching_up = self._is_dirty = True

    def begin_pass(self) -> None:
        """Begin to read from the store what was not sent."""
        self._is_dirty = self.is_pass_stale = False

    def caught_up(self) -> bool:
        """End the catch-up, unless something came since `begin_pass`. Returns True if it has ended."""
        if self._is_dirty:
            return False
        self.catching_up = False
        return True

    # -- acknowledgements

    def acknowledge(self, conversation: str, seq: int) -> int:
        """Acknowledge up to `seq`, but at most what was sent. Returns up to where, or 0 if that is nothing new."""
        seq = min(seq, self._delivered.get(conversation, 0))
        if seq <= self._acknowledged.get(conversation, 0):
            return 0
        self._acknowledged[conversation] = seq
        self.ack_pending = True
        return seq

    def acknowledge_own(self, conversation: str, seqs: Sequence[int]) -> int:
        """Record messages of the session's own, and acknowledge those before which no other is unacknowledged.

        `seqs` are ascending, and like those of `advance` in turn. Returns as `acknowledge`.
        """
        if self._delivered.get(conversation, 0) < seqs[-1]:
            self._delivered[conversation] = seqs[-1]
        acknowledged = before = self._acknowledged.get(conversation, 0)
        for seq in seqs:
            acknowledged += seq == acknowledged + 1
        if acknowledged == before:
            return 0
        self._acknowledged[conversation] = acknowledged
        return acknowledged

    def expect_flush(self) -> None:
        """Record that something of the session's is on its way to the disk."""
        self.ack_pending = True

    def flushed(self) -> None:
        """Record that it is on disk."""
        self.ack_pending = False

    # -- where delivery begins

    def require_all(self) -> None:
        """Make it the state of an account's session, which is owed everything, and begins with a catch-up."""
        self._is_gapless = True
        self._starts = None
        self.start_catch_up()

    def load_cursors(self, cursors: Mapping[str, int]) -> None:
        """Take over a device's cursors: up to them everything was sent and acknowledged."""
        self._delivered = {key: max(seq, self._delivered.get(key, 0)) for key, seq in cursors.items()}
        self._acknowledged = dict(cursors)

    def set_start(self, conversation: str, head: int) -> None:
        """Begin a conversation behind `head`: what is up to there is not owed to the session. Never moves back."""
        self._delivered[conversation] = max(head, self._delivered.get(conversation, 0))
        self._acknowledged[conversation] = max(head, self._acknowledged.get(conversation, 0))
        if not self._is_gapless:
            self._starts = self._starts or {}
            self._starts[conversation] = head

    def start_of(self, conversation: str) -> int | None:
        """Return the head behind which a guest's session began in a room; None if it did not begin there itself."""
        return self._starts.get(conversation) if self._starts is not None else None

    def set_heads(self, heads: Mapping[str, int]) -> None:
        """Begin conversations of a guest behind their heads."""
        self._delivered |= heads

    def resume(self, predecessor: SyncState) -> None:
        """Continue where the session of a guest was that this one takes the place of."""
        self._delivered |= predecessor._delivered

    def forget(self, conversation: str) -> None:
        """Forget a conversation that the session has left, or that is no more: there its seqs may begin anew."""
        self._delivered.pop(conversation, None)
        self._acknowledged.pop(conversation, None)
        if self._starts is not None:
            self._starts.pop(conversation, None)
        if self.catching_up:
            self._is_dirty = self.is_pass_stale = True
