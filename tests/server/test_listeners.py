"""Listeners on all addresses of a name that this machine has, at one port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from gmessenger.errors import ListenError
from gmessenger.server.net import sockets
from gmessenger.server.net.sockets import listen_on, listen_tcp

ELSEWHERE = "203.0.113.251"
"""An address that no machine has (RFC 5737)."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Resolve host names to the addresses that a test sets."""
    found: dict[str, list[str]] = {}
    real = sockets.socket.getaddrinfo

    def look_up(host: str, *rest: object, **more: object) -> list[object]:
        return [entry for address in found.get(host, [host]) for entry in real(address, *rest, **more)]

    monkeypatch.setattr(sockets.socket, "getaddrinfo", look_up)
    return found


@pytest.fixture
def closed() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def places(sockets: list[socket.socket]) -> list[str]:
    return [sock.getsockname()[0] for sock in sockets]


@pytest.mark.parametrize("place", [False, True], ids=["listen", "listen_at"])
def test_all_addresses_of_a_name_share_one_port(names: dict[str, list[str]], closed: ExitStack, place: bool) -> None:
    names["two.test"] = ["127.0.0.2", "127.0.0.1"]
    sockets = listen_on("two.test:0", "health") if place else listen_tcp("two.test", 0)
    for sock in sockets:
        closed.enter_context(closing(sock))
    assert places(sockets) == ["127.0.0.2", "127.0.0.1"]
    ports = {sock.getsockname()[1] for sock in sockets}
    assert len(ports) == 1
    for address in places(sockets):
        socket.create_connection((address, *ports)).close()


def test_an_address_that_is_not_here_is_passed_over(names: dict[str, list[str]], closed: ExitStack) -> None:
    names["two.test"] = [ELSEWHERE, "127.0.0.1"]
    (only,) = listen_tcp("two.test", 0)
    closed.enter_context(closing(only))
    assert only.getsockname()[0] == "127.0.0.1"


def test_a_family_that_is_not_here_is_passed_over(
    names: dict[str, list[str]], closed: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    names["localhost"] = ["::1", "127.0.0.1"]
    real = sockets.socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(sockets.socket, "socket", without_ipv6)
    (only,) = listen_tcp("localhost", 0)
    closed.enter_context(closing(only))
    assert only.getsockname()[0] == "127.0.0.1"


def test_a_name_of_other_machines_is_refused(names: dict[str, list[str]]) -> None:
    names["other.test"] = [ELSEWHERE, "203.0.113.252"]
    with pytest.raises(ListenError, match=r"Cannot listen on port 0 of other\.test: Cannot assign"):
        listen_tcp("other.test", 0)


def test_a_port_that_is_taken_on_one_address_is_taken(names: dict[str, list[str]]) -> None:
    names["two.test"] = ["127.0.0.1", "127.0.0.2"]
    with closing(socket.create_server(("127.0.0.2", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match="in use"):
            listen_tcp("two.test", port)
    with closing(socket.create_server(("127.0.0.1", port))):
        pass  # and nothing was left behind on the first


def test_a_free_port_is_free_on_all_addresses(names: dict[str, list[str]], closed: ExitStack) -> None:
    """Another port is tried if that of the first address is taken on the second."""
    names["two.test"] = ["127.0.0.1", "127.0.0.2"]
    real, tries = sockets._bind, []

    def bound(family: int, address: tuple[str, int]) -> socket.socket:
        tries.append(address[0])
        if tries == ["127.0.0.1", "127.0.0.2"]:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(family, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "_bind", bound)
        bound_sockets = listen_tcp("two.test", 0)
    for sock in bound_sockets:
        closed.enter_context(closing(sock))
    assert (places(bound_sockets), len(tries)) == (["127.0.0.1", "127.0.0.2"], 4)


@pytest.mark.parametrize("host", ["chat..example", "a" * 64 + ".example", "a\0b", "[chat]", "a b"], ids=repr)
def test_what_is_no_host_is_said_without_a_traceback(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ListenError, match="this is not an address"):
        listen_tcp(host, 0)
    assert capfd.readouterr() == ("", "")


def test_brackets_are_for_people(closed: ExitStack) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        (only,) = listen_tcp("[::1]", 0)
    except ListenError as error:
        pytest.skip(f"this machine has no ::1: {error}")
    closed.enter_context(closing(only))
    assert only.getsockname()[0] == "::1"
