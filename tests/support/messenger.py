"""A messenger without protocol and sockets: sessions whose outboxes the test reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import CatchUpDone, Outbound
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.policy import Policy
from gmessenger.chat.room import MaskMatcher, match_none
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.store import open_store
from tests.conftest import FAST

NOW = 1_763_800_000.5


def spawn(_: str, function: Callable[..., object], *args: Any) -> object:
    return gevent.spawn(function, *args)


class InMemoryChat:
    """A messenger on a store in memory. Its clock stands at `now`; `run_timers` calls what `call_later` was passed."""

    def __init__(
        self,
        networks_of: Callable[[str], WeightedNetworks] = lambda address: (),
        mask_matcher: MaskMatcher = match_none,
        **policy: Any,
    ) -> None:
        self.due: list[Callable[[], None]] = []
        self.store = open_store("memory:")
        self.now = NOW
        self.messenger = Messenger(
            Policy(**policy),
            self.store,
            lambda: self.now,
            lambda _, call: self.due.append(call),
            spawn,
            FAST,
            networks_of=networks_of,
            mask_matcher=mask_matcher,
        )

    def login(
        self,
        name: str,
        *,
        frames: int = 100,
        accepts_push: bool = True,
        address: str = "here:1",
        most: int | None = None,
        **login: Any,
    ) -> Session:
        outbox = Outbox(frames, 10_000, lambda: None, lambda: None, accepts_batches=accepts_push)
        session, undelivered = self.messenger.login(LoginRequest(name, "test", accepts_push, address, **login), outbox)
        self.messenger.start_delivery(session, undelivered, most)
        return session

    def run_timers(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


def drain_events(session: Session) -> list[Outbound]:
    """Return what waits in a session's outbox, without `CatchUpDone`."""
    return [event for event in session.outbox.drain() if not isinstance(event, CatchUpDone)]
