"""A relay as it is usually written: asyncio on uvloop, `json`, one write per message; native JIM, guests only.

python -m benchmarks.relay_plain PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

import uvloop

names: dict[str, PlainRelayClient] = {}
rooms: dict[str, set[PlainRelayClient]] = defaultdict(set)


class PlainRelayClient(asyncio.Protocol):
    """A connection, with its name after the login."""

    def __init__(self) -> None:
        self._unread = b""
        self._transport: Any = None
        self._name = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        names.pop(self._name, None)
        for members in rooms.values():
            members.discard(self)

    def data_received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._handle(json.loads(line))

    def send(self, frame: dict[str, Any]) -> None:
        self._transport.write(json.dumps(frame).encode() + b"\n")

    def _handle(self, frame: dict[str, Any]) -> None:
        if frame["action"] == "msg":
            self._message(frame["to"], frame["message"])
        elif frame["action"] == "presence":
            self._name = frame["user"]["account_name"]
            names[self._name] = self
            self.send({"response": 200, "jim": 2, "time": time.time()})
            self._transport.write(b'{"action":"synced"}\n')
        elif frame["action"] == "join":
            rooms[frame["room"]].add(self)
            self._transport.write(b'{"response":200,"id":"%s"}\n' % frame["id"].encode())

    def _message(self, to: str, text: str) -> None:
        frame = {"action": "msg", "from": self._name, "to": to, "time": time.time(), "message": text}
        for client in rooms[to] if to.startswith("#") else (names[to],):
            if client is not self:
                client.send(frame)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(PlainRelayClient, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
