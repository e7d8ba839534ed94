"""A clock that jumps, back most of all: what is said keeps its order, and nothing else depends on the time of day."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import gevent

from tests.chaos.checker import Figures
from tests.chaos.load import Crowd
from tests.chaos.process import Server
from tests.chaos.scale import SCALE, SEED
from tests.chaos.skewed_clock import skew
from tests.support.accounts import Person, seqs, texts
from tests.support.course_clients import TIMEOUT

DAY = 86_400.0
JUMPS = (0.0, -DAY, 3600.0, -1.0, 400 * DAY, -7300 * DAY)


def test_a_clock_that_jumps_back_changes_no_order(
    start: Callable[..., Server],
    comes: Callable[..., Person],
    tabulate: Callable[[Figures], None],
    tmp_path: Path,
) -> None:
    ahead, chance = tmp_path / "ahead", random.Random(SEED)
    skew(ahead, 0.0)
    server = start(program=("-m", "tests.chaos.skewed_clock", str(ahead)))
    server.start()
    with Crowd(server) as crowd:
        for number in range(SCALE.clock_jumps):
            skew(ahead, JUMPS[number % len(JUMPS)])
            crowd.ledger.acceptance.clear()
            assert crowd.ledger.acceptance.wait(TIMEOUT)
            gevent.sleep(chance.uniform(0.05, 0.2))
            if number % 4 == 3:
                server.kill()
                server.start()
            crowd.check()
        crowd.settle()
        server.stop()
    tabulate(crowd.ledger.figures("clock jumps", server_kills=server.kills, remarks=f"{SCALE.clock_jumps} jumps"))
    crowd.ledger.verify_heard()
    crowd.ledger.verify_order()
    crowd.ledger.verify_file(tmp_path / "chat.db")
    with closing(sqlite3.connect(tmp_path / "chat.db")) as db, db:
        times = [row[0] for row in db.execute("SELECT time FROM messages ORDER BY conversation_id, seq")]
    assert any(later < earlier - DAY / 2 for earlier, later in pairwise(times)), "the clock did not jump"


def test_devices_sessions_history_and_search_know_no_time_of_day(
    start: Callable[..., Server], comes: Callable[..., Person], tmp_path: Path
) -> None:
    ahead = tmp_path / "ahead"
    skew(ahead, DAY)
    server = start(program=("-m", "tests.chaos.skewed_clock", str(ahead)))
    server.start()
    anna, boris = comes(server, "anna"), comes(server, "boris")
    anna.sends("boris", "first")
    assert boris.event("msg")["time"] > time.time() + DAY / 2
    skew(ahead, -DAY)
    assert anna.sends("boris", "second", "third") == [2, 3]
    assert boris.event("msg")["time"] < time.time() - DAY / 2
    boris.acknowledges("anna", 1)
    boris.close()
    backlog = comes(server, "boris").backlog
    assert (seqs(backlog), texts(backlog)) == ([2, 3], ["second", "third"])
    assert texts(anna.history("boris")) == ["first", "second", "third"]
    assert texts(anna.history("boris", after=1)) == ["second", "third"]
    assert anna.sends("boris", "word") == [4]
    assert anna.finds("word") == ["word"]
    resumed = Person(server)
    try:
        assert resumed.present("anna", session=anna.session)["response"] == 200
    finally:
        resumed.close()
    server.kill()
