"""The same relay with the techniques of gmessenger, for a fair comparison in Python. asyncio on uvloop.

    python -m benchmarks.relay_batched PORT

msgspec structs; all lines of one read are decoded at once; a message is encoded once for all recipients; frames for a
connection are joined into one write per turn of the loop. It has no accounts, limits, bounds, log or store.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop
from msgspec import UNSET, Struct, UnsetType, json


class User(Struct):
    account_name: str


class Presence(Struct, tag_field="action", tag="presence"):
    user: User


class Join(Struct, tag_field="action", tag="join"):
    id: str
    room: str


class Msg(Struct, tag_field="action", tag="msg"):
    to: str
    message: str
    id: str | UnsetType = UNSET


class Delivery(Struct, tag_field="action", tag="msg", rename={"sender": "from"}):
    sender: str
    to: str
    time: float
    message: str


REQUESTS = json.Decoder(Presence | Join | Msg)
encode = json.Encoder().encode

names: dict[str, BatchedRelayClient] = {}
rooms: dict[str, set[BatchedRelayClient]] = {}
dirty: list[BatchedRelayClient] = []


def flush() -> None:
    for client in dirty:
        client.flush()
    dirty.clear()


class BatchedRelayClient(asyncio.Protocol):
    """A connection, with its name after the login."""

    __slots__ = ("_name", "_outbox", "_transport", "_unread")

    def __init__(self) -> None:
        self._unread = b""
        self._outbox: list[bytes] = []
        self._transport: Any = None
        self._name = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        names.pop(self._name, None)
        for members in rooms.values():
            members.discard(self)

    def data_received(self, data: bytes) -> None:
        data = self._unread + data if self._unread else data
        end = data.rfind(b"\n") + 1
        self._unread = data[end:]
        for request in REQUESTS.decode_lines(data[:end]):
            if type(request) is Msg:
                self._message(request)
            else:
                self._other(request)

    def send(self, frame: bytes) -> None:
        if not self._outbox:
            if not dirty:
                asyncio.get_running_loop().call_soon(flush)
            dirty.append(self)
        self._outbox.append(frame)

    def flush(self) -> None:
        self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    def _message(self, request: Msg) -> None:
        to = request.to
        frame = encode(Delivery(self._name, to, time.time(), request.message)) + b"\n"
        if to[0] != "#":
            return names[to].send(frame)
        for client in rooms[to]:
            if client is not self:
                client.send(frame)
        return None

    def _other(self, request: Presence | Join) -> None:
        if isinstance(request, Presence):
            self._name = request.user.account_name
            names[self._name] = self
            self.send(b'{"response":200,"jim":2}\n{"action":"synced"}\n')
        else:
            rooms.setdefault(request.room, set()).add(self)
            self.send(b'{"response":200,"id":"%s"}\n' % request.id.encode())


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(BatchedRelayClient, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
