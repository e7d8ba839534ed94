"""The commands `status` and `trace`; neither shows the text of a message."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningServer
from tests.support.admin_cli import PASSWORD, AdminTestClient, StoreDirectory

BODY = "nobody-is-told-this"


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    with contextlib.closing(StoreDirectory(tmp_path)) as store_dir:
        yield store_dir


@pytest.fixture
def server(store_dir: StoreDirectory, start_server: Callable[..., RunningServer]) -> RunningServer:
    for name in ("hank", "dale", "late"):
        store_dir.add_user(name)
    return start_server(store=store_dir.url)


def log_in(store_dir: StoreDirectory, server: RunningServer, name: str, **user: str) -> AdminTestClient:
    line = store_dir.connect(server.port)
    assert line.log_in(name, **user)["response"] == 200
    assert line.receive()["action"] == "synced"
    return line


def trace(store_dir: StoreDirectory, *which: str) -> list[str]:
    """Return the trace of a message, without the line with its time."""
    lines = store_dir.run("trace", *which).splitlines()
    assert BODY not in str(lines) and re.fullmatch(r"  stored \d{4}-\d\d-\d\d .*", lines[1])
    return [line.strip() for line in lines[:1] + lines[2:]]


def test_where_a_message_in_a_room_went(store_dir: StoreDirectory, server: RunningServer) -> None:
    hank = log_in(store_dir, server, "hank", password=PASSWORD, device="laptop")
    dale = log_in(store_dir, server, "dale", password=PASSWORD, device="phone")
    for line in (hank, dale):
        line.request(action="join", id="j", room="#dev")
    log_in(store_dir, server, "guest").request(action="join", id="j", room="#dev")
    assert hank.request(action="msg", id="m1", to="#dev", message=BODY)["seq"] == 1
    head = ["#dev 1", "from hank, device laptop, id m1, to #dev", f"{len(BODY)} characters"]
    sender = ["hank: has marked nothing as read", "laptop: sent it, here, 0 frames queued"]
    guest = ["guest: a guest, was sent it, here, 0 frames queued"]
    recipient = [
        "dale: has marked nothing as read",
        "phone: has not acknowledged it, was sent it, here, 0 frames queued",
    ]
    assert trace(store_dir, "#DEV", "1") == head + sender + recipient + guest

    dale.sock.sendall(b'{"action":"ack","with":"#dev","seq":1}\n{"action":"read","with":"#dev","seq":1}\n')
    assert dale.request(action="probe", id="p")["response"] == 200
    late = log_in(store_dir, server, "late", password=PASSWORD)
    late.request(action="join", id="j", room="#dev")
    acknowledged = ["dale: has read up to 1", "phone: has acknowledged it, here, 0 frames queued"]
    later = ["late: joined later, and may not read it"]
    assert trace(store_dir, "hank", "m1") == head + sender + acknowledged + later + guest

    server.stop()
    sender[-1], acknowledged[-1] = "laptop: sent it, not here", "phone: has acknowledged it, not here"
    assert trace(store_dir, "#dev", "1") == head + sender + acknowledged + ["late: joined later, and may not read it"]


def test_where_a_message_between_two_names_went(store_dir: StoreDirectory, server: RunningServer) -> None:
    hank = log_in(store_dir, server, "hank", password=PASSWORD)
    assert hank.request(action="msg", id="m1", to="dale", message=BODY)["seq"] == 1
    assert trace(store_dir, "dale", "hank", "1")[-1] == "dale: has no device yet"
    guest = log_in(store_dir, server, "guest")
    assert guest.request(action="msg", id="g1", to="hank", message=BODY)["seq"] == 1
    assert trace(store_dir, "hank", "guest", "1")[1:] == [
        "from guest, id g1, to hank",
        f"{len(BODY)} characters",
        "hank: has marked nothing as read",
        "default: has not acknowledged it, was sent it, here, 0 frames queued",
    ]
    assert hank.request(action="msg", id="m2", to="guest", message=BODY)["seq"] == 2
    assert trace(store_dir, "hank", "guest", "2")[-1] == "guest: a guest, was sent it, here, 0 frames queued"


def test_an_erased_message_has_left_its_place(store_dir: StoreDirectory, server: RunningServer) -> None:
    hank = log_in(store_dir, server, "hank", password=PASSWORD)
    hank.request(action="msg", id="m1", to="hank", message=BODY)
    server.app.store.erase_messages(server.app.messenger.authenticator.accounts["hank"].id)
    assert trace(store_dir, "hank", "hank", "1")[2] == "erased"


def test_an_operator_erases_any_message_and_the_trace_tells_who_and_when(
    store_dir: StoreDirectory, server: RunningServer
) -> None:
    hank = log_in(store_dir, server, "hank", password=PASSWORD)
    dale = log_in(store_dir, server, "dale", password=PASSWORD)
    hank.request(action="join", id="j", room="#dev")
    for to in ("dale", "#dev"):
        hank.request(action="msg", id="m1", to=to, message=BODY)
        hank.request(action="msg", id="m2", to=to, message=BODY, kind="action", about=1)
    store_dir.run("message", "erase", "dale", "hank", "1")
    frames = [dale.receive() for _ in range(3)]
    assert (frames[2]["from"], frames[2]["about"], frames[2]["what"]) == ("hank", 1, "erase")
    store_dir.run("message", "erase", "#dev", "1")
    for erased in (hank.request(action="history", id="h", **{"with": to})["messages"][0] for to in ("dale", "#dev")):
        assert (erased["erased"], erased["by"]) == (True, "server")
    server.stop()
    store_dir.run("message", "erase", "#dev", "2")
    assert re.fullmatch(r"erased by server \d{4}-\d\d-\d\d .*", trace(store_dir, "#dev", "2")[3])
    assert trace(store_dir, "dale", "hank", "2")[2:4] == ["a reply, about 1", f"{len(BODY)} characters"]
    assert trace(store_dir, "#dev", "4")[1:4] == ["from server, to #dev", "erase, about 2", "0 characters"]
    assert [json.loads(line).get("message_kind") for line in store_dir.run_process("export").splitlines()].count(
        "action"
    ) == 1
    for which, code in ((("#dev", "2"), 77), (("dale", "hank", "9"), 77), (("#none", "1"), 77), (("dale", "1"), 2)):
        assert store_dir.try_run("message", "erase", *which).exit_code == code


UNKNOWN = [
    (("#none", "1"), 77, "no such room"),
    (("#dev", "3"), 77, "#dev has no message 3: the last is 2."),
    (("#dev", "0"), 77, "A seq is a number from 1 on."),
    (("#dev", "9" * 18), 77, "the last is 2."),
    (("#dev", "1"), 77, "Message 1 of #dev is no longer stored: the oldest is 2."),
    (("hank", "dale", "1"), 77, "No messages of the conversation of hank and dale are stored."),
    (("hank", "m9"), 77, "No message of hank with the id 'm9' is stored"),
    (("nobody", "m1"), 77, "There is no account nobody"),
    (("hank",), 2, "Name a message"),
    (("#dev", "x"), 2, "A seq is a number, not 'x'."),
    (("a", "b", "1", "2"), 2, "Name a message"),
    ((), 2, "required"),
]


def test_what_there_is_not_is_said_in_a_sentence(store_dir: StoreDirectory, server: RunningServer) -> None:
    hank = log_in(store_dir, server, "hank", password=PASSWORD)
    hank.request(action="join", id="j", room="#dev")
    hank.request(action="msg", id="m1", to="#dev", message=BODY)
    hank.request(action="msg", id="m2", to="#dev", message=BODY)
    server.app.store.prune(hank.request(action="history", id="h", **{"with": "#dev"})["messages"][1]["time"])
    for _ in ("running", "stopped"):
        for which, code, sentence in UNKNOWN:
            result = store_dir.try_run("trace", *which)
            assert (result.exit_code, result.stdout) == (code, ""), (which, result)
            assert sentence in result.stderr and result.stderr.count("\n") == 1, (which, result)
        server.stop()


def test_the_status_is_a_page_for_a_person(store_dir: StoreDirectory, server: RunningServer) -> None:
    hank = log_in(store_dir, server, "hank", password=PASSWORD)
    hank.request(action="msg", id="m1", to="hank", message=BODY)
    store_dir.connect(server.port)
    page = store_dir.run("status")
    assert f"port {server.port}" in page and "2 of at most 10000" in page
    assert "1 native account plain" in page and "1 unknown unknown plain" in page
    assert f"{store_dir.file}, " in page and f"identity {server.app.store.identity}" in page
    assert re.search(r"^commits +\d+, of the latest half within \d+\.\d ms, 99 of 100", page, re.MULTILINE)
    assert re.search(r"^failures +0$", page, re.MULTILINE)


def test_without_a_server_there_is_no_status(store_dir: StoreDirectory) -> None:
    acknowledged = store_dir.try_run("status")
    assert (acknowledged.exit_code, acknowledged.stdout) == (
        69,
        "",
    ) and f"No server runs on {store_dir.file}." in acknowledged.stderr
    assert not store_dir.file.exists()
