"""`kill -9` during `forget` and `prune`: what was answered is done, the rest is done when repeated."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

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
    client = AdminTestClient(server.port)
    assert client.log_in(name)["response"] == 200
    assert client.request(action="register", id="r", password=PASSWORD)["response"] == 201
    return client


def send_messages(client: AdminTestClient, to: str, texts: list[str]) -> None:
    for text in texts:  # with new ids: the server remembers them for a month
        assert client.request(action="msg", id=f"{hash(text):x}", to=to, message=text)["response"] == 200


def try_forget(client: AdminTestClient) -> dict[str, Any] | None:
    """Request to be forgotten; return the response, or None if the server died."""
    try:
        return client.request(action="forget", id="f", password=PASSWORD)
    except (OSError, ValueError):
        return None


def forget_after_restart(client: AdminTestClient, name: str) -> None:
    """Request to be forgotten until that is done.

    An account that was deleted before the kill is answered 403: its name logs in as a guest.
    """
    if client.log_in(name, password=PASSWORD)["response"] != 200:
        return
    while (response := try_forget(client)) is not None and response["response"] == 503:
        gevent.sleep(response["retry_after"])
    assert response is not None and response["response"] in (200, 403), response


@pytest.fixture
def server(tmp_path: Path) -> RestartableServer:
    return RestartableServer(f"sqlite:///{tmp_path}/data/chat.db", tmp_path / "server.log")


def test_killed_while_it_forgets_a_server_has_answered_only_what_is_gone(
    server: RestartableServer, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    with server:
        server.start()
        for number in range(KILLS):
            hank, dale = register(server, f"hank{number}"), register(server, f"dale{number}")
            send_messages(hank, f"dale{number}", [TEXT.format(message) for message in range(TEXTS)])
            send_messages(dale, f"hank{number}", [f"kept {number}"])
            kill = gevent.spawn_later(rng.uniform(0.0, 0.15), server.process.send_signal, signal.SIGKILL)
            request = gevent.spawn(try_forget, hank)
            kill.join()
            response = request.get(timeout=TEST_TIMEOUT)
            server.kill()
            is_forgotten = response is not None and response["response"] == 200
            if is_forgotten:
                assert find_traces(tmp_path / "data", FOLDED) == []
            server.start()
            restarted = AdminTestClient(server.port)
            if not is_forgotten:
                forget_after_restart(restarted, f"hank{number}")
            for client in (hank, dale, restarted):
                client.close()
        server.stop()
    assert find_traces(tmp_path / "data", FOLDED) == []
    report = verify_file(tmp_path / "data" / "chat.db")
    assert report.faults == [] and report.counts["erased"] == TEXTS * KILLS


def test_killed_while_it_prunes_a_server_has_said_so_only_of_what_is_gone(
    server: RestartableServer, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    store_dir = StoreDirectory(tmp_path / "data")
    store_dir.url = f"sqlite:///{tmp_path}/data/chat.db"
    with server:
        server.start()
        client = register(server, "hank")
        for number in range(KILLS):
            send_messages(client, "hank", [f"{TEXT.format(message)} {number}" for message in range(TEXTS)])
            kill = gevent.spawn_later(rng.uniform(0.3, 0.8), server.process.send_signal, signal.SIGKILL)
            pruning = gevent.spawn(prune, store_dir)
            kill.join()
            exit_code = pruning.get(timeout=TEST_TIMEOUT)
            server.kill()
            if exit_code == 0:
                assert find_traces(tmp_path / "data", FOLDED) == []
            server.start()
            client.close()
            client = AdminTestClient(server.port)
            assert client.log_in("hank", password=PASSWORD)["response"] == 200
        assert prune(store_dir) == 0
        assert find_traces(tmp_path / "data", FOLDED) == []
        client.close()
        server.stop()


def prune(store_dir: StoreDirectory) -> int:
    """Prune all messages by the command; return its exit code."""
    return store_dir.try_run_process("prune", "--older-than", "0.00000001d").exit_code
