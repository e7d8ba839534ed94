"""The protocols of the compared servers: logins, subscriptions, joins and messages as bytes.

A `WireProtocol` returns steps: (what is sent, part of the response to wait for). `workloads.py` makes plans for the
load generator of them. The text of a message is `TEXT`, a caret, sixteen digits for the generator's clock, and a filler
to 100 bytes; or, with words in place of the filler, one of `word_texts`.
"""

from __future__ import annotations

import base64
import random
import struct
import time
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

TEXT: Final = b"^" + b"0" * 16 + b"x" * 83
WORD_TEXTS: Final = 64  # different texts of each writer
VOCABULARY: Final = 5_000  # words; the same for all servers, as frequent as in a language (Zipf)
ROOM: Final = "bench"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105
BATCHES: Final = (f"{time.time_ns() // 1000:x}.{number}." for number in count())
"""Prefixes of ids, one for each writer of each run: ids of earlier runs are in the store already."""

UPGRADE: Final = (
    b"GET /jim HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
Steps = list[tuple[bytes, bytes]]


def word_texts(writer: int) -> list[bytes]:
    """Return the texts of a writer, each of `TEXT`'s length: words of two to ten letters, the same in each run."""
    draw = random.Random(writer)  # noqa: S311
    return [_fill_with_words(draw) for _ in range(WORD_TEXTS)]


def _fill_with_words(draw: random.Random) -> bytes:
    text = TEXT[:17].decode()
    while len(text) < len(TEXT):
        text += f" {_word(int(VOCABULARY ** draw.random()))}"  # a rank is as frequent as it is low
    return text[: len(TEXT)].encode()


def _word(rank: int) -> str:
    """Return the word of a rank: the more frequent, the shorter."""
    letters = random.Random(rank)  # noqa: S311
    syllables = 1 + (rank > 20) + (rank > 300) + letters.randrange(3)
    return "".join(letters.choice("bdfghklmnprstvw") + letters.choice("aeiou") for _ in range(syllables))


def masked(line: bytes) -> bytes:
    """Return a line as a WebSocket's text message. The mask is of zeros, so that the generator can write into it."""
    text = line.rstrip(b"\n")
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
    return b"\x81" + length + bytes(4) + text


@dataclass(frozen=True)
class Message:
    """The bytes of a message; `serial`: where the generator puts a number, and its length."""

    frame: bytes
    serial: tuple[int, int] = (0, 0)


class WireProtocol:
    """A protocol, with what most of them have in common."""

    kind: Literal["text", "nats", "mqtt"] = "text"
    echoes_to_sender = False
    """Whether a room sends a message back to its sender."""
    separate_writers = False
    """Whether the senders in a room are connections of their own, which do not receive its messages."""
    concurrent_logins = 250
    """Connections that log in at the same time."""
    answer = b""
    """Part of the response to each message; empty if the protocol has none."""

    def login(self, name: str) -> Steps:
        return []

    def listen(self, name: str) -> Steps:
        return []

    def join(self, name: str) -> Steps:
        return self.listen(ROOM)

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        raise NotImplementedError

    def room_message(self, sender: str) -> Message:
        return self.message(ROOM, sender)

    def acknowledgement(self, partner: str) -> bytes:
        """Return what a recipient sends after each hundred deliveries; empty for nothing."""
        return b""


class Irc(WireProtocol):
    def login(self, name: str) -> Steps:
        return [(f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode(), b" 001 "), (b"PING :ready\r\n", b"ready")]

    def join(self, name: str) -> Steps:
        return [(f"JOIN #{ROOM}\r\n".encode(), b" 366 ")]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(b"PRIVMSG %s :%s\r\n" % (to.encode(), text))

    def room_message(self, sender: str) -> Message:
        return self.message(f"#{ROOM}", sender)


class Jim(WireProtocol):
    """Guests, whose messages have no id, so that there is a response only to a refused one."""

    def login(self, name: str) -> Steps:
        return [(b'{"action":"presence","jim":2,"user":{"account_name":"%s"}}\n' % name.encode(), b'"synced"')]

    def join(self, name: str) -> Steps:
        return [(b'{"action":"join","id":"j","room":"#%s"}\n' % ROOM.encode(), b'"id":"j"')]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(b'{"action":"msg","to":"%s","message":"%s"}\n' % (to.encode(), text))

    def room_message(self, sender: str) -> Message:
        return self.message(f"#{ROOM}", sender)


class JimWebSocket(Jim):
    """Guests over WebSocket, at `--web`."""

    def login(self, name: str) -> Steps:
        return [(UPGRADE, b"\r\n\r\n"), *((masked(sent), awaited) for sent, awaited in super().login(name))]

    def join(self, name: str) -> Steps:
        return [(masked(sent), awaited) for sent, awaited in super().join(name)]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(masked(super().message(to, sender, text).frame))


class JimAccounts(Jim):
    """Accounts, whose messages have an id and get a response when they are on disk."""

    answer = b'"response":200'
    concurrent_logins = 32  # the server hashes few passwords at a time, and its queue is short

    def login(self, name: str) -> Steps:
        user = b'{"account_name":"%s","password":"%s"}' % (name.encode(), PASSWORD.encode())
        return [(b'{"action":"presence","jim":2,"user":%s}\n' % user, b'"synced"')]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        head = b'{"action":"msg","id":"%s' % next(BATCHES).encode()
        rest = b'00000000","to":"%s","message":"%s"}\n' % (to.encode(), text)
        return Message(head + rest, serial=(len(head), 8))

    def acknowledgement(self, partner: str) -> bytes:
        # A seq above the last one acknowledges everything.
        return b'{"action":"ack","with":"%s","seq":%d}\n' % (partner.encode(), 2**40)


class Redis(WireProtocol):
    separate_writers = True

    def listen(self, name: str) -> Steps:
        return [(b"SUBSCRIBE %s\r\n" % name.encode(), b"subscribe")]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        head = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n" % (len(to), to.encode())
        return Message(head + b"$%d\r\n%s\r\n" % (len(text), text))


class Nats(WireProtocol):
    kind = "nats"

    def login(self, name: str) -> Steps:
        return [(b'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\nPING\r\n', b"PONG\r\n")]

    def listen(self, name: str) -> Steps:
        return [(b"SUB %s %s\r\nPING\r\n" % (name.encode(), name.encode()), b"PONG\r\n")]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(b"PUB %s %d\r\n%s\r\n" % (to.encode(), len(text), text))


class JetStream(Nats):
    """A stream stores `stored.NAME`; a consumer sends it to `to.NAME` (`setup_steps.make_streams`)."""

    answer = b'"seq":'

    def login(self, name: str) -> Steps:
        return [*super().login(name), *self.listen(f"answers.{name}")]

    def listen(self, name: str) -> Steps:
        return super().listen(name if "." in name else f"to.{name}")

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(b"PUB stored.%s answers.%s %d\r\n%s\r\n" % (to.encode(), sender.encode(), len(text), text))

    def acknowledgement(self, partner: str) -> bytes:
        return b"+ACK"  # the generator adds the subject, which each delivery names


class Mqtt(WireProtocol):
    kind = "mqtt"
    separate_writers = True
    qos = 0

    def login(self, name: str) -> Steps:
        flags = 0 if self.qos else 2  # 2: no session outlives the connection
        connect = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x00" + length_prefixed(name)
        return [(packet(0x10, connect), b"\x20\x02")]

    def listen(self, name: str) -> Steps:
        return [(packet(0x82, b"\x00\x01" + length_prefixed(name) + bytes([self.qos])), b"\x90\x03")]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(packet(0x30, length_prefixed(to) + text))


class MqttStored(Mqtt):
    """QoS 1 and sessions that outlive their connections; both sides acknowledge every message."""

    qos = 1
    answer = b"\x40\x02"

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        frame = packet(0x32, length_prefixed(to) + b"\x00\x00" + text)
        return Message(frame, serial=(len(frame) - len(text) - 2, 2))


def length_prefixed(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def packet(kind: int, body: bytes) -> bytes:
    size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([kind]) + size + body


class Xmpp(WireProtocol):
    """Client to server without TLS; prosody accepts any password."""

    echoes_to_sender = True

    def login(self, name: str) -> Steps:
        stream = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client'"
        stream += b" xmlns:stream='http://etherx.jabber.org/streams'>"
        plain = base64.b64encode(b"\0%s\0%s" % (name.encode(), PASSWORD.encode()))
        auth = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>" % plain
        bind = (
            b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
        )
        return [
            (stream, b"</stream:features>"),
            (auth, b"<success"),
            (stream, b"</stream:features>"),
            (bind, b"</iq>"),
            (b"<presence/>", b"<presence"),
        ]

    def join(self, name: str) -> Steps:
        muc = b"<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
        presence = b"<presence to='%s@rooms.localhost/%s'>%s</presence>" % (ROOM.encode(), name.encode(), muc)
        return [(presence, b"code='110'")]

    def message(self, to: str, sender: str, text: bytes = TEXT) -> Message:
        return Message(b"<message to='%s@localhost' type='chat'><body>%s</body></message>" % (to.encode(), text))

    def room_message(self, sender: str) -> Message:
        to = f"{ROOM}@rooms.localhost".encode()
        return Message(b"<message to='%s' type='groupchat'><body>%s</body></message>" % (to, TEXT))
