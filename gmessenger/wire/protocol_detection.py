"""Recognise by its first bytes a connection that speaks another protocol than JIM: HTTP, TLS, SSH, SOCKS and others.

A web page can make a browser send an HTTP request with a body of its choice to any port. Read leniently, as course
clients need it, the body would be obeyed; so nothing of such a connection is acted upon. JIM begins with `{`; what
begins otherwise and is none of these protocols is a clumsy client, whose first line is refused and skipped.
"""

from __future__ import annotations

import re
from typing import Final

JIM: Final = ""
"""The verdict on an opening of no other known protocol."""

ANY_BYTE: Final = bytes(range(256))
DIGITS: Final = b"0123456789"


def _literal(text: bytes) -> tuple[bytes, ...]:
    return tuple(bytes([byte]) for byte in text)


HTTP_METHODS: Final = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT".split())
"""With one of these and a space a line is a request, whatever follows."""


SIGNATURES: Final[tuple[tuple[str, tuple[bytes, ...]], ...]] = (
    ("tls", (b"\x16", b"\x03", b"\x00\x01\x02\x03\x04")),  # record: handshake, version 3.x
    ("tls", (bytes(range(0x80, 0x100)), ANY_BYTE, b"\x01", b"\x03", b"\x00\x01\x02\x03\x04")),  # a ClientHello of SSL 2
    ("ssh", _literal(b"SSH-")),
    ("socks4", (b"\x04", b"\x01\x02")),
    ("socks5", (b"\x05", bytes(range(1, 17)), bytes(range(10)) + bytes(range(0x80, 0x100)))),
    ("rdp", (b"\x03", b"\x00", ANY_BYTE, ANY_BYTE, ANY_BYTE, b"\xe0")),  # TPKT with an X.224 connection request
    ("smb", (b"\x00", b"\x00\x01", ANY_BYTE, ANY_BYTE, b"\xfe\xff", b"S", b"M", b"B")),
    (
        "stun",
        (b"\x00", ANY_BYTE, ANY_BYTE, ANY_BYTE, b"\x21", b"\x12", b"\xa4", b"\x42"),
    ),  # by the magic cookie; TURN as well
    ("postgresql", (b"\x00", b"\x00", ANY_BYTE, ANY_BYTE, b"\x00", b"\x03", b"\x00")),  # a startup message of version 3
    ("postgresql", (b"\x00", b"\x00", b"\x00", b"\x08\x10", b"\x04", b"\xd2", b"\x16")),  # SSLRequest and its like
    ("mqtt", (b"\x10", ANY_BYTE, b"\x00", b"\x04", b"M", b"Q", b"T", b"T")),
    ("amqp", _literal(b"AMQP")),
    ("bittorrent", _literal(b"\x13BitTorrent protocol")),
    ("redis", (b"*", DIGITS, b"\r", b"\n", b"$")),
    ("http", (*_literal(b"HTTP/"), DIGITS)),  # an answer
    *(
        ("http", _literal(b"\xef\xbb\xbf" + method + b" ")) for method in sorted(HTTP_METHODS)
    ),  # behind a byte order mark
    ("xml", _literal(b"<?xml")),
    ("xml", _literal(b"<stream:stream")),
    ("xml", _literal(b"<policy-file-request")),
)
"""Protocols by how they begin: for each byte, those that it may be."""

WHITESPACE: Final = b" \t\r\n"
SPACE_OR_TAB: Final = b" \t"
SLASH: Final = ord("/")
QUOTE: Final = ord('"')
BRACE: Final = ord("{")
# The parts of a request line, `TOKEN SP target SP HTTP/x` (RFC 9112), of which RTSP and SIP are kin.
REQUEST_LINE_PARTS: Final = (
    re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*"),
    re.compile(rb"[^ \t\n\"]*"),  # a quote is never in a URL, and soon in JSON
    re.compile(rb"[A-Za-z]*"),
)
METHOD, TARGET, VERSION = range(3)

REJECTIONS: Final[dict[str, bytes]] = {
    "http": (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 49\r\n"
        b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        b"This is a chat server's port. It speaks no HTTP.\n"
    ),
    # A fatal alert, protocol_version: none is spoken here.
    "tls": b"\x15\x03\x01\x00\x02\x02\x46",
}
"""What a client of another protocol is told in its own language before it is hung up on."""


class ProtocolDetector:
    """Judges the first bytes of one connection, however they are split."""

    __slots__ = ("_part", "_part_start", "_position", "buffer")

    def __init__(self) -> None:
        self.buffer = bytearray()
        """Bytes that were fed and not decided about."""
        self._part = self._position = self._part_start = 0

    def feed(self, data: bytes) -> str | None:
        """Judge, with `data` added to the bytes `held`: a protocol's name, `JIM`, or None where more is needed.

        White space at the beginning is dropped: HTTP servers overlook empty lines before a request, too.
        """
        self.buffer += data if self.buffer else data.lstrip(WHITESPACE)
        if not self.buffer:
            return None
        if self.buffer[0] == BRACE:  # nearly always
            return JIM
        found = _match_signature(self.buffer)
        if found != JIM:
            return found
        return self._match_request_line()

    def _match_request_line(self) -> str | None:
        # It goes on where it stopped: a line that comes byte by byte costs no more than one that comes whole.
        held = self.buffer
        while True:
            self._position = REQUEST_LINE_PARTS[self._part].match(held, self._position).end()  # type: ignore[union-attr]
            if self._position == len(held):
                return None
            if self._part == VERSION and held[self._position] not in WHITESPACE:
                if self._position > self._part_start and held[self._position] == SLASH:
                    if self._position + 1 == len(held):
                        return None
                    if held[self._position + 1] in DIGITS:
                        return "http"
                if held[self._position] == QUOTE:
                    return JIM
                self._part = TARGET  # which holds a space that is not encoded
            elif held[self._position] not in SPACE_OR_TAB or self._position == self._part_start:
                return JIM
            elif self._part == METHOD and bytes(held[: self._position]) in HTTP_METHODS:
                return "http"
            elif not self._skip_to_next_part():
                return None

    def _skip_to_next_part(self) -> bool:
        """Skip the space before the next word; False where that has not come."""
        held = self.buffer
        while self._position < len(held) and held[self._position] in SPACE_OR_TAB:
            self._position += 1
        if self._position == len(held):
            self._position -= 1
            return False
        self._part = min(self._part + 1, VERSION)
        self._part_start = self._position
        return True


def detect_protocol(data: bytes) -> str | None:
    """Judge the first bytes of a connection at once; as `Opening.feed`."""
    return ProtocolDetector().feed(data)


def _match_signature(data: bytes | bytearray) -> str | None:
    """A protocol by its signature; None where `data` is the beginning of one, `JIM` where it is of none."""
    undecided = False
    for protocol, signature in SIGNATURES:
        if all(byte in allowed for byte, allowed in zip(data, signature, strict=False)):
            if len(data) >= len(signature):
                return protocol
            undecided = True
    return None if undecided else JIM
