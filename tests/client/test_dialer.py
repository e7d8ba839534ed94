"""The dialer: all addresses of a host are tried, and the first that responds is used."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import gevent
import pytest
from gevent.event import Event

from gmessenger.client import dialer
from gmessenger.client.dialer import MAX_ADDRESSES, ResolvedAddress, dial, interleave_families
from tests.support.scripted_server import reserve_port

TIMEOUT = 10.0
LookUp = Callable[..., None]


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> LookUp:
    """Set the addresses of the host `chat.test`."""

    def says(*places: tuple[str, int]) -> None:
        def resolve(host: str, port: int, timeout: float) -> list[ResolvedAddress]:
            return [
                ResolvedAddress(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_STREAM, 0, place)
                for place in places
            ]

        monkeypatch.setattr(dialer, "resolve", resolve)

    return says


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        yield sock


@pytest.fixture
def refusing() -> Iterator[tuple[str, int]]:
    """An address where nothing listens."""
    with closing(reserve_port()) as sock:
        yield sock.getsockname()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """An address from which no response comes."""
    place = ("127.0.0.3", 9)
    real = dialer._connect

    def connect(address: ResolvedAddress) -> socket.socket:
        if address.sockaddr == place:
            Event().wait()
        return real(address)

    monkeypatch.setattr(dialer, "_connect", connect)
    return place


def test_an_address_that_refuses_gives_way_to_the_next(
    looked_up: LookUp, listener: socket.socket, refusing: tuple[str, int]
) -> None:
    looked_up(refusing, listener.getsockname())
    with closing(dial("chat.test", 0, TIMEOUT)) as sock:
        assert sock.getpeername() == listener.getsockname()


def test_an_address_that_is_silent_holds_nothing_up(
    looked_up: LookUp, listener: socket.socket, silent: tuple[str, int]
) -> None:
    looked_up(silent, silent, listener.getsockname())
    with closing(dial("chat.test", 0, TIMEOUT)) as sock:
        assert sock.getpeername() == listener.getsockname()


def test_the_first_failure_is_told_when_none_answers(looked_up: LookUp, refusing: tuple[str, int]) -> None:
    looked_up(refusing, ("127.0.0.1", 0))
    with pytest.raises(ConnectionRefusedError):
        dial("chat.test", 0, TIMEOUT)


def test_all_of_it_ends_in_time(looked_up: LookUp, silent: tuple[str, int], refusing: tuple[str, int]) -> None:
    looked_up(silent, refusing, silent)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        dial("chat.test", 0, 0.05)


def test_a_host_without_addresses_is_said(looked_up: LookUp) -> None:
    looked_up()
    with pytest.raises(OSError, match="the host name has no address"):
        dial("chat.test", 0, TIMEOUT)


def test_attempts_that_are_given_up_leave_no_socket_open(
    looked_up: LookUp, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets: list[socket.socket] = []
    real = dialer._connect

    def connect(address: ResolvedAddress) -> socket.socket:
        sockets.append(real(address))
        gevent.sleep(0)  # the others come in before the first is taken
        return sockets[-1]

    monkeypatch.setattr(dialer, "_connect", connect)
    monkeypatch.setattr(dialer, "ATTEMPT_DELAY", 0.0)
    looked_up(*[listener.getsockname()] * 3)
    with closing(dial("chat.test", 0, TIMEOUT)) as sock:
        assert [item.fileno() == -1 for item in sockets if item is not sock] == [True] * (len(sockets) - 1)


def test_families_take_turns_and_their_number_is_bounded() -> None:
    six = [ResolvedAddress(socket.AF_INET6, 0, 0, (f"2001:db8::{n}", 1)) for n in range(30)]
    four = [ResolvedAddress(socket.AF_INET, 0, 0, ("192.0.2.1", 1))]
    assert [item.sockaddr[0] for item in interleave_families([*six, *four])][:4] == [
        *("2001:db8::0", "192.0.2.1", "2001:db8::1", "2001:db8::2"),
    ]
    assert len(interleave_families([*six, *four])) == MAX_ADDRESSES


@pytest.mark.parametrize("host", ["chat..example", "a" * 64 + ".example", "a\0b", "a b", ""], ids=repr)
def test_what_is_no_host_is_said_without_a_traceback(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="this is not a host name"):
        dial(host, 7777, TIMEOUT)
    assert capfd.readouterr() == ("", "")
