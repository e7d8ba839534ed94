"""A clock that jumps, also back: messages keep their order, and nothing else depends on it."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import gevent

from tests.chaos.checker import RunStats
from tests.chaos.load import ClientGroup
from tests.chaos.process import RestartableServer
from tests.chaos.scale import SCALE, SEED
from tests.chaos.skewed_clock import skew
from tests.support.accounts import UserClient, seqs, texts
from tests.support.course_clients import TIMEOUT

DAY = 86_400.0
JUMPS = (0.0, -DAY, 3600.0, -1.0, 400 * DAY, -7300 * DAY)


def test_a_clock_that_jumps_back_changes_no_order(
    start: Callable[..., RestartableServer],
    log_in: Callable[..., UserClient],
    tabulate: Callable[[RunStats], None],
    tmp_path: Path,
) -> None:
    ahead, rng = tmp_path / "ahead", random.Random(SEED)
    skew(ahead, 0.0)
    server = start(program=("-m", "tests.chaos.skewed_clock", str(ahead)))
    server.start()
    with ClientGroup(server) as group:
        for number in range(SCALE.clock_jumps):
            skew(ahead, JUMPS[number % len(JUMPS)])
            group.log.next_acceptance.clear()
            assert group.log.next_acceptance.wait(TIMEOUT)
            gevent.sleep(rng.uniform(0.05, 0.2))
            if number % 4 == 3:
                server.kill()
                server.start()
            group.check_failures()
        group.finish()
        server.stop()
    tabulate(group.log.stats("clock jumps", server_kills=server.kills, remarks=f"{SCALE.clock_jumps} jumps"))
    group.log.verify_received()
    group.log.verify_order()
    group.log.verify_file(tmp_path / "chat.db")
    with closing(sqlite3.connect(tmp_path / "chat.db")) as db, db:
        times = [row[0] for row in db.execute("SELECT time FROM messages ORDER BY conversation_id, seq")]
    assert any(later < earlier - DAY / 2 for earlier, later in pairwise(times)), "the clock did not jump"


def test_devices_sessions_history_and_search_know_no_time_of_day(
    start: Callable[..., RestartableServer], log_in: Callable[..., UserClient], tmp_path: Path
) -> None:
    ahead = tmp_path / "ahead"
    skew(ahead, DAY)
    server = start(program=("-m", "tests.chaos.skewed_clock", str(ahead)))
    server.start()
    anna, boris = log_in(server, "anna"), log_in(server, "boris")
    anna.send_messages("boris", "first")
    assert boris.next_event("msg")["time"] > time.time() + DAY / 2
    skew(ahead, -DAY)
    assert anna.send_messages("boris", "second", "third") == [2, 3]
    assert boris.next_event("msg")["time"] < time.time() - DAY / 2
    boris.acknowledge("anna", 1)
    boris.close()
    backlog = log_in(server, "boris").backlog
    assert (seqs(backlog), texts(backlog)) == ([2, 3], ["second", "third"])
    assert texts(anna.history("boris")) == ["first", "second", "third"]
    assert texts(anna.history("boris", after=1)) == ["second", "third"]
    assert anna.send_messages("boris", "word") == [4]
    assert anna.search("word") == ["word"]
    resumed = UserClient(server)
    try:
        assert resumed.try_log_in("anna", session=anna.session)["response"] == 200
    finally:
        resumed.close()
    server.kill()
