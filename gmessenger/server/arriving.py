"""Arriving: whoever is accepted gets a greenlet of their own, as lean as one can be: there are as many as connections.

What `gevent.server` does by itself costs everybody who is connected a kilobyte more: a socket that can wait (ours never
do: the loop is asked), and a function around ours, which is a second interpreter loop on every greenlet's stack.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

from gevent import Greenlet
from gevent import socket as waiting
from gevent.pool import Pool

from gmessenger.server.acceptor import Acceptor, PlainSocket, Spare
from gmessenger.server.listening import plain_address

Receive: TypeAlias = Callable[[socket.socket, str], object]
"""Is given the other end as `address:port`, too."""


class Reader(Greenlet):  # type: ignore[type-arg]  # the class itself takes no parameters
    """The greenlet of one client: runs `receive`, then closes the socket.

    `_run` is a method because a function that is handed to a greenlet is kept in a dict made for it.
    """

    __slots__ = ("_address", "_receive", "_socket")

    def __init__(self, receive: Receive, sock: socket.socket, address: str) -> None:
        super().__init__()
        self._receive = receive
        self._socket = sock
        self._address = address

    def _run(self) -> None:
        try:
            self._receive(self._socket, self._address)
        finally:
            self._socket.close()


class Arrivals(Acceptor):
    """Hands `receive` whoever comes to a listening socket: plain sockets that never wait, in greenlets of `pool`.

    Who cannot be accepted is turned away by `full`, which returns what is told.
    """

    def __init__(
        self,
        listener: waiting.socket,
        receive: Receive,
        pool: Pool,
        spare: Spare | None = None,
        full: Callable[[], bytes] = bytes,
    ) -> None:
        super().__init__(listener, receive, spawn=pool)
        self._receive = receive
        self._pool = pool
        self.spare = spare or Spare()
        self.farewell = full

    def do_handle(self, sock: waiting.socket, address: tuple[str, int]) -> None:
        plain = PlainSocket(sock.family, sock.type, sock.proto, sock.detach())
        plain.setblocking(False)
        self._pool.start(Reader(self._receive, plain, plain_address(address)))
