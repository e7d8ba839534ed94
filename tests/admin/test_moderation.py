"""Operators and what the owner of the server does to those who disturb: running or stopped, the same words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningServer
from tests.support.admin_cli import PASSWORD, Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.closing(Place(tmp_path)) as place:
        yield place


@pytest.fixture(params=["running", "stopped"])
def anyhow(request: pytest.FixtureRequest, place: Place) -> Place:
    if request.param == "running":
        request.getfixturevalue("start_server")(store=place.url)
    else:
        place.makes()
    return place


def test_operators_come_and_go(anyhow: Place) -> None:
    anyhow.adds("hank")
    assert "hank is an operator" in anyhow.does("user", "grant", "hank")
    assert anyhow.does("user", "list") == "hank\t-\toperator\n"
    anyhow.does("user", "revoke", "HANK")
    assert anyhow.does("user", "list") == "hank\t-\n"
    assert anyhow.admin("user", "grant", "dale").code == 77


def test_who_is_banned_or_muted_is_listed_until_it_is_lifted(anyhow: Place) -> None:
    anyhow.does("ban", "--for", "10m", "--reason", "spam", "dale")
    assert "2001:db8::1 is banned" in anyhow.does("ban", "2001:db8::1")
    anyhow.does("mute", "Bill", "--reason", "noise")
    address, dale, bill = anyhow.does("bans").splitlines()
    assert address == "2001:db8::/64\tbanned\tserver\tfor good\t"
    assert re.fullmatch(r"dale\tbanned\tserver\tuntil [-0-9]{10} [0-9:]{5}\tspam", dale)
    assert bill == "bill\tmuted\tserver\tfor good\tnoise"
    anyhow.does("unban", "dale")
    anyhow.does("unban", "2001:db8::2")
    anyhow.does("unmute", "bill")
    assert anyhow.does("bans") == ""


def test_a_name_that_reads_as_an_address_is_a_name(anyhow: Place) -> None:
    said = anyhow.does("ban", "198.51.100.7")
    assert "198.51.100.7 is banned" in said and "--address 198.51.100.7" in said
    anyhow.does("ban", "--address", "198.51.100.7")
    assert [line.split("\t")[0] for line in anyhow.does("bans").splitlines()] == ["198.51.100.7", "198.51.100.7/32"]
    anyhow.does("unban", "198.51.100.7")
    assert anyhow.does("bans").startswith("198.51.100.7/32\t")
    anyhow.does("unban", "198.51.100.7/32")
    assert anyhow.does("bans") == ""


def test_a_guest_who_is_called_like_an_address_is_banned_and_nobody_else(
    place: Place, start_server: Callable[..., RunningServer]
) -> None:
    server = start_server(store=place.url)
    guests = {name: place.dials(server.port) for name in ("127.0.0.1", "198.51.100.7", "bystander")}
    for name, line in guests.items():
        assert line.enters(name)["response"] == 200
    for name in ("127.0.0.1", "198.51.100.7"):
        assert "connections closed: 1" in place.does("ban", name)
        assert place.dials(server.port).enters(name)["code"] == "banned"
    assert guests["bystander"].asks(action="probe", id="p")["response"] == 200


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


def test_a_refusal_is_one_line_and_an_exit_code(anyhow: Place) -> None:
    for words, code, sentence in REFUSED:
        done = anyhow.admin(*words)
        assert (done.out, done.err.count("\n")) == ("", 1) and sentence in done.err, done
        assert done.code in ((69, 77) if code is None else (code,)), done


def test_a_kick_needs_a_server(place: Place) -> None:
    place.adds("hank")
    done = place.admin("kick", "hank")
    assert done.code == 69 and "kick needs a running server" in done.err


def test_all_of_it_is_told_to_the_log(place: Place) -> None:
    place.adds("hank")
    place.does("user", "grant", "hank")
    with place.serves() as server:
        port = server.port()
        hank, bill = place.dials(port), place.dials(port)
        assert hank.enters("hank", password=PASSWORD)["role"] == "operator"
        bill.enters("bill")
        assert hank.asks(action="join", id="j", room="#dev")["response"] == 200
        assert hank.asks(action="mute", id="m", user="bill", reason="a b", **{"for": 60})["response"] == 200
        assert hank.asks(action="block", id="b", user="bill")["response"] == 200
        assert place.does("kick", "bill", "--reason", "calm down") == ("bill is disconnected; connections closed: 1.\n")
        assert bill.hears()["action"] == "synced" and bill.hears()["code"] == "kicked"
        place.does("room", "close", "#dev", "--reason", "loud")
        while (told := hank.hears())["action"] != "close":
            pass
        assert (told["user"]["account_name"], told["reason"]) == ("server", "loud")
        assert place.does("room", "list") == "#dev\t1 members, closed\tseq 0\t\n"
        place.does("room", "open", "#dev")
        place.does("user", "revoke", "hank")
        server.process.terminate()
        _, log = server.end()
    told = re.findall(r"INFO moderated (.*)", log)
    assert told == [
        'by=hank method=mute what=bill for=60.0 reason="a b"',
        "by=hank method=block what=bill",
        'by=server method=kick what=bill reason="calm down"',
        "by=server method=close what=#dev reason=loud",
        "by=server method=open what=#dev",
        "by=server method=revoke what=hank",
    ]
