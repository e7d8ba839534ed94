"""What each request costs, in requests: the table of prices. A message is paid for by how many are to hear it."""

from __future__ import annotations

from typing import Final

from gmessenger.wire import events
from gmessenger.wire.events import Event

PRICES: Final[dict[type[Event], float]] = {
    events.Msg: 0,
    events.CourseMsg: 0,
    events.Quit: 0,
    events.CourseQuit: 0,
    events.Pong: 0.01,
    events.Ack: 0.01,
    events.Read: 0.05,
    events.Probe: 0.1,
    events.CourseContact: 0.1,
    events.Join: 2,
    events.Search: 5,
    events.Conversations: 2,
    events.Export: 2,
    events.Register: 10,
    events.Forget: 10,
}
USUAL: Final = 1.0
"""The price of what is not in the table."""
ONLY_HELD_BACK: Final = frozenset({events.Pong, events.Ack, events.Read, events.Unreadable})
"""What has no answer, or is refused already: it is taken slowly, but always."""
