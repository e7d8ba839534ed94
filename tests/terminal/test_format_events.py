"""Each event has a formatter, and the texts are as expected."""

from typing import get_args

import pytest

from gmessenger.client import ChatEvent, Synced
from gmessenger.terminal import format_events


def test_there_is_a_sentence_for_every_event() -> None:
    assert set(format_events.EVENT_FORMATTERS) == set(get_args(ChatEvent))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Synced(12, reconnected=True), "-- caught up: 12 messages"),
        (Synced(1, reconnected=True), "-- caught up: 1 message"),
        (Synced(0, reconnected=True), None),
        (Synced(12, reconnected=False), None),
    ],
)
def test_catching_up_is_spoken_of_where_it_is_news(event: Synced, expected: str | None) -> None:
    assert format_events.format_event(event) == expected
