"""The short form of `make fuzz`: every target with its seeds, and a fixed number of inputs mutated from them."""

from __future__ import annotations

import gc
import os
import random
from typing import Final

import pytest
from greenlet import greenlet

from gmessenger.chat.session import Session
from gmessenger.server.net.connection import Connection
from tests.fuzz.draws import mutate
from tests.fuzz.targets import FOLDERS, TARGETS

INPUTS: Final = {"folding": 500, "names": 5000, "config": 800, "control": 2000, "sessions": 40, "irc": 20, "web": 400}
"""Mutated inputs of each target; with FUZZ=10 ten times as many."""


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_meant_for_anything_bears_anything(name: str) -> None:
    target, draw = TARGETS[name], random.Random(name)
    seeds = list(target.seeds())
    count = INPUTS[name] * int(os.environ.get("FUZZ", "1"))
    with target.open() as attempt:
        for data in [*seeds, *(mutate(draw, seeds) for _ in range(count))]:
            try:
                attempt(data)
            except BaseException as fault:
                fault.add_note(f"input: {data!r}")
                raise


def test_nothing_is_kept_of_sessions_that_are_over() -> None:
    """Forty inputs leave as many objects as two do, but for a few greenlets that are about to end."""
    target, draw = TARGETS["sessions"], random.Random("memory")
    seeds = list(target.seeds())
    alive = []
    with target.open() as attempt:
        for count in (2, 40):
            for _ in range(count):
                attempt(mutate(draw, seeds))
            gc.collect()
            alive.append(sum(isinstance(item, Session | Connection | greenlet) for item in gc.get_objects()))
    assert alive[1] - alive[0] < 20, "half of them leave one behind"


def test_there_is_something_to_fold_by() -> None:
    assert len(FOLDERS) >= 2 and "parse_query" in FOLDERS
