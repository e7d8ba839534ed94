"""What is said of what a link tells: the table of sentences is whole."""

from typing import get_args

import pytest

from gmessenger.client import CaughtUp, LinkEvent
from gmessenger.terminal import render


def test_there_is_a_sentence_for_every_event() -> None:
    assert set(render.IN_A_LINE) == set(get_args(LinkEvent))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (CaughtUp(12, again=True), "-- caught up: 12 messages"),
        (CaughtUp(1, again=True), "-- caught up: 1 message"),
        (CaughtUp(0, again=True), None),
        (CaughtUp(12, again=False), None),
    ],
)
def test_catching_up_is_spoken_of_where_it_is_news(event: CaughtUp, said: str | None) -> None:
    assert render.told(event) == said
