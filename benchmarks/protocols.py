"""What a connection of each protocol says to log in, to listen, to join, and how a message is spelled.

A `Speech` answers in steps: (what is sent, part of what has to come before the next is sent). `work.py` makes plans for
the load generator of them. The text of a message is `TEXT`: a caret, sixteen digits for the generator's clock, and as
much as makes a hundred bytes.
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
"""Beginnings of ids, one for each writer of each run: those of earlier ones are in the store already."""

Steps = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Message:
    """A message as it is written; `serial` is where the generator puts a number, and how many bytes of it."""

    frame: bytes
    serial: tuple[int, int] = (0, 0)


class Speech:
    """One protocol. What is here is what most of them do."""

    kind: Literal["text", "nats", "mqtt"] = "text"
    echoes = False
    """Whether who says something in a room hears it too."""
    apart = False
    """Whether those who say something in a room must not, or need not, be among those who listen."""
    together = 250
    """How many log in at the same time."""
    answer = b""
    """Part of what comes back for each message, where the protocol promises something."""

    def login(self, name: str) -> Steps:
        return []

    def listen(self, name: str) -> Steps:
        return []

    def join(self, name: str) -> Steps:
        return self.listen(ROOM)

    def say(self, to: str, sender: str) -> Message:
        raise NotImplementedError

    def say_in_room(self, sender: str) -> Message:
        return self.say(ROOM, sender)

    def acknowledgement(self, partner: str) -> bytes:
        """What a listener says after each hundred deliveries."""
        return b""


class Irc(Speech):
    def login(self, name: str) -> Steps:
        return [(f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode(), b" 001 "), (b"PING :ready\r\n", b"ready")]

    def join(self, name: str) -> Steps:
        return [(f"JOIN #{ROOM}\r\n".encode(), b" 366 ")]

    def say(self, to: str, sender: str) -> Message:
        return Message(b"PRIVMSG %s :%s\r\n" % (to.encode(), TEXT))

    def say_in_room(self, sender: str) -> Message:
        return self.say(f"#{ROOM}", sender)


class Jim(Speech):
    """Guests, whose messages carry no id and are answered only when they are refused."""

    def login(self, name: str) -> Steps:
        return [(b'{"action":"presence","jim":2,"user":{"account_name":"%s"}}\n' % name.encode(), b'"synced"')]

    def join(self, name: str) -> Steps:
        return [(b'{"action":"join","id":"j","room":"#%s"}\n' % ROOM.encode(), b'"id":"j"')]

    def say(self, to: str, sender: str) -> Message:
        return Message(b'{"action":"msg","to":"%s","message":"%s"}\n' % (to.encode(), TEXT))

    def say_in_room(self, sender: str) -> Message:
        return self.say(f"#{ROOM}", sender)


class JimAccounts(Jim):
    """Accounts: every message has an id and is answered 200 when it is on disk."""

    answer = b'"response":200'
    together = 32  # it hashes few passwords at a time and lets few wait, on purpose

    def login(self, name: str) -> Steps:
        user = b'{"account_name":"%s","password":"%s"}' % (name.encode(), PASSWORD.encode())
        return [(b'{"action":"presence","jim":2,"user":%s}\n' % user, b'"synced"')]

    def say(self, to: str, sender: str) -> Message:
        head = b'{"action":"msg","id":"%s' % next(BATCHES).encode()
        rest = b'00000000","to":"%s","message":"%s"}\n' % (to.encode(), TEXT)
        return Message(head + rest, serial=(len(head), 8))

    def acknowledgement(self, partner: str) -> bytes:
        # More than it was sent is taken for all that it was sent.
        return b'{"action":"ack","with":"%s","seq":%d}\n' % (partner.encode(), 2**40)


class Redis(Speech):
    apart = True

    def listen(self, name: str) -> Steps:
        return [(b"SUBSCRIBE %s\r\n" % name.encode(), b"subscribe")]

    def say(self, to: str, sender: str) -> Message:
        head = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n" % (len(to), to.encode())
        return Message(head + b"$%d\r\n%s\r\n" % (len(TEXT), TEXT))


class Nats(Speech):
    kind = "nats"

    def login(self, name: str) -> Steps:
        return [(b'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\nPING\r\n', b"PONG\r\n")]

    def listen(self, name: str) -> Steps:
        return [(b"SUB %s %s\r\nPING\r\n" % (name.encode(), name.encode()), b"PONG\r\n")]

    def say(self, to: str, sender: str) -> Message:
        return Message(b"PUB %s %d\r\n%s\r\n" % (to.encode(), len(TEXT), TEXT))


class JetStream(Nats):
    """`stored.NAME` is kept in a stream; a durable consumer hands it on to `to.NAME`. See `peers.make_streams`."""

    answer = b'"seq":'

    def login(self, name: str) -> Steps:
        return [*super().login(name), *self.listen(f"answers.{name}")]

    def listen(self, name: str) -> Steps:
        return super().listen(name if "." in name else f"to.{name}")

    def say(self, to: str, sender: str) -> Message:
        return Message(b"PUB stored.%s answers.%s %d\r\n%s\r\n" % (to.encode(), sender.encode(), len(TEXT), TEXT))

    def acknowledgement(self, partner: str) -> bytes:
        return b"+ACK"  # the generator fills in the subject, which each delivery names


class Mqtt(Speech):
    kind = "mqtt"
    apart = True
    qos = 0

    def login(self, name: str) -> Steps:
        flags = 0 if self.qos else 2  # 2: no session outlives the connection
        connect = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x00" + sized(name)
        return [(packet(0x10, connect), b"\x20\x02")]

    def listen(self, name: str) -> Steps:
        return [(packet(0x82, b"\x00\x01" + sized(name) + bytes([self.qos])), b"\x90\x03")]

    def say(self, to: str, sender: str) -> Message:
        return Message(packet(0x30, sized(to) + TEXT))


class MqttStored(Mqtt):
    """QoS 1 and sessions that outlive their connections; both sides acknowledge every message."""

    qos = 1
    answer = b"\x40\x02"

    def say(self, to: str, sender: str) -> Message:
        frame = packet(0x32, sized(to) + b"\x00\x00" + TEXT)
        return Message(frame, serial=(len(frame) - len(TEXT) - 2, 2))


def sized(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def packet(kind: int, body: bytes) -> bytes:
    size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([kind]) + size + body


class Xmpp(Speech):
    """Client to server without TLS; accounts are in prosody's files before it starts."""

    echoes = True

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

    def say(self, to: str, sender: str) -> Message:
        return Message(b"<message to='%s@localhost' type='chat'><body>%s</body></message>" % (to.encode(), TEXT))

    def say_in_room(self, sender: str) -> Message:
        to = f"{ROOM}@rooms.localhost".encode()
        return Message(b"<message to='%s' type='groupchat'><body>%s</body></message>" % (to, TEXT))
