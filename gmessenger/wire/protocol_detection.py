"""Detection of other protocols than the expected one (HTTP, TLS, SSH, SOCKS …) by the first bytes of a connection.

A web page can have a browser send an HTTP request with any body to any port. The lenient reader that course clients
need would find JIM requests in the body, so a connection that speaks another protocol is not read. JIM begins with `{`;
a connection that begins otherwise, but with none of these protocols, is of a faulty client: its first line is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

EXPECTED: Final = ""
"""The result for a connection of no other known protocol: it speaks what is expected, or rubbish."""

ANY_BYTE: Final = bytes(range(256))
DIGITS: Final = b"0123456789"


def _literal(text: bytes) -> tuple[bytes, ...]:
    return tuple(bytes([byte]) for byte in text)


HTTP_METHODS: Final = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT".split())
"""A line that begins with one of these and a space is a request, whatever follows."""


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
    ),  # after a byte order mark
    ("xml", _literal(b"<?xml")),
    ("xml", _literal(b"<stream:stream")),
    ("xml", _literal(b"<policy-file-request")),
)
"""Protocols, and for each of their first bytes the values it may have."""

WHITESPACE: Final = b" \t\r\n"
SPACE_OR_TAB: Final = b" \t"
SLASH: Final = ord("/")
QUOTE: Final = ord('"')
BRACE: Final = ord("{")
# The parts of a request line, `TOKEN SP target SP HTTP/x` (RFC 9112); those of RTSP and SIP are alike.
REQUEST_LINE_PARTS: Final = (
    re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*"),
    re.compile(rb"[^ \t\n\"]*"),  # no URL has a quote, and all JSON objects have one soon
    re.compile(rb"[A-Za-z]*"),
)
METHOD, TARGET, VERSION = range(3)

REJECTIONS: Final[dict[str, bytes]] = {
    "http": (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 49\r\n"
        b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        b"This is a chat server's port. It speaks no HTTP.\n"
    ),
    # A fatal alert, protocol_version.
    "tls": b"\x15\x03\x01\x00\x02\x02\x46",
}
"""The answers to clients of other protocols, in their protocol, before their connections are closed."""


class ProtocolDetector:
    """Detects the protocol of one connection from its first bytes, however they arrive."""

    __slots__ = ("_own_words", "_part", "_part_start", "_position", "buffer")

    def __init__(self, own_words: Collection[bytes] = ()) -> None:
        """Detect other protocols than one whose connections may begin with these words, in upper case, and a space."""
        self._own_words = own_words
        self.buffer = bytearray()
        """The bytes fed so far; all of them, as soon as the protocol is known."""
        self._part = self._position = self._part_start = 0

    @property
    def needed_length(self) -> int:
        """The number of bytes that had to be looked at, however many arrived."""
        return self._position

    def feed(self, data: bytes) -> str | None:
        """Append `data` to the buffer; return the name of a protocol, `EXPECTED`, or None if more bytes are needed.

        White space at the beginning is dropped, as HTTP servers ignore empty lines before a request.
        """
        self.buffer += data if self.buffer else data.lstrip(WHITESPACE)
        if not self.buffer:
            return None
        if self.buffer[0] == BRACE:  # nearly always
            return EXPECTED
        protocol = _match_signature(self.buffer)
        if protocol != EXPECTED:
            return protocol
        return self._match_request_line()

    def _match_request_line(self) -> str | None:
        # Resumed where it stopped: a line that arrives byte by byte costs no more than one that arrives whole.
        buffer = self.buffer
        while True:
            self._position = REQUEST_LINE_PARTS[self._part].match(buffer, self._position).end()  # type: ignore[union-attr]
            if self._position == len(buffer):
                return None
            if self._part == VERSION and buffer[self._position] not in WHITESPACE:
                if self._position > self._part_start and buffer[self._position] == SLASH:
                    if self._position + 1 == len(buffer):
                        return None
                    if buffer[self._position + 1] in DIGITS:
                        return "http"
                if buffer[self._position] == QUOTE:
                    return EXPECTED
                self._part = TARGET  # one with a space that is not encoded
            elif buffer[self._position] not in SPACE_OR_TAB or self._position == self._part_start:
                return EXPECTED
            elif self._part == METHOD and (protocol := self._match_word(bytes(buffer[: self._position]))) is not None:
                return protocol
            elif not self._skip_to_next_part():
                return None

    def _match_word(self, word: bytes) -> str | None:
        """Return the protocol of a line that begins with a word and a space; None if the word does not tell."""
        if word in HTTP_METHODS:
            return "http"
        return EXPECTED if word.upper() in self._own_words else None

    def _skip_to_next_part(self) -> bool:
        """Skip the space before the next part; return False if that has not arrived."""
        buffer = self.buffer
        while self._position < len(buffer) and buffer[self._position] in SPACE_OR_TAB:
            self._position += 1
        if self._position == len(buffer):
            self._position -= 1
            return False
        self._part = min(self._part + 1, VERSION)
        self._part_start = self._position
        return True


def detect_protocol(data: bytes, own_words: Collection[bytes] = ()) -> str | None:
    """Detect a protocol from the first bytes of a connection in one call, as `ProtocolDetector.feed`."""
    return ProtocolDetector(own_words).feed(data)


def _match_signature(data: bytes | bytearray) -> str | None:
    """Return the protocol whose signature `data` begins with, else `EXPECTED`; None if `data` is too short to tell."""
    undecided = False
    for protocol, signature in SIGNATURES:
        if all(byte in allowed for byte, allowed in zip(data, signature, strict=False)):
            if len(data) >= len(signature):
                return protocol
            undecided = True
    return None if undecided else EXPECTED
