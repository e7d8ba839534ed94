"""Networks: how addresses are parsed, and in which networks one lies."""

from __future__ import annotations

import pytest

from gmessenger.chat.networks import NetworkSet, contains_loopback, parse_network
from gmessenger.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6/128", "2001:db8:1:2:3:4:5:6/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("127.0.0.1", "127.0.0.1/32"),
    ],
)
def test_what_an_address_means(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", "hank", "203.0.113", "203.0.113.7/33", "203.0.113.7:80", "5", "[::1]"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadRequest, match="neither"):
        parse_network(text)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.0/24", "0.0.0.0/0", "::1", "::/0", "::ffff:127.0.0.1"])
def test_what_holds_this_machine(text: str) -> None:
    assert contains_loopback(parse_network(text))


def test_what_does_not() -> None:
    assert not any(contains_loopback(parse_network(text)) for text in ("128.0.0.0/8", "2001:db8::/32", "10.0.0.1"))


def test_an_address_is_found_in_all_networks_around_it() -> None:
    networks = NetworkSet()
    assert list(networks.containing("10.1.2.3:80")) == []
    for text in ("10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "2001:db8:1:2::/64", "0.0.0.0/1"):
        networks.add(text)
    assert list(networks.containing("10.1.2.3:4567")) == ["10.1.2.3/32", "10.0.0.0/8", "0.0.0.0/1"]
    assert list(networks.containing("[::ffff:10.1.2.4]:80")) == ["10.0.0.0/8", "0.0.0.0/1"]
    assert list(networks.containing("[2001:db8:1:2::99]:80")) == ["2001:db8:1:2::/64", "2001:db8::/32"]
    assert list(networks.containing("200.1.1.1:80")) == list(networks.containing("a unix socket")) == []
    networks.discard("10.0.0.0/8")
    networks.discard("10.0.0.0/8")
    assert list(networks.containing("10.1.2.3:80")) == ["10.1.2.3/32", "0.0.0.0/1"]
