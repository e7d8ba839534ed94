"""Export and erasure of an account's data, at a terminal."""

import json
import stat
from pathlib import Path

from gmessenger.config.options import ClientOptions
from gmessenger.paths import state_directory
from gmessenger.terminal.state_files import list_state
from tests.support.scripted_server import FakeServer
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_rooms_and_history import entry, log_in, next_request


def test_all_messages_go_into_a_new_file_of_ones_own(
    fake: FakeServer, open_terminal: OpenTerminal, tmp_path: Path
) -> None:
    hank, peer = log_in(fake, open_terminal)
    file = tmp_path / "mine.jsonl"
    hank.type_line(f"/export me {file}")
    for after, more in ((0, True), (7, False)):
        request = next_request(peer)
        assert (request["action"], request.get("after", 0)) == ("export", after)
        peer.respond(request, 200, messages=[entry(after + 1, "п"), entry(after + 2, "hi")], more=more, after=after + 7)
    hank.wait_for("-- 4 messages are in ")
    assert [json.loads(line)["seq"] for line in file.read_text("utf-8").splitlines()] == [1, 2, 8, 9]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    hank.type_line(f"/export me {file}")
    hank.wait_for("-- cannot write .*: File exists")
    hank.type_line("/export dale")
    hank.wait_for(r"-- Usage: /export me \[FILE\]")


def test_of_a_file_that_could_not_be_written_whole_nothing_is_left(
    fake: FakeServer, open_terminal: OpenTerminal, tmp_path: Path
) -> None:
    hank, peer = log_in(fake, open_terminal)
    file = tmp_path / "mine.jsonl"
    hank.type_line(f"/export me {file}")
    peer.respond(next_request(peer), 200, messages=[entry(1, "hi")], more=True, after=1)
    peer.respond(next_request(peer), 503, code="store_unavailable", error="Not now.")
    hank.wait_for("-- Not now.")
    assert not file.exists()


def test_forgetting_asks_for_the_password_and_ends_the_client(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/forget me")
    hank.wait_for(r"cannot be undone.*\r\nYour password \(empty to cancel\): $")
    hank.type_line("")
    hank.wait_for("-- cancelled; nothing was erased")
    hank.type_line("/forget me")
    hank.wait_for(r"\(empty to cancel\): $")
    hank.type_line("correct horse")
    request = next_request(peer)
    assert (request["action"], request["password"]) == ("forget", "correct horse")
    peer.respond(request, 200)
    peer.send({"response": 403, "code": "account_deleted", "error": "Gone.", "time": 1.0})
    peer.close()
    shown = hank.wait_for("(?s).*-- all your messages are erased and your account is deleted")[0]
    assert hank.wait_for_exit() == 0
    assert "horse" not in shown + hank.seen and "connection lost" not in shown + hank.seen


def test_forgetting_removes_what_this_machine_keeps_of_the_account(
    fake: FakeServer, open_terminal: OpenTerminal, log: Path
) -> None:
    hank, peer = log_in(fake, open_terminal)
    options = ClientOptions(host=fake.host, port=fake.port)
    state_files = [path.relative_to(state_directory()) for path in list_state(options, "hank")]
    files = [log.parent / path for path in state_files]
    others = [path.with_name("another's") for path in files]
    for path in (*files, *others):
        path.parent.mkdir(exist_ok=True)
        path.write_text("a telling text", "utf-8")
    assert {path.parent.name for path in files} == {"unsent", "drafts", "history"}
    hank.type_line("/forget me")
    hank.wait_for(r"\(empty to cancel\): $")
    hank.type_line("correct horse")
    peer.respond(next_request(peer), 200)
    peer.send({"response": 403, "code": "account_deleted", "error": "Gone.", "time": 1.0})
    peer.close()
    hank.wait_for("(?s).*-- all your messages are erased and your account is deleted")
    assert hank.wait_for_exit() == 0
    assert [path for path in files if path.exists()] == [] and all(path.exists() for path in others)


def test_the_maker_of_a_room_takes_somebody_out(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/join #dev")
    peer.respond(peer.expect("join"), 200, members=["hank", "dale"], topic="", seq=0)
    hank.wait_for("to #dev> ")
    hank.type_line("/remove dale")
    request = next_request(peer)
    assert (request["action"], request["room"], request["user"]) == ("remove", "#dev", "dale")
    peer.respond(request, 200)
    hank.wait_for("-- dale is no longer in #dev")
