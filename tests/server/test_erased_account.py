"""What a running server has erased is in none of its store's files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from gmessenger.store.search_text import tokenize
from tests.support.admin_cli import PASSWORD, AdminTestClient, StoreDirectory
from tests.support.leftovers import find_traces
from tests.support.server import ServerProcess

SAID = "Xylographa Äußerungen 東京都 ﷺ"
FORMS = [SAID, "Äußerungen", *(token for token in tokenize(SAID) if len(token) > 1)]


def request_until_decided(line: AdminTestClient, **frame: object) -> int:
    """Return the status of the response; a busy machine's store may take longer than its timeout, which is 503."""
    while (status := line.request(**frame)["response"]) == 503:
        gevent.sleep(0.1)
    return int(status)


class Served:
    """A server where hank and dale have sent messages to each other and to a room."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.admin = StoreDirectory(folder)
        self.lines: list[AdminTestClient] = []
        self.hank, self.dale = (self.enter(name) for name in ("hank", "dale"))
        self.phone = self.enter("hank", device="phone")
        for number in range(30):
            self.say(self.dale, "hank", f"kept {number}")
            self.say(self.hank, "dale", f"{SAID} {number}")
        self.hank.request(action="join", id="j", room="#secretroom")
        self.hank.request(action="topic", id="t", room="#secretroom", topic="a telling topic")
        self.say(self.phone, "#secretroom", SAID)

    def enter(self, name: str, **user: str) -> AdminTestClient:
        self.lines.append(line := AdminTestClient(self.port))
        if line.log_in(name, **user)["response"] == 401:
            assert line.log_in(name, password=PASSWORD, **user)["response"] == 200
        elif not user:
            request_until_decided(line, action="register", id="r", password=PASSWORD)
        return line

    def say(self, line: AdminTestClient, to: str, text: str) -> None:
        self.lines[0].sock.settimeout(20)
        id = hashlib.md5(text.encode()).hexdigest()
        assert request_until_decided(line, action="msg", id=id, to=to, message=text) == 200

    def traces(self, *needles: str | bytes) -> list[str]:
        return find_traces(self.folder, needles)


@pytest.fixture(params=[30])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    folder = tmp_path / "store"
    with ServerProcess("--store", f"sqlite:///{folder}/messenger.db", "--store-timeout", f"{request.param}") as server:
        served = Served(folder, server.wait_for_port())
        yield served
        for line in served.lines:
            line.close()


def forget(served: Served) -> list[str | bytes]:
    assert served.hank.request(action="forget", id="f", password=PASSWORD)["response"] == 200
    return [*FORMS]


def prune(served: Served) -> list[str | bytes]:
    assert served.admin.try_run_process("prune", "--older-than", "0.00000001d").exit_code == 0
    return [*FORMS]


def delete_room(served: Served) -> list[str | bytes]:
    assert served.hank.request(action="forget", id="f", password=PASSWORD)["response"] == 200
    assert served.admin.try_run_process("room", "delete", "#secretroom").exit_code == 0
    return ["#secretroom", "telling topic"]


def delete_account(served: Served) -> list[str | bytes]:
    device = served.enter("hank", device="a telling device")
    assert device.request(action="block", id="b", user="annoyer")["response"] in (200, 404)
    assert served.admin.try_run_process("user", "delete", "hank").exit_code == 0
    return ["telling device"]


def drop_device(served: Served) -> list[str | bytes]:
    line = AdminTestClient(served.port)
    token = line.log_in("dale", password=PASSWORD, device="a telling device")["session"]
    line.close()
    for number in range(20):
        line = AdminTestClient(served.port)
        assert line.log_in("dale", password=PASSWORD, device=f"device {number}")["response"] == 200
        line.close()
    return ["telling device", hashlib.sha256(str(token).encode()).digest()]


@pytest.mark.parametrize(
    "erase", [forget, prune, delete_room, delete_account, drop_device], ids=lambda erase: erase.__name__
)
def test_it_is_gone_when_that_is_answered(served: Served, erase: Callable[[Served], list[str | bytes]]) -> None:
    assert served.traces(*FORMS), "it was never there"
    assert served.traces(*erase(served)) == []


@pytest.mark.parametrize("served", [5], indirect=True)
def test_a_forget_that_another_process_reads_into_is_answered_503_and_done_when_it_is_asked_again(
    served: Served,
) -> None:
    read = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('BEGIN'); "
    read += "db.execute('SELECT count(*) FROM messages').fetchall(); print(flush=True); input()"
    command = [sys.executable, "-c", read, str(served.folder / "messenger.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        answer = served.hank.request(action="forget", id="f", password=PASSWORD)
        assert (answer["response"], answer["code"]) == (503, "store_unavailable")
        served.say(served.dale, "dale", "others go on")
        reader.communicate(b"\n")
    while (answer := served.hank.request(action="forget", id="f", password=PASSWORD))["response"] == 503:
        pass
    # What was begun may have been finished beside it, and the session ended.
    assert answer["response"] == 200 or answer["code"] == "account_deleted"
    assert served.traces(*FORMS) == []
