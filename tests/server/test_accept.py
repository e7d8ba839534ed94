"""Each client gets a greenlet and a non-blocking socket, which is closed when the greenlet ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.pool import Pool

from gmessenger.server.net.listener import ClientListener, ConnectionCallback
from gmessenger.server.net.sockets import format_address, listen_tcp
from tests.support.server import TEST_TIMEOUT, open_connection


class Host:
    """A listener whose connections are handled by a given function."""

    def __init__(self) -> None:
        self.pool = Pool()
        self.port = 0
        self.result: AsyncResult[object] = AsyncResult()

    def serve(self, receive: ConnectionCallback) -> ClientListener:
        arrivals = ClientListener(listen_tcp("127.0.0.1", 0)[0], receive, self.pool)
        self.port = arrivals.socket.getsockname()[1]
        arrivals.start()
        return arrivals


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.pool.kill()


def test_the_socket_does_not_wait_and_is_closed_when_nothing_more_is_done_with_it(host: Host) -> None:
    def receive(sock: socket.socket, address: str) -> None:
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        host.result.set(address)

    with host.serve(receive), open_connection(host.port) as hank:
        assert host.result.get(timeout=TEST_TIMEOUT) == format_address(hank.getsockname())
        assert host.pool.join(TEST_TIMEOUT)
        assert hank.recv(1) == b""


def test_it_is_closed_when_the_greenlet_is_killed(host: Host) -> None:
    with host.serve(lambda *_: gevent.sleep(TEST_TIMEOUT)), open_connection(host.port) as hank:
        with gevent.Timeout(TEST_TIMEOUT):
            while not host.pool:
                gevent.sleep(0.01)
        host.pool.kill()
        assert hank.recv(1) == b""


def test_a_greenlet_holds_no_dict_of_its_own(host: Host) -> None:
    def receive(*_: object) -> None:
        host.result.set(vars(gevent.getcurrent()))

    with host.serve(receive), open_connection(host.port):
        assert host.result.get(timeout=TEST_TIMEOUT) == {}
