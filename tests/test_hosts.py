"""Hosts as people write them: names, addresses, brackets, ports, and invalid ones."""

from __future__ import annotations

from functools import partial

import pytest

from gmessenger.bus import check_bus_url
from gmessenger.errors import ConfigError
from gmessenger.hosts import ascii_host, join_host_port, split_host_port, strip_brackets
from gmessenger.store import open_store

WRITTEN = {
    "chat.example.org": ("chat.example.org", None),
    "chat.example.org.": ("chat.example.org.", None),
    "chat.example.org:7777": ("chat.example.org", 7777),
    "192.0.2.7": ("192.0.2.7", None),
    "192.0.2.7:1": ("192.0.2.7", 1),
    "::1": ("::1", None),
    "[::1]": ("::1", None),
    "[::1]:7777": ("::1", 7777),
    "2001:db8::7777": ("2001:db8::7777", None),
    "fe80::1%eth0": ("fe80::1%eth0", None),
    "[fe80::1%eth0]:65535": ("fe80::1%eth0", 65535),
    "bücher.example": ("bücher.example", None),
    "_chat.example": ("_chat.example", None),
}
NO_HOSTS = [
    *("", ":", ":7777", "chat..example", ".example", "a" * 64 + ".example", ".".join(["a" * 60] * 5)),
    *("chat example", "chat\0", "\0", "chat\n", "chat\u00a0", "chat\t:7777", "\ud800.example"),
    *("chat:0", "chat:65536", "chat:-1", "chat:+1", "chat:x", "chat:", "chat:٧", "chat:7777:7777"),
    *(
        "[chat]",
        "[192.0.2.7]:1",
        "[::1",
        "::1]",
        "[::1]7777",
        "[::1]:",
        "[[::1]]",
        "user@chat",
        "chat/x",
        "http://chat",
    ),
]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_host_and_a_port_are_told_apart(text: str) -> None:
    assert split_host_port(text) == WRITTEN[text]


@pytest.mark.parametrize("text", NO_HOSTS, ids=repr)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_host_port(text)


@pytest.mark.parametrize("text", [text for text in NO_HOSTS if not text.startswith("[") or text == "[chat]"], ids=repr)
def test_a_resolver_is_asked_for_nothing_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ascii_host(text)


def test_a_resolver_gets_ascii() -> None:
    assert ascii_host("bücher.example") == "xn--bcher-kva.example"
    assert (ascii_host("[::1]"), ascii_host("::1"), ascii_host("Chat")) == ("::1", "::1", "Chat")


@pytest.mark.parametrize("text", WRITTEN)
def test_what_was_split_is_joined_again(text: str) -> None:
    host, port = WRITTEN[text]
    assert split_host_port(join_host_port(host, port or 7777)) == (host, port or 7777)
    assert strip_brackets(host) == host


def test_only_an_address_loses_its_brackets() -> None:
    assert (
        strip_brackets("[::1]"),
        strip_brackets("[chat]"),
        strip_brackets("["),
        strip_brackets("[]"),
        strip_brackets(""),
    ) == (*("::1", "[chat]", "[", "[]", ""),)


@pytest.mark.parametrize("host", ["chat..example", "a" * 64 + ".example"])
@pytest.mark.parametrize("kind", ["postgresql", "redis", "rediss"])
def test_a_url_with_a_host_that_cannot_be_is_refused_without_its_password(
    kind: str, host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before the resolver hears of it, which would print a traceback, and with it perhaps the password."""
    url = f"{kind}://hank:secret@{host}/0"
    open_it = (
        partial(open_store, url, lambda *_: None, 1.0, 1) if kind == "postgresql" else partial(check_bus_url, url, 1.0)
    )
    with pytest.raises(ConfigError) as problem:
        open_it()
    assert "secret" not in str(problem.value) and host in str(problem.value)
    assert capfd.readouterr() == ("", "")
