"""The summary after a reconnect: tables of events, and the notice that follows."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from gmessenger.client import (
    Accepted,
    ChatEvent,
    Connected,
    Disconnected,
    MessageEvent,
    MessageReceived,
    Rejected,
    Synced,
)
from gmessenger.client.sender import make_message
from gmessenger.terminal.tui.event_pump import CatchUpSummary
from gmessenger.wire.events import ResponseFrame

MESSAGE = make_message("dale", "hi")
BACK = Connected("fake", "", {}, reconnected=True)
SENT = Accepted(MESSAGE, ResponseFrame(200, MESSAGE.id, seq=1))
REFUSED = Rejected(MESSAGE, ResponseFrame(410, MESSAGE.id, error="No."))
SYNCED = Synced(0, reconnected=True)


def received(sender: str, to: str = "hank") -> MessageReceived:
    return MessageReceived(MessageEvent(sender, to, 1.0, "hi", UNSET), b"")


@pytest.mark.parametrize(
    ("events", "pending_count", "expected"),
    [
        ([Connected("fake", "", {}, reconnected=False), received("dale"), SYNCED], 0, [None] * 3),
        ([BACK, SYNCED], 0, [None, None]),
        (
            [BACK, received("dale"), SYNCED, received("dale")],
            0,
            [None, None, "caught up: 1 message in 1 conversation", None],
        ),
        (
            [BACK, received("dale"), received("DALE"), received("bob", "#dev"), SENT, SYNCED],
            1,
            [*[None] * 5, "caught up: 3 messages in 2 conversations; 1 of your messages was sent"],
        ),
        ([BACK, SYNCED, SENT, SENT, SENT], 2, [None, None, None, "caught up: 2 of your messages were sent", None]),
        ([BACK, REFUSED, SYNCED], 1, [None, None, None]),
        ([BACK, received("dale"), Disconnected("gone", 1.0, 1), BACK, SYNCED], 0, [None] * 5),
    ],
)
def test_what_is_said(events: list[ChatEvent], pending_count: int, expected: list[str | None]) -> None:
    summary = CatchUpSummary()
    assert [summary.on_event(event, pending_count) for event in events] == expected
