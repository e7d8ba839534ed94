"""Headers of the PROXY protocol, from tables: whole, byte by byte, truncated, too long, invalid."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.errors import BadProxyHeader
from gmessenger.wire.proxy_protocol import MAX_V1_LINE, MAX_V2_PAYLOAD, V2_SIGNATURE, ProxyHeader, bytes_needed, parse


def v2(command: int, family: int, rest: bytes = b"") -> bytes:
    return V2_SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2, "big") + rest


FOUR = ip_address("192.0.2.7").packed + ip_address("198.51.100.1").packed + b"\x30\x39\x1e\x61"
SIX = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + b"\x30\x39\x1e\x61"
MORE = b"\x04\x00\x03any"
HEADERS = {
    "2, IPv4": (v2(0x21, 0x11, FOUR), ProxyHeader(ip_address("192.0.2.7"), 12345)),
    "2, IPv6": (v2(0x21, 0x21, SIX), ProxyHeader(ip_address("2001:db8::7"), 12345)),
    "2, with more": (v2(0x21, 0x11, FOUR + MORE), ProxyHeader(ip_address("192.0.2.7"), 12345)),
    "2, with the most": (
        v2(0x21, 0x11, FOUR.ljust(MAX_V2_PAYLOAD, b"\0")),
        ProxyHeader(ip_address("192.0.2.7"), 12345),
    ),
    "2, local": (v2(0x20, 0x00), ProxyHeader(is_local=True)),
    "2, local with an address": (v2(0x20, 0x11, FOUR), ProxyHeader(is_local=True)),
    "2, unspecified": (v2(0x21, 0x00), ProxyHeader()),
    "2, a Unix socket": (v2(0x21, 0x31, b"/" * 216), ProxyHeader()),
    "1, IPv4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 7777\r\n", ProxyHeader(ip_address("192.0.2.7"), 12345)),
    "1, IPv6": (b"PROXY TCP6 2001:db8::7 ::1 12345 7777\r\n", ProxyHeader(ip_address("2001:db8::7"), 12345)),
    "1, unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    "1, unknown with words": (b"PROXY UNKNOWN a b c d\r\n", ProxyHeader()),
}
RUBBISH = {
    "a frame": b'{"action":"presence"}\n',
    "TLS": b"\x16\x03\x01\x02\x00",
    "nothing of the kind": b"\r\n\r\n\0\r\nQUIZ\n",
    "version 1 of 2": v2(0x11, 0x11, FOUR),
    "an unknown command": v2(0x22, 0x11, FOUR),
    "addresses cut short": v2(0x21, 0x11, FOUR[:-1]),
    "IPv6 in the room of IPv4": v2(0x21, 0x21, FOUR),
    "too long": v2(0x21, 0x11, FOUR.ljust(MAX_V2_PAYLOAD + 1, b"\0")),
    "a line without end": b"PROXY UNKNOWN ".ljust(MAX_V1_LINE, b"x"),
    "a line of another kind": b"PROXY UDP4 192.0.2.7 198.51.100.1 12345 7777\r\n",
    "families mixed": b"PROXY TCP4 192.0.2.7 ::1 12345 7777\r\n",
    "IPv6 called IPv4": b"PROXY TCP4 ::1 ::1 12345 7777\r\n",
    "too few words": b"PROXY TCP4 192.0.2.7 198.51.100.1\r\n",
    "no words": b"PROXY \r\n",
    "a port too high": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 7777\r\n",
    "a port that is none": b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 7777\r\n",
    "no UTF-8": b"PROXY TCP4 \xff\xfe 198.51.100.1 1 7777\r\n",
}


def received(data: bytes, most: int) -> tuple[ProxyHeader, bytes]:
    """Read a header from `data`, at most `most` bytes at a time; return it and the rest."""
    header = b""
    while wanted := bytes_needed(header):
        more = data[len(header) : len(header) + min(wanted, most)]
        if not more:
            raise EOFError(header)
        header += more
    return parse(header), data[len(header) :]


@pytest.mark.parametrize("most", [1, 5, 100_000])
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_read_and_not_a_byte_more(name: str, most: int) -> None:
    header, parsed = HEADERS[name]
    assert received(header + b'{"action":', most) == (parsed, b'{"action":')


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_stops_is_not_whole(name: str) -> None:
    header, _ = HEADERS[name]
    for end in range(len(header) if len(header) < 300 else 40):
        with pytest.raises(EOFError):
            received(header[:end], 100_000)


@pytest.mark.parametrize("most", [1, 100_000])
@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_refused(name: str, most: int) -> None:
    with pytest.raises(BadProxyHeader):
        received(RUBBISH[name], most)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda rest: V2_SIGNATURE + rest)))
def test_nothing_else_comes_of_any_bytes(data: bytes) -> None:
    with contextlib.suppress(BadProxyHeader, EOFError):
        received(data, 100_000)
