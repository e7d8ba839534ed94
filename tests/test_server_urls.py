"""URLs of servers: what people type and paste, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.server_urls import ServerUrl, is_server_url, parse_server_url

URLS = {
    "wss://chat.example.org/jim": "wss://chat.example.org/jim",
    "wss://chat.example.org": "wss://chat.example.org/jim",
    "WSS://Chat.Example.ORG/": "wss://chat.example.org/jim",
    "wss://chat.example.org:443/jim": "wss://chat.example.org/jim",
    "wss://chat.example.org:8443": "wss://chat.example.org:8443/jim",
    "ws://127.0.0.1:7780": "ws://127.0.0.1:7780/jim",
    "ws://[::1]:80/jim": "ws://[::1]/jim",
    "wss://chat.example.org/team/jim": "wss://chat.example.org/team/jim",
    "wss://chat.example.org/jim?node=2": "wss://chat.example.org/jim?node=2",
    "wss://chat.example.org/jim?invite=abc&node=2": "wss://chat.example.org/jim?node=2",
    "wss://chat.example.org/чат": "wss://chat.example.org/%D1%87%D0%B0%D1%82",
    "wss://чат.example/jim": "wss://чат.example/jim",
    "https://chat.example.org": "wss://chat.example.org/jim",
    "https://chat.example.org/": "wss://chat.example.org/jim",
    "https://chat.example.org/jim": "wss://chat.example.org/jim",
    "https://chat.example.org/index.html?lang=ru#dev": "wss://chat.example.org/jim",
    "https://chat.example.org/team/": "wss://chat.example.org/team/jim",
    "http://127.0.0.1:7780/": "ws://127.0.0.1:7780/jim",
}


@pytest.mark.parametrize(("text", "shown"), URLS.items())
def test_what_a_url_stands_for(text: str, shown: str) -> None:
    url = parse_server_url(text)
    assert str(url) == shown and is_server_url(text)
    assert parse_server_url(str(url)) == ServerUrl(url.is_encrypted, url.host, url.port, url.target)


@pytest.mark.parametrize(
    ("text", "invite"),
    [
        ("https://chat.example.org/#invite=AB-cd%20e", "AB-cd e"),
        ("https://chat.example.org/?invite=one", "one"),
        ("https://chat.example.org/?invite=one#invite=two", "two"),
        ("https://chat.example.org/#/invite=one&room=dev", "one"),
        ("wss://chat.example.org/jim#invite=one", "one"),
        ("wss://chat.example.org/jim?invite=one", "one"),
        ("https://chat.example.org/#dev", None),
        ("https://chat.example.org/#invite=", None),
    ],
)
def test_an_invite_is_taken_out_of_it(text: str, invite: str | None) -> None:
    url = parse_server_url(text)
    assert url.invite == invite
    assert str(url) == "wss://chat.example.org/jim"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("wss://чат.example", "xn--80a0bn.example"),
        ("ws://[2001:db8::7]:7780", "[2001:db8::7]:7780"),
        ("wss://[fe80::1%eth0]", "[fe80::1]"),
        ("wss://chat.example:443", "chat.example"),
    ],
)
def test_the_host_of_requests(text: str, header: str) -> None:
    assert parse_server_url(text).host_header == header


@pytest.mark.parametrize(
    "text",
    [
        "chat.example.org",
        "chat.example.org:7777",
        "ftp://chat.example.org",
        "wss:chat.example.org",
        "wss://",
        "wss:///jim",
        "wss://:443/jim",
        "wss://chat.example.org:0/jim",
        "wss://chat.example.org:65536/jim",
        "wss://chat.example.org:jim",
        "wss://hank:secret@chat.example.org/jim",
        "wss://chat example.org/jim",
        "wss://chat.example.org/jim\r\nX: y",
        "wss://chat..example.org/jim",
        "wss://[::1/jim",
        "wss://[chat]/jim",
    ],
)
def test_what_names_no_server(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_server_url(text)


@given(st.text(max_size=40), st.sampled_from(["wss://", "https://h/", "ws://h:1/", "http://[::1]"]))
def test_any_text_is_a_url_whose_request_has_one_line_or_none(text: str, scheme: str) -> None:
    try:
        url = parse_server_url(scheme + text)
    except ValueError:
        return
    assert all(0x20 < ord(letter) < 0x7F for letter in url.host_header + url.target), url
    assert url.target.startswith("/")
