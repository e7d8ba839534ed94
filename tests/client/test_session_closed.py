"""An account that is one no more, or may not be here: its link ends, and says nothing as somebody else."""

from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, Disconnected
from gmessenger.errors import AccountDeleted, Refused, WrongPassword
from tests.client.conftest import IMPATIENT, Owner
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer

Account = tuple[Owner, ClientConnection]


@pytest.fixture
def account(fake: FakeServer, tmp_path: Path) -> Any:
    link = Client(fake.host, fake.port, "hank", timeouts=IMPATIENT, unsent_file=tmp_path / "hank.jsonl")
    starting = gevent.spawn(link.start)
    peer = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    yield Owner(link), peer
    link.close()


def test_what_an_account_wanted_to_say_is_not_said_by_a_guest(
    fake: FakeServer, account: Account, tmp_path: Path
) -> None:
    owner, peer = account
    peer.close()
    owner.next(Disconnected)
    owner.link.send("dale", "as hank, whom dale knows")
    peer = fake.accept_and_log_in(account=False)
    peer.expect_closed()
    error = owner.ending()
    assert isinstance(error, Refused) and isinstance(error.__cause__, AccountDeleted)
    assert str(error) == "The account hank no longer exists."
    assert owner.link.is_durable and owner.link.pending_count == 1
    assert b"whom dale knows" in (tmp_path / "hank.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("response", "code"),
    [(403, "account_disabled"), (403, "account_deleted"), (401, "password_needed"), (409, "name_taken")],
)
def test_who_is_sent_away_does_not_come_back(account: Account, response: int, code: str) -> None:
    owner, peer = account
    peer.send({"response": response, "code": code, "error": "Go.", "time": 1.0})
    error = owner.ending()
    assert isinstance(error, Refused) and str(error) == "Go."
    assert not any(isinstance(event, Disconnected) for event in owner.seen)


def test_the_same_word_about_a_request_is_an_answer(account: Account) -> None:
    owner, peer = account
    message = owner.link.send("dale", "hi")
    peer.respond(peer.expect("msg"), 403, code="account_disabled", error="No.")
    assert owner.link.flush(TIMEOUT) == 0 and not owner.link.closed and message


def test_forgetting_ends_the_link_without_an_error(account: Account) -> None:
    owner, peer = account
    forgetting = gevent.spawn(owner.link.erase_account, "correct horse")
    peer.respond(peer.expect("forget"), 200)
    peer.send({"response": 403, "code": "account_deleted", "error": "Gone.", "time": 1.0})
    peer.close()
    forgetting.get(timeout=TIMEOUT)
    assert owner.ending() is None
    assert not any(isinstance(event, Disconnected) for event in owner.seen)


def test_what_is_not_answered_is_kept_again_where_the_file_was_removed(account: Account, tmp_path: Path) -> None:
    owner, _ = account
    file = tmp_path / "hank.jsonl"
    owner.link.send("dale", "the first")
    file.rename(tmp_path / "moved")
    owner.link.send("dale", "the second")
    kept = file.read_bytes()
    assert b"the first" in kept and b"the second" in kept and owner.link.is_durable


def test_what_was_not_answered_is_erased_with_the_account(account: Account, tmp_path: Path) -> None:
    owner, peer = account
    owner.link.send("dale", "said too late")
    peer.expect("msg")
    file = tmp_path / "hank.jsonl"
    assert b"said too late" in file.read_bytes() and not owner.link.is_erased
    forgetting = gevent.spawn(owner.link.erase_account, "correct horse")
    peer.respond(peer.expect("forget"), 200)
    forgetting.get(timeout=TIMEOUT)
    assert owner.link.is_erased and owner.link.pending_count == 0 and file.read_bytes() == b""


def test_what_was_not_answered_stays_where_the_account_was_not_erased(account: Account, tmp_path: Path) -> None:
    owner, peer = account
    owner.link.send("dale", "said too late")
    peer.expect("msg")
    forgetting = gevent.spawn(owner.link.erase_account, "correct horse")
    peer.respond(peer.expect("forget"), 402, code="wrong_password", error="No.")
    with pytest.raises(WrongPassword):
        forgetting.get(timeout=TIMEOUT)
    assert not owner.link.is_erased and owner.link.pending_count == 1
    assert b"said too late" in (tmp_path / "hank.jsonl").read_bytes()


def test_an_account_that_is_erased_from_another_device(server: RunningServer) -> None:
    desk, phone = (
        Client(server.host, server.port, "hank", device=device, password=password, timeouts=IMPATIENT)
        for device, password in (("desk", None), ("phone", "correct horse"))
    )
    desk.start()
    desk.register("correct horse")
    phone.start()
    phone.erase_account("correct horse")
    assert Owner(phone).ending() is None
    assert isinstance(Owner(desk).ending(), Refused)
    desk.close(), phone.close()
