"""`kill -9` of the server between posts to a hook: what was answered `ok` is stored, and once."""

from __future__ import annotations

import http.client
import itertools
from contextlib import closing, suppress
from pathlib import Path

import gevent
from gevent.event import Event

from gmessenger.store import open_store
from tests.support.admin_cli import StoreDirectory
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.timeouts import TEST_TIMEOUT

POSTERS = 4
KILLS = 3
POSTS_BETWEEN = 20


class HookClient:
    """Posts numbered texts, each with its key until it is answered `ok`, as programs do that want nothing lost."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._numbers = itertools.count()
        self.stored: list[str] = []
        self.is_ended = Event()

    def run(self) -> None:
        while not self.is_ended.is_set():
            text = f"post {next(self._numbers)}"
            while not self._post(text):
                gevent.sleep(0.01)
            self.stored.append(text)

    def _post(self, text: str) -> bool:
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection("127.0.0.1", self._port, TEST_TIMEOUT)) as connection,
        ):
            connection.request("POST", self._path, text, {"Content-Type": "text/plain", "Idempotency-Key": text})
            response = connection.getresponse()
            return (response.status, response.read()) == (200, b"ok")
        return False

    def wait_for(self, count: int) -> None:
        with gevent.Timeout(TEST_TIMEOUT):
            while len(self.stored) < count:
                gevent.sleep(0.01)


def test_what_was_answered_ok_survives_every_kill_and_is_there_once(tmp_path: Path) -> None:
    directory, port = StoreDirectory(tmp_path), free_port()
    with closing(open_store(directory.url)) as store:
        hank = store.create_account("hank", "hank", "hash", 1.0).id
        store.create_room("#ops", "#ops", hank, 1.0)
    path = directory.run("hook", "add", "ci", "#ops").splitlines()[0]
    client = HookClient(port, path)
    posters = [gevent.spawn(client.run) for _ in range(POSTERS)]
    for kill in range(1, KILLS + 1):
        with ServerProcess("--store", directory.url, "--web", f"127.0.0.1:{port}") as server:
            server.wait_for_port()
            client.wait_for(kill * POSTS_BETWEEN)
    with ServerProcess("--store", directory.url, "--web", f"127.0.0.1:{port}") as server:
        server.wait_for_port()
        client.is_ended.set()
        gevent.joinall(posters, TEST_TIMEOUT, raise_error=True)
    with closing(open_store(directory.url)) as store:
        page, _ = store.export_page(0, 10_000)
    assert sorted(row.message.text for row in page) == sorted(client.stored)
