"""`kill -9` in the middle of `forget` and `prune`: what was answered is done, what was not is done when asked again."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import gevent
import pytest

from gmessenger.store.sqlite.verify import verify_file
from tests.chaos.process import Server
from tests.chaos.scale import SCALE, SEED
from tests.support.admin_cli import PASSWORD, Line, Place
from tests.support.leftovers import find_traces
from tests.support.timeouts import PATIENCE

KILLS = max(3, SCALE.kills // 4)
TEXTS = 20
TEXT = "Xylographa {} Äußerungen"
FOLDED = ("xylographa", "ausserungen", "Äußerungen")


def register(server: Server, name: str) -> Line:
    line = Line(server.port)
    assert line.enters(name)["response"] == 200
    assert line.asks(action="register", id="r", password=PASSWORD)["response"] == 201
    return line


def say(line: Line, to: str, texts: list[str]) -> None:
    for text in texts:  # (ids are remembered for a month)
        assert line.asks(action="msg", id=f"{hash(text):x}", to=to, message=text)["response"] == 200


def asks(line: Line, **frame: object) -> dict[str, object] | None:
    """The answer, or None where the server has died."""
    try:
        return line.asks(**frame)
    except (OSError, ValueError):
        return None


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(f"sqlite:///{tmp_path}/data/chat.db", tmp_path / "server.log")


def test_killed_while_it_forgets_a_server_has_answered_only_what_is_gone(server: Server, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with server:
        server.start()
        for number in range(KILLS):
            hank, dale = register(server, f"hank{number}"), register(server, f"dale{number}")
            say(hank, f"dale{number}", [TEXT.format(each) for each in range(TEXTS)])
            say(dale, f"hank{number}", [f"kept {number}"])
            killing = gevent.spawn_later(chance.uniform(0.0, 0.15), server.process.send_signal, signal.SIGKILL)
            asking = gevent.spawn(asks, hank, action="forget", id="f", password=PASSWORD)
            killing.join()
            answer = asking.get(timeout=PATIENCE)
            server.kill()
            if answer is not None and answer["response"] == 200:
                assert find_traces(tmp_path / "data", FOLDED) == []
            server.start()
            again = Line(server.port)
            entered = again.enters(f"hank{number}", password=PASSWORD)
            if entered["response"] == 200 and asks(again, action="probe", id="p") and not answer:
                assert again.asks(action="forget", id="f", password=PASSWORD)["response"] in (200, 403)
            for line in (hank, dale, again):
                line.close()
        server.stop()
    assert find_traces(tmp_path / "data", FOLDED) == []
    found = verify_file(tmp_path / "data" / "chat.db")
    assert found.faults == [] and found.counts["erased"] == TEXTS * KILLS


def test_killed_while_it_prunes_a_server_has_said_so_only_of_what_is_gone(server: Server, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    admin = Place(tmp_path / "data")
    admin.url = f"sqlite:///{tmp_path}/data/chat.db"
    with server:
        server.start()
        line = register(server, "hank")
        for number in range(KILLS):
            say(line, "hank", [f"{TEXT.format(each)} {number}" for each in range(TEXTS)])
            killing = gevent.spawn_later(chance.uniform(0.3, 0.8), server.process.send_signal, signal.SIGKILL)
            pruning = gevent.spawn(prune, admin)
            killing.join()
            done = pruning.get(timeout=PATIENCE)
            server.kill()
            if done == 0:
                assert find_traces(tmp_path / "data", FOLDED) == []
            server.start()
            line.close()
            line = Line(server.port)
            assert line.enters("hank", password=PASSWORD)["response"] == 200
        assert prune(admin) == 0
        assert find_traces(tmp_path / "data", FOLDED) == []
        line.close()
        server.stop()


def prune(admin: Place) -> int:
    return admin.admin_process("prune", "--older-than", "0.00000001d").code
