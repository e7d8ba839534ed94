"""The protocols of the compared servers: logins, subscriptions, joins and messages as bytes.

A `WireProtocol` returns steps: (what is sent, part of the response to wait for). `workloads.py` makes plans for the
load generator of them. The text of a message is `TEXT`: a caret, sixteen digits for the generator's clock, and a
filler to 100 bytes.
"""

from __future__ import annotations

import base64
import struct
import time
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

TEXT: Final = b"^" + b"0" * 16 + b"x" * 83
ROOM: Final = "bench"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105
BATCHES: Final = (f"{time.time_ns() // 1000:x}.{number}." for number in count())
"""Prefixes of ids, one for each writer of each run: ids of earlier runs are in the store already."""

Steps = list[tuple[bytes, bytes]]


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

    def message(self, to: str, sender: str) -> Message:
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

    def message(self, to: str, sender: str) -> Message:
        return Message(b"PRIVMSG %s :%s\r\n" % (to.encode(), TEXT))

    def room_message(self, sender: str) -> Message:
        return self.message(f"#{ROOM}", sender)


class Jim(WireProtocol):
    """Guests, whose messages have no id, so that there is a response only to a refused one."""

    def login(self, name: str) -> Steps:
        return [(b'{"action":"presence","jim":2,"user":{"account_name":"%s"}}\n' % name.encode(), b'"synced"')]

    def join(self, name: str) -> Steps:
        return [(b'{"action":"join","id":"j","room":"#%s"}\n' % ROOM.encode(), b'"id":"j"')]

    def message(self, to: str, sender: str) -> Message:
        return Message(b'{"action":"msg","to":"%s","message":"%s"}\n' % (to.encode(), TEXT))

    def room_message(self, sender: str) -> Message:
        return self.message(f"#{ROOM}", sender)


class JimAccounts(Jim):
    """Accounts, whose messages have an id and get a response when they are on disk."""

    answer = b'"response":200'
    concurrent_logins = 32  # the server hashes few passwords at a time, and its queue is short

    def login(self, name: str) -> Steps:
        user = b'{"account_name":"%s","password":"%s"}' % (name.encode(), PASSWORD.encode())
        return [(b'{"action":"presence","jim":2,"user":%s}\n' % user, b'"synced"')]

    def message(self, to: str, sender: str) -> Message:
        head = b'{"action":"msg","id":"%s' % next(BATCHES).encode()
        rest = b'00000000","to":"%s","message":"%s"}\n' % (to.encode(), TEXT)
        return Message(head + rest, serial=(len(head), 8))

    def acknowledgement(self, partner: str) -> bytes:
        # A seq above the last one acknowledges everything.
        return b'{"action":"ack","with":"%s","seq":%d}\n' % (partner.encode(), 2**40)


class Redis(WireProtocol):
    separate_writers = True

    def listen(self, name: str) -> Steps:
        return [(b"SUBSCRIBE %s\r\n" % name.encode(), b"subscribe")]

    def message(self, to: str, sender: str) -> Message:
        head = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n" % (len(to), to.encode())
        return Message(head + b"$%d\r\n%s\r\n" % (len(TEXT), TEXT))


class Nats(WireProtocol):
    kind = "nats"

    def login(self, name: str) -> Steps:
        return [(b'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\nPING\r\n', b"PONG\r\n")]

    def listen(self, name: str) -> Steps:
        return [(b"SUB %s %s\r\nPING\r\n" % (name.encode(), name.encode()), b"PONG\r\n")]

    def message(self, to: str, sender: str) -> Message:
        return Message(b"PUB %s %d\r\n%s\r\n" % (to.encode(), len(TEXT), TEXT))


class JetStream(Nats):
    """A stream stores `stored.NAME`; a consumer sends it to `to.NAME` (`setup_steps.make_streams`)."""

    answer = b'"seq":'

    def login(self, name: str) -> Steps:
        return [*super().login(name), *self.listen(f"answers.{name}")]

    def listen(self, name: str) -> Steps:
        return super().listen(name if "." in name else f"to.{name}")

    def message(self, to: str, sender: str) -> Message:
        return Message(b"PUB stored.%s answers.%s %d\r\n%s\r\n" % (to.encode(), sender.encode(), len(TEXT), TEXT))

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

    def message(self, to: str, sender: str) -> Message:
        return Message(packet(0x30, length_prefixed(to) + TEXT))


class MqttStored(Mqtt):
    """QoS 1 and sessions that outlive their connections; both sides acknowledge every message."""

    qos = 1
    answer = b"\x40\x02"

    def message(self, to: str, sender: str) -> Message:
        frame = packet(0x32, length_prefixed(to) + b"\x00\x00" + TEXT)
        return Message(frame, serial=(len(frame) - len(TEXT) - 2, 2))


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

    def message(self, to: str, sender: str) -> Message:
        return Message(b"<message to='%s@localhost' type='chat'><body>%s</body></message>" % (to.encode(), TEXT))

    def room_message(self, sender: str) -> Message:
        to = f"{ROOM}@rooms.localhost".encode()
        return Message(b"<message to='%s' type='groupchat'><body>%s</body></message>" % (to, TEXT))
