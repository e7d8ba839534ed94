"""The end of an account or its session: the client closes, and sends nothing under another identity."""

from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, Disconnected
from gmessenger.errors import AccountDeleted, Refused, WrongPassword
from tests.client.conftest import SHORT_TIMEOUTS, Reader
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer

Account = tuple[Reader, ClientConnection]


@pytest.fixture
def account(fake: FakeServer, tmp_path: Path) -> Any:
    client = Client(fake.host, fake.port, "hank", timeouts=SHORT_TIMEOUTS, unsent_file=tmp_path / "hank.jsonl")
    starting = gevent.spawn(client.start)
    connection = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    yield Reader(client), connection
    client.close()


def test_what_an_account_wanted_to_say_is_not_said_by_a_guest(
    fake: FakeServer, account: Account, tmp_path: Path
) -> None:
    reader, connection = account
    connection.close()
    reader.next(Disconnected)
    reader.client.send("dale", "as hank, whom dale knows")
    connection = fake.accept_and_log_in(account=False)
    connection.expect_closed()
    error = reader.wait_for_end()
    assert isinstance(error, Refused) and isinstance(error.__cause__, AccountDeleted)
    assert str(error) == "The account hank no longer exists."
    assert reader.client.is_durable and reader.client.pending_count == 1
    assert b"whom dale knows" in (tmp_path / "hank.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("response", "code"),
    [(403, "account_disabled"), (403, "account_deleted"), (401, "password_needed"), (409, "name_taken")],
)
def test_who_is_sent_away_does_not_come_back(account: Account, response: int, code: str) -> None:
    reader, connection = account
    connection.send({"response": response, "code": code, "error": "Go.", "time": 1.0})
    error = reader.wait_for_end()
    assert isinstance(error, Refused) and str(error) == "Go."
    assert not any(isinstance(event, Disconnected) for event in reader.seen)


def test_the_same_word_about_a_request_is_an_answer(account: Account) -> None:
    reader, connection = account
    message = reader.client.send("dale", "hi")
    connection.respond(connection.expect("msg"), 403, code="account_disabled", error="No.")
    assert reader.client.flush(TIMEOUT) == 0 and not reader.client.closed and message


def test_forgetting_ends_the_link_without_an_error(account: Account) -> None:
    reader, connection = account
    forgetting = gevent.spawn(reader.client.erase_account, "correct horse")
    connection.respond(connection.expect("forget"), 200)
    connection.send({"response": 403, "code": "account_deleted", "error": "Gone.", "time": 1.0})
    connection.close()
    forgetting.get(timeout=TIMEOUT)
    assert reader.wait_for_end() is None
    assert not any(isinstance(event, Disconnected) for event in reader.seen)


def test_what_is_not_answered_is_kept_again_where_the_file_was_removed(account: Account, tmp_path: Path) -> None:
    reader, _ = account
    file = tmp_path / "hank.jsonl"
    reader.client.send("dale", "the first")
    file.rename(tmp_path / "moved")
    reader.client.send("dale", "the second")
    journal = file.read_bytes()
    assert b"the first" in journal and b"the second" in journal and reader.client.is_durable


def test_what_was_not_answered_is_erased_with_the_account(account: Account, tmp_path: Path) -> None:
    reader, connection = account
    reader.client.send("dale", "said too late")
    connection.expect("msg")
    file = tmp_path / "hank.jsonl"
    assert b"said too late" in file.read_bytes() and not reader.client.is_erased
    forgetting = gevent.spawn(reader.client.erase_account, "correct horse")
    connection.respond(connection.expect("forget"), 200)
    forgetting.get(timeout=TIMEOUT)
    assert reader.client.is_erased and reader.client.pending_count == 0 and file.read_bytes() == b""


def test_what_was_not_answered_stays_where_the_account_was_not_erased(account: Account, tmp_path: Path) -> None:
    reader, connection = account
    reader.client.send("dale", "said too late")
    connection.expect("msg")
    forgetting = gevent.spawn(reader.client.erase_account, "correct horse")
    connection.respond(connection.expect("forget"), 402, code="wrong_password", error="No.")
    with pytest.raises(WrongPassword):
        forgetting.get(timeout=TIMEOUT)
    assert not reader.client.is_erased and reader.client.pending_count == 1
    assert b"said too late" in (tmp_path / "hank.jsonl").read_bytes()


def test_an_account_that_is_erased_from_another_device(server: RunningServer) -> None:
    desk, phone = (
        Client(server.host, server.port, "hank", device=device, password=password, timeouts=SHORT_TIMEOUTS)
        for device, password in (("desk", None), ("phone", "correct horse"))
    )
    desk.start()
    desk.register("correct horse")
    phone.start()
    phone.erase_account("correct horse")
    assert Reader(phone).wait_for_end() is None
    assert isinstance(Reader(desk).wait_for_end(), Refused)
    desk.close(), phone.close()
