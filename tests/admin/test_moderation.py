"""Moderation by the owner: operators, kicks, mutes, bans, closed rooms; on a running and on a stopped server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningServer
from tests.support.admin_cli import PASSWORD, StoreDirectory


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    with contextlib.closing(StoreDirectory(tmp_path)) as store_dir:
        yield store_dir


@pytest.fixture(params=["running", "stopped"])
def any_store(request: pytest.FixtureRequest, store_dir: StoreDirectory) -> StoreDirectory:
    if request.param == "running":
        request.getfixturevalue("start_server")(store=store_dir.url)
    else:
        store_dir.create_store()
    return store_dir


def test_operators_come_and_go(any_store: StoreDirectory) -> None:
    any_store.add_user("hank")
    assert "hank is an operator" in any_store.run("user", "grant", "hank")
    assert any_store.run("user", "list") == "hank\t-\toperator\n"
    any_store.run("user", "revoke", "HANK")
    assert any_store.run("user", "list") == "hank\t-\n"
    assert any_store.try_run("user", "grant", "dale").exit_code == 77


def test_who_is_banned_or_muted_is_listed_until_it_is_lifted(any_store: StoreDirectory) -> None:
    any_store.run("ban", "--for", "10m", "--reason", "spam", "dale")
    assert "2001:db8::1 is banned" in any_store.run("ban", "2001:db8::1")
    any_store.run("mute", "Bill", "--reason", "noise")
    address, dale, bill = any_store.run("bans").splitlines()
    assert address == "2001:db8::/64\tbanned\tserver\tfor good\t"
    assert re.fullmatch(r"dale\tbanned\tserver\tuntil [-0-9]{10} [0-9:]{5}\tspam", dale)
    assert bill == "bill\tmuted\tserver\tfor good\tnoise"
    any_store.run("unban", "dale")
    any_store.run("unban", "2001:db8::2")
    any_store.run("unmute", "bill")
    assert any_store.run("bans") == ""


def test_a_name_that_reads_as_an_address_is_a_name(any_store: StoreDirectory) -> None:
    output = any_store.run("ban", "198.51.100.7")
    assert "198.51.100.7 is banned" in output and "--address 198.51.100.7" in output
    any_store.run("ban", "--address", "198.51.100.7")
    assert [line.split("\t")[0] for line in any_store.run("bans").splitlines()] == ["198.51.100.7", "198.51.100.7/32"]
    any_store.run("unban", "198.51.100.7")
    assert any_store.run("bans").startswith("198.51.100.7/32\t")
    any_store.run("unban", "198.51.100.7/32")
    assert any_store.run("bans") == ""


def test_a_guest_who_is_called_like_an_address_is_banned_and_nobody_else(
    store_dir: StoreDirectory, start_server: Callable[..., RunningServer]
) -> None:
    server = start_server(store=store_dir.url)
    guests = {name: store_dir.connect(server.port) for name in ("127.0.0.1", "198.51.100.7", "bystander")}
    for name, line in guests.items():
        assert line.log_in(name)["response"] == 200
    for name in ("127.0.0.1", "198.51.100.7"):
        assert "connections closed: 1" in store_dir.run("ban", name)
        assert store_dir.connect(server.port).log_in(name)["code"] == "banned"
    assert guests["bystander"].request(action="probe", id="p")["response"] == 200


REFUSED = [
    (("ban",), 2, "Give a name, or an address with --address"),
    (("ban", "dale", "--address", "192.0.2.7"), 2, "Give a name, or an address with --address"),
    (("ban", "--address", "dale"), 77, "neither an IP address"),
    (("unban", "dale"), 77, "no such ban or mute for dale"),
    (("unmute", "dale"), 77, "no such ban or mute"),
    (("ban", "two words"), 77, "letters, digits"),
    (("ban", "127.0.0.0/8"), 77, "includes the server's own address"),
    (("ban", "dale", "--for", "soon"), 2, "10m"),
    (("mute", "dale", "--reason", "x" * 201), 77, "at most 200"),
    (("room", "close", "#dev"), 77, "no such room"),
    (("kick", "dale"), None, ""),
]


def test_a_refusal_is_one_line_and_an_exit_code(any_store: StoreDirectory) -> None:
    for words, code, sentence in REFUSED:
        result = any_store.try_run(*words)
        assert (result.stdout, result.stderr.count("\n")) == ("", 1) and sentence in result.stderr, result
        assert result.exit_code in ((69, 77) if code is None else (code,)), result


def test_a_kick_needs_a_server(store_dir: StoreDirectory) -> None:
    store_dir.add_user("hank")
    result = store_dir.try_run("kick", "hank")
    assert result.exit_code == 69 and "kick needs a running server" in result.stderr


def test_all_of_it_is_told_to_the_log(store_dir: StoreDirectory) -> None:
    store_dir.add_user("hank")
    store_dir.run("user", "grant", "hank")
    with store_dir.start_server() as server:
        port = server.wait_for_port()
        hank, bill = store_dir.connect(port), store_dir.connect(port)
        assert hank.log_in("hank", password=PASSWORD)["role"] == "operator"
        bill.log_in("bill")
        assert hank.request(action="join", id="j", room="#dev")["response"] == 200
        assert hank.request(action="mute", id="m", user="bill", reason="a b", **{"for": 60})["response"] == 200
        assert hank.request(action="block", id="b", user="bill")["response"] == 200
        assert store_dir.run("kick", "bill", "--reason", "calm down") == (
            "bill is disconnected; connections closed: 1.\n"
        )
        assert bill.receive()["action"] == "synced" and bill.receive()["code"] == "kicked"
        store_dir.run("room", "close", "#dev", "--reason", "loud")
        while (event := hank.receive())["action"] != "close":
            pass
        assert (event["user"]["account_name"], event["reason"]) == ("server", "loud")
        assert store_dir.run("room", "list") == "#dev\t1 members, closed\tseq 0\t\n"
        store_dir.run("room", "open", "#dev")
        store_dir.run("user", "revoke", "hank")
        server.process.terminate()
        _, log = server.stop()
    event = re.findall(r"INFO moderated (.*)", log)
    assert event == [
        'by=hank method=mute what=bill for=60.0 reason="a b"',
        "by=hank method=block what=bill",
        'by=server method=kick what=bill reason="calm down"',
        "by=server method=close what=#dev reason=loud",
        "by=server method=open what=#dev",
        "by=server method=revoke what=hank",
    ]
