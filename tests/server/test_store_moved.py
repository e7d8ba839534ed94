"""The store's files are moved away under a running server: it reports that, and its stop loses nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gmessenger.server import maintenance
from gmessenger.server.maintenance import check_store_files
from gmessenger.server.net.sockets import SocketFile, file_identity
from gmessenger.store import open_store
from gmessenger.store.sqlite.verify import verify_file
from tests.conftest import RunningServer
from tests.server.test_health import get_page
from tests.support.admin_cli import PASSWORD, AdminTestClient
from tests.support.server import ServerProcess


def say(line: AdminTestClient, text: str) -> dict[str, object]:
    return line.request(action="msg", id=text, to="dale", message=text)


def enter(port: int) -> AdminTestClient:
    line = AdminTestClient(port)
    assert line.log_in("dale")["response"] == 200
    assert line.request(action="register", id="r", password=PASSWORD)["response"] == 201
    return line


def test_the_first_message_after_the_move_is_refused_and_a_stop_loses_nothing(tmp_path: Path) -> None:
    file, health = tmp_path / "m.db", f"unix:{tmp_path}/health"
    with ServerProcess("--store", f"sqlite:///{file}", "--health", health) as server:
        line = enter(server.wait_for_port())
        for number in range(20):
            assert say(line, f"before {number}")["response"] == 200
        assert get_page(health.removeprefix("unix:"), "/readyz")[0] == 200
        file.rename(tmp_path / "gone.db")
        file.touch()
        answer = say(line, "after")
        assert (answer["response"], answer["code"]) == (503, "store_unavailable")
        assert str(tmp_path) not in str(answer)
        status, sentence = get_page(health.removeprefix("unix:"), "/readyz")
        assert status == 503 and "moved or replaced" in sentence
        line.close()
        code, log = server.stop(signal.SIGTERM)
    assert code == 0 and " ERROR store_moved " in log and str(file) in log
    assert verify_file(tmp_path / "gone.db").counts["messages"] == 20
    assert file.read_bytes() == b""


def test_the_server_notices_it_though_nothing_is_said_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(maintenance, "STORE_CHECK_INTERVAL", 0.01)
    file = tmp_path / "m.db"
    store = open_store(f"sqlite:///{file}")
    looks = iter([lambda: file.rename(tmp_path / "gone"), lambda: None, lambda: (tmp_path / "gone").rename(file), None])

    def stopped(seconds: float) -> bool:
        do = next(looks)
        if do is not None:
            do()
        return do is None

    monkeypatch.setattr(maintenance.log.LOGGER, "propagate", True)
    caplog.set_level("INFO", "gmessenger")
    maintenance.watch_store_files(store, stopped)
    store.close()
    events = [(record.levelname, record.message) for record in caplog.records]
    assert events == [("ERROR", "store_moved"), ("INFO", "store_in_place")]


def test_a_store_that_is_in_its_place_is_not_worth_a_word(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert check_store_files(server.app.store, "") == "" and caplog.records == []


def test_a_socket_that_another_server_has_put_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    missing = SocketFile(path)
    path.touch()
    mine = SocketFile(path)
    path.rename(tmp_path / "moved")
    path.touch()
    mine.remove()
    missing.remove()
    assert path.exists()
    SocketFile(path).remove()
    assert not path.exists() and file_identity(path) is None


def test_the_stop_of_a_server_whose_folder_was_moved_leaves_the_next_ones_socket(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    store = f"sqlite:///{folder}/m.db"
    with ServerProcess("--store", store) as first:
        first.wait_for_port()
        folder.rename(tmp_path / "old")
        with ServerProcess("--store", store) as second:
            port = second.wait_for_port()
            socket = file_identity(folder / "m.db.socket")
            assert socket is not None
            assert first.stop(signal.SIGTERM)[0] == 0
            assert file_identity(folder / "m.db.socket") == socket
            line = enter(port)
            assert say(line, "stored")["response"] == 200
            line.close()
            assert second.stop(signal.SIGTERM)[0] == 0
    assert verify_file(folder / "m.db").counts["messages"] == 1
