"""`kill -9` in the middle of `forget` and `prune`: what was answered is done, what was not is done when asked again."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import gevent
import pytest

from gmessenger.store.sqlite.verify import verify_file
from tests.chaos.process import RestartableServer
from tests.chaos.scale import SCALE, SEED
from tests.support.admin_cli import PASSWORD, AdminTestClient, StoreDirectory
from tests.support.leftovers import find_traces
from tests.support.timeouts import TEST_TIMEOUT

KILLS = max(3, SCALE.kills // 4)
TEXTS = 20
TEXT = "Xylographa {} Äußerungen"
FOLDED = ("xylographa", "ausserungen", "Äußerungen")


def register(server: RestartableServer, name: str) -> AdminTestClient:
    line = AdminTestClient(server.port)
    assert line.log_in(name)["response"] == 200
    assert line.request(action="register", id="r", password=PASSWORD)["response"] == 201
    return line


def send_messages(line: AdminTestClient, to: str, texts: list[str]) -> None:
    for text in texts:  # (ids are remembered for a month)
        assert line.request(action="msg", id=f"{hash(text):x}", to=to, message=text)["response"] == 200


def try_request(line: AdminTestClient, **frame: object) -> dict[str, object] | None:
    """The answer, or None where the server has died."""
    try:
        return line.request(**frame)
    except (OSError, ValueError):
        return None


@pytest.fixture
def server(tmp_path: Path) -> RestartableServer:
    return RestartableServer(f"sqlite:///{tmp_path}/data/chat.db", tmp_path / "server.log")


def test_killed_while_it_forgets_a_server_has_answered_only_what_is_gone(
    server: RestartableServer, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    with server:
        server.start()
        for number in range(KILLS):
            hank, dale = register(server, f"hank{number}"), register(server, f"dale{number}")
            send_messages(hank, f"dale{number}", [TEXT.format(each) for each in range(TEXTS)])
            send_messages(dale, f"hank{number}", [f"kept {number}"])
            killing = gevent.spawn_later(chance.uniform(0.0, 0.15), server.process.send_signal, signal.SIGKILL)
            asking = gevent.spawn(try_request, hank, action="forget", id="f", password=PASSWORD)
            killing.join()
            answer = asking.get(timeout=TEST_TIMEOUT)
            server.kill()
            if answer is not None and answer["response"] == 200:
                assert find_traces(tmp_path / "data", FOLDED) == []
            server.start()
            again = AdminTestClient(server.port)
            entered = again.log_in(f"hank{number}", password=PASSWORD)
            if entered["response"] == 200 and try_request(again, action="probe", id="p") and not answer:
                assert again.request(action="forget", id="f", password=PASSWORD)["response"] in (200, 403)
            for line in (hank, dale, again):
                line.close()
        server.stop()
    assert find_traces(tmp_path / "data", FOLDED) == []
    found = verify_file(tmp_path / "data" / "chat.db")
    assert found.faults == [] and found.counts["erased"] == TEXTS * KILLS


def test_killed_while_it_prunes_a_server_has_said_so_only_of_what_is_gone(
    server: RestartableServer, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    admin = StoreDirectory(tmp_path / "data")
    admin.url = f"sqlite:///{tmp_path}/data/chat.db"
    with server:
        server.start()
        line = register(server, "hank")
        for number in range(KILLS):
            send_messages(line, "hank", [f"{TEXT.format(each)} {number}" for each in range(TEXTS)])
            killing = gevent.spawn_later(chance.uniform(0.3, 0.8), server.process.send_signal, signal.SIGKILL)
            pruning = gevent.spawn(prune, admin)
            killing.join()
            done = pruning.get(timeout=TEST_TIMEOUT)
            server.kill()
            if done == 0:
                assert find_traces(tmp_path / "data", FOLDED) == []
            server.start()
            line.close()
            line = AdminTestClient(server.port)
            assert line.log_in("hank", password=PASSWORD)["response"] == 200
        assert prune(admin) == 0
        assert find_traces(tmp_path / "data", FOLDED) == []
        line.close()
        server.stop()


def prune(admin: StoreDirectory) -> int:
    return admin.try_run_process("prune", "--older-than", "0.00000001d").exit_code
