"""Lost connections: reconnecting, resuming the session, giving up."""

import time
from typing import Any

import gevent
import pytest

from gmessenger.client import (
    Accepted,
    Client,
    Connected,
    Disconnected,
    GapDetected,
    MessageDelivered,
    MessageReceived,
    ReadMarkerMoved,
    Rejected,
)
from gmessenger.errors import Refused, Unreachable
from tests.client.conftest import Begin
from tests.support.scripted_server import TIMEOUT, FakeServer


def test_comes_back_and_says_so(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    lost = reader.next(Disconnected)
    assert (lost.reason, lost.attempt) == ("the server closed the connection", 1)
    assert not reader.client.connected
    fake.accept_and_log_in()
    assert reader.next(Connected).reconnected
    assert reader.client.connected


def test_resumes_with_the_newest_token(fake: FakeServer, make: Any) -> None:
    reader = make()
    starting = gevent.spawn(reader.client.start)
    first = fake.accept()
    first.accept_login(session="one")
    starting.get(timeout=TIMEOUT)
    first.close()
    second = fake.accept()
    assert second.accept_login(session="two")["session"] == "one"
    second.close()
    assert fake.accept().accept_login()["session"] == "two"


@pytest.mark.parametrize(("response", "code"), [(401, "not_logged_in"), (402, "wrong_password"), (400, "no_session")])
def test_a_refused_token_is_dropped(fake: FakeServer, begin: Begin, response: int, code: str) -> None:
    reader, connection = begin()
    connection.close()
    connection = fake.accept()
    assert "session" in connection.reject_login(response, code, "No such session.")
    assert "session" not in connection.accept_login()
    assert reader.next(Connected) and reader.next(Connected).reconnected


def test_a_login_that_was_given_up_and_came_through_after_all_is_not_somebody_else(
    fake: FakeServer, begin: Begin
) -> None:
    reader, connection = begin()
    connection.close()
    ghost = fake.accept()
    ghost.expect("presence")
    ghost.close()  # it has taken too long
    connection = fake.accept()
    connection.accept_login()
    connection.send(
        {"response": 409, "code": "replaced", "error": "Another connection has taken this session's place."}
    )
    connection.expect_closed()
    fake.accept_and_log_in()
    assert [reader.next(Connected).reconnected for _ in range(3)] == [False, True, True]


def test_who_was_replaced_after_a_calm_login_stays_away(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    connection = fake.accept()
    connection.accept_login()
    connection.send(
        {"response": 409, "code": "replaced", "error": "Another connection has taken this session's place."}
    )
    with pytest.raises(Refused, match="taken this session"):
        reader.next(Rejected)


def test_a_name_in_use_by_our_own_half_dead_connection(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    for _ in range(3):
        turning_away = fake.accept()
        turning_away.reject_login(409, "name_in_use", "This name is already in use.")
        turning_away.expect_closed()
    fake.accept_and_log_in()
    assert reader.next(Connected) and reader.next(Connected).reconnected
    assert "This name is already in use" in [event.reason for event in reader.seen if isinstance(event, Disconnected)]


def test_a_name_in_use_for_good(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(name_in_use=0.05)
    connection.close()
    refusing = gevent.spawn(refuse_for_ever, fake, 409, "name_in_use")
    assert isinstance(reader.wait_for_end(), Refused)
    refusing.kill()


def refuse_for_ever(fake: FakeServer, response: int, code: str) -> None:
    while True:
        fake.accept().reject_login(response, code, "No.")


def test_a_name_that_became_an_account(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    connection = fake.accept()
    connection.reject_login(401, "not_logged_in", "This name is an account now.")
    connection.reject_login(401, "not_logged_in", "This name is an account now.")
    error = reader.wait_for_end()
    assert isinstance(error, Refused)
    assert str(error) == "This name is an account now."


def test_a_server_without_room_is_tried_again_when_it_says(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    fake.accept().reject_login(503, "server_full", "No room.", retry_after=0.15)
    turned_away_at = time.monotonic()
    fake.accept_and_log_in()
    assert time.monotonic() - turned_away_at > 0.1
    assert reader.next(Connected) and reader.next(Connected).reconnected


def test_gives_up_after_retry_for(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(retry_for=0.3)
    fake.stop_listening()
    reader.client.send("dale", "hi")
    started = time.monotonic()
    connection.close()
    error = reader.wait_for_end()
    assert isinstance(error, Unreachable) and error.exit_code == 69
    assert "could not be restored within 0.3 s" in str(error)
    assert time.monotonic() - started > 0.2
    attempts = [event.attempt for event in reader.seen if isinstance(event, Disconnected)]
    assert attempts == list(range(1, len(attempts) + 1))
    assert reader.client.pending_count == 1
    with pytest.raises(Unreachable):
        reader.client.send("dale", "hi")


def test_replaced_is_the_end(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.push_message("dale", "one last thing")
    connection.send({"response": 409, "code": "replaced", "error": "You are elsewhere.", "time": 1.0})
    connection.expect_closed()
    error = reader.wait_for_end()
    assert isinstance(error, Refused) and str(error) == "You are elsewhere."
    assert any(isinstance(event, MessageReceived) for event in reader.seen)
    assert not reader.client.connected


def test_moving_is_believed(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.send({"action": "moving", "retry_in": 0.15})
    connection.push_message("dale", "still here")
    reader.next(MessageReceived)
    reader.client.send("dale", "for the next server")
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.receive()
    connection.close()
    lost = reader.next(Disconnected)
    assert lost.reason == "the server has announced that it is stopping"
    assert 0.15 <= lost.retry_in <= 0.225
    assert fake.accept_and_log_in().accept_messages(1) == ["for the next server"]
    reader.next(Accepted)


def test_moving_without_going_is_not_waited_for(fake: FakeServer, begin: Begin) -> None:
    _, connection = begin(response=0.2)
    connection.send({"action": "moving", "retry_in": 0.0})
    connection.expect_closed()
    fake.accept_and_log_in()


def test_pauses_start_again_once_the_line_has_stood(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(initial_backoff=0.01, max_backoff=10.0, stable_after=0.0)
    for _ in range(6):
        connection.close()
        assert reader.next(Disconnected).retry_in <= 0.01
        connection = fake.accept_and_log_in()


def test_status_and_rooms_are_said_again(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    saying = gevent.spawn(say_of_oneself, reader.client)
    connection.respond(connection.expect("status"), 200)
    connection.respond(connection.expect("join"), 200)
    saying.get(timeout=TIMEOUT)
    connection.close()
    reader.client.send("#ops", "back")
    connection = fake.accept_and_log_in()
    assert connection.expect("status")["status"] == "away"
    assert connection.expect("join")["room"] == "#ops"
    assert connection.accept_messages(1) == ["back"]


def test_a_room_that_was_left_by_another_spelling_is_not_entered_again(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    for act, room in ((reader.client.join, "#\uff2fps"), (reader.client.leave, "#ops")):
        asking = gevent.spawn(act, room)
        connection.respond(connection.expect("join" if act == reader.client.join else "leave"), 200)
        asking.get(timeout=TIMEOUT)
    assert reader.client._state_to_restore(seqs_reset=False) == {}


def say_of_oneself(client: Client) -> None:
    client.set_status("away")
    client.join("#ops")


def test_an_owner_who_does_not_read_is_not_told_every_attempt(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(event_queue_size=3, retry_for=0.15, initial_backoff=0.01, max_backoff=0.01)
    fake.stop_listening()
    connection.close()
    gevent.sleep(0)
    while not reader.client._event_queue.closed:
        gevent.sleep(0.01)
    assert isinstance(reader.wait_for_end(), Unreachable)
    assert len(reader.seen) <= 4


@pytest.mark.parametrize("code", ["kicked", "banned"])
def test_who_is_sent_away_does_not_come_back_by_itself(fake: FakeServer, begin: Begin, code: str) -> None:
    reader, connection = begin()
    connection.send({"response": 403, "code": code, "error": "Go.", "retry_after": 0.01, "time": 1.0})
    connection.expect_closed()
    error = reader.wait_for_end()
    assert isinstance(error, Refused) and str(error) == "Go."


def test_a_ban_that_ends_some_time_is_not_waited_for(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    for _ in range(2):  # with the token, and without
        (refusing := fake.accept()).reject_login(403, "banned", "You are banned.", retry_after=0.01)
        refusing.close()
    error = reader.wait_for_end()
    assert isinstance(error, Refused) and str(error) == "You are banned."


def test_what_a_mute_refuses_is_not_sent_again(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    reader.client.send("dale", "hi")
    connection.respond(connection.expect("msg"), 403, code="muted", error="You are muted.", retry_after=0.01)
    assert reader.next(Rejected).reason == "You are muted."
    assert reader.client.pending_count == 0


@pytest.mark.parametrize("retry_in", [0.0, -5.0, 1e-9, 1e308])
def test_a_server_cannot_ask_for_a_storm_nor_for_a_century(fake: FakeServer, begin: Begin, retry_in: float) -> None:
    reader, connection = begin(initial_backoff=0.02, max_backoff=0.1, max_retry_after=0.2)
    connection.send({"action": "moving", "retry_in": retry_in})
    connection.close()
    assert 0.02 <= reader.next(Disconnected).retry_in <= 0.3
    fake.accept_and_log_in()


def test_pauses_grow_however_often_a_server_says_that_it_is_moving(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(initial_backoff=0.005, max_backoff=0.04, stable_after=60.0)
    delays = []
    for _ in range(5):
        connection.restart()
        delays.append(reader.next(Disconnected).retry_in)
        connection = fake.accept_and_log_in()
    assert min(delays) >= 0.005 and delays[-1] >= 0.02


def test_a_seq_that_cannot_be_is_not_believed(fake: FakeServer, make: Any) -> None:
    reader = make()
    starting = gevent.spawn(reader.client.start)
    connection = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    for seq in (2**53 + 1, 2**63, 2**64, 10**30, -1):
        connection.push_message("dale", f"seq {seq}", seq=seq)
        connection.send(
            {"action": "delivered", "with": "dale", "seq": seq}, {"action": "read", "with": "dale", "seq": seq}
        )
    connection.push_message("dale", "the first", seq=1)
    assert reader.next(MessageReceived).delivery.message == "the first"
    reader.client.send("dale", "hi")
    connection.respond(connection.expect("msg"), 200, seq=10**30)
    reader.next(Accepted)
    connection.push_message("dale", "the second", seq=2)
    assert reader.next(MessageReceived).delivery.message == "the second"
    assert not any(isinstance(event, GapDetected | MessageDelivered | ReadMarkerMoved) for event in reader.seen)
