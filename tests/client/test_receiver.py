"""Receiving: frames as they came, invalid frames, silence, and a program that does not read events."""

import json

import gevent
import pytest

from gmessenger.client import Accepted, Connected, Disconnected, MessageReceived, PresenceChanged, receiver
from gmessenger.client.config import Timeouts
from gmessenger.client.heartbeat import Heartbeat, Liveness
from gmessenger.errors import Forbidden, Unreachable, WireError
from tests.client.conftest import Begin
from tests.support.scripted_server import TIMEOUT, FakeServer

FRAME = b'{"action":"msg", "from":"dale","to":"hank","time":1.5,"message":"\xd0\xbf\xd1\x80","new":[1]}'


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_very_bytes_in_any_split(begin: Begin, size: int) -> None:
    reader, connection = begin()
    data = FRAME + b"\n" + FRAME + b"\r\n\n"
    for start in range(0, len(data), size):
        connection.send_bytes(data[start : start + size])
        gevent.sleep(0)
    first, second = reader.next(MessageReceived), reader.next(MessageReceived)
    assert first.frame == FRAME
    assert second.frame.strip() == FRAME
    assert (first.delivery.sender, first.delivery.message) == ("dale", "пр")


def test_presence_events(begin: Begin) -> None:
    reader, connection = begin()
    connection.send({"action": "presence", "user": {"account_name": "dale", "status": "away"}})
    assert reader.next(PresenceChanged) == PresenceChanged("dale", "away")


def test_frames_of_a_later_version_are_no_harm(begin: Begin) -> None:
    reader, connection = begin()
    connection.send({"action": "topic", "room": "#dev"}, {"neither": 1}, {"action": "msg", "of": "another kind"}, {})
    connection.push_message("dale", "hi")
    assert reader.next(MessageReceived).delivery.message == "hi"


@pytest.mark.parametrize(
    "rubbish", [b"nonsense\n", b"\xff\xfe\n", b'{"action":\n', b'{"a":' * 100_000 + b"\n", b"x" * 1_100_000]
)
def test_rubbish_ends_the_line_but_not_what_came_before(fake: FakeServer, begin: Begin, rubbish: bytes) -> None:
    reader, connection = begin()
    writing = gevent.spawn(connection.send_bytes, FRAME + b"\n" + rubbish)
    assert reader.next(MessageReceived).frame == FRAME
    assert "The server sent" in reader.next(Disconnected).reason
    writing.kill()
    fake.accept_and_log_in()
    assert reader.next(Connected).reconnected


def test_a_probe_is_answered(begin: Begin) -> None:
    _, connection = begin()
    connection.send({"action": "probe"})
    assert connection.receive() == {"response": 200}


def test_silence_is_probed_and_any_frame_will_do(begin: Begin) -> None:
    reader, connection = begin(probe_after=0.1, response=0.3)
    for _ in range(3):
        assert connection.receive() == {"action": "probe"}
        connection.send({"action": "synced"})
    assert reader.client.connected


def test_after_a_sleep_the_server_is_asked_at_once(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, connection = begin(probe_after=60, response=0.8)
    slept = receiver.suspended_seconds()
    monkeypatch.setattr(receiver, "suspended_seconds", lambda: slept + 3600)
    assert connection.receive() == {"action": "probe"}
    connection.send({"response": 200})
    monkeypatch.setattr(receiver, "suspended_seconds", lambda: slept + 3601)  # clocks are not that exact
    connection.push_message("dale", "still here")
    assert reader.next(MessageReceived).delivery.message == "still here"


def test_no_answer_to_a_probe_is_a_lost_line(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(probe_after=0.1, response=0.1)
    assert connection.receive() == {"action": "probe"}
    assert reader.next(Disconnected).reason == "the server did not answer within 0.1 s"
    connection.expect_closed()
    fake.accept_and_log_in()
    assert reader.next(Connected).reconnected


def test_a_server_that_reads_nothing_is_a_lost_line(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(response=0.2)
    for _ in range(200):
        reader.client.send("dale", "x" * 60_000)
    assert "0.2 s" in reader.next(Disconnected).reason
    connection.close()
    connection = fake.accept_and_log_in()
    assert connection.expect("msg")["message"] == "x" * 60_000


def test_an_owner_who_does_not_read_holds_back_receiving_not_the_heartbeat(begin: Begin) -> None:
    reader, connection = begin(event_queue_size=10, probe_after=0.05, response=0.5)
    flood = gevent.spawn(connection.send_bytes, (FRAME[:-1] + b',"pad":"' + b"x" * 10_000 + b'"}\n') * 2000)
    for _ in range(4):  # longer than probe_after and answer together
        assert connection.receive() == {"action": "probe"}
    assert not flood.ready()
    assert reader.client.connected
    received = [reader.next(MessageReceived) for _ in range(2000)]
    assert len(received) == 2000
    assert not any(isinstance(event, Disconnected) for event in reader.seen)
    flood.get(timeout=TIMEOUT)


def test_sending_goes_on_while_receiving_is_held_back(begin: Begin) -> None:
    reader, connection = begin(event_queue_size=5, probe_after=0.1, response=0.2)
    for _ in range(10):
        connection.push_message("dale", "hi")
    gevent.sleep(0.05)
    reader.client.send("dale", "I am busy reading")
    while (frame := connection.receive()) == {"action": "probe"}:
        pass
    assert frame["message"] == "I am busy reading"
    gevent.sleep(0.3)  # its answer is not heard for longer than `answer`: our fault, not the server's
    connection.respond(frame)
    reader.next(Accepted)
    assert not any(isinstance(event, Disconnected) for event in reader.seen)


def test_an_owner_can_ask_while_its_inbox_is_full(begin: Begin) -> None:
    reader, connection = begin(event_queue_size=5)
    for _ in range(7):
        connection.push_message("dale", "hi")
    gevent.sleep(0.05)
    asking = gevent.spawn(reader.client.users)
    connection.respond(connection.expect("users"), 200, users=[{"account_name": "dale", "status": "away"}])
    assert [card.account_name for card in asking.get(timeout=TIMEOUT)] == ["dale"]


def test_users_are_paged(begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.users)
    first = connection.expect("users")
    assert "after" not in first
    connection.respond(first, 200, users=[{"account_name": "a"}, {"account_name": "b"}], more=True)
    second = connection.expect("users")
    assert second["after"] == "b"
    connection.respond(second, 200, users=[{"account_name": "c"}], more=False)
    assert [card.account_name for card in asking.get(timeout=TIMEOUT)] == ["a", "b", "c"]


@pytest.mark.parametrize("users", [[], [{"account_name": "a"}]])
def test_a_list_that_does_not_end_is_ended(begin: Begin, users: list[dict[str, str]]) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.users)
    while not asking.ready():
        try:
            connection.sock.settimeout(0.1)
            connection.respond(connection.expect("users"), 200, users=users, more=True)
        except TimeoutError:
            break
    assert len(asking.get(timeout=TIMEOUT)) <= 2


def test_a_question_refused(begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.join, "#ops")
    connection.respond(connection.expect("join"), 403, code="forbidden", error="Members only.")
    with pytest.raises(Forbidden, match="Members only"):
        asking.get(timeout=TIMEOUT)
    asking = gevent.spawn(reader.client.join, "#ops")
    connection.respond(connection.expect("join"), 400, code="of_a_later_version", error="Not like that.")
    with pytest.raises(WireError, match="Not like that"):
        asking.get(timeout=TIMEOUT)


def test_a_question_unanswered(begin: Begin) -> None:
    reader, connection = begin(response=0.1)
    asking = gevent.spawn(reader.client.set_status, "away")
    connection.expect("status")
    with pytest.raises(Unreachable, match=r"0\.1 s"):
        asking.get(timeout=TIMEOUT)


def test_a_question_is_asked_again_on_the_next_line(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.set_status, "away")
    first = connection.expect("status")
    connection.close()
    connection = fake.accept_and_log_in()
    repeated = connection.expect("status")
    assert repeated == first
    connection.respond(repeated, 200)
    asking.get(timeout=TIMEOUT)


def test_a_question_ends_with_the_link(begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.users)
    connection.expect("users")
    reader.client.close()
    with pytest.raises(Unreachable, match="closed"):
        asking.get(timeout=TIMEOUT)


def test_a_mistake_of_ours_is_not_silent(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, connection = begin()
    monkeypatch.setattr(reader.client._send_queue, "next_batch", lambda now: 1 / 0)
    reader.client.send("dale", "hi")
    assert isinstance(reader.wait_for_end(), ZeroDivisionError)
    connection.expect_closed()


def test_a_bot_is_twenty_lines(begin: Begin) -> None:
    reader, connection = begin()

    def echo() -> None:
        for event in reader.client:
            if isinstance(event, MessageReceived):
                reader.client.send(event.delivery.sender, event.delivery.message)

    bot = gevent.spawn(echo)
    connection.push_message("dale", "ping")
    request = connection.expect("msg")
    assert (request["to"], request["message"]) == ("dale", "ping")
    reader.client.close()
    bot.get(timeout=TIMEOUT)


def test_heartbeat() -> None:
    heart = Heartbeat(Timeouts(probe_after=60, response=30), now=0)
    assert heart.check(59, None) is Liveness.ALIVE
    assert heart.next_check_at(None) == 60
    assert heart.check(60, None) is Liveness.PROBE
    heart.on_probe_sent(60)
    assert heart.next_check_at(None) == 90
    assert heart.check(89, None) is Liveness.ALIVE
    assert heart.check(90, None) is Liveness.DEAD
    heart.on_frame(80)
    assert heart.check(100, oldest_sent=69) is Liveness.DEAD
    assert heart.check(100, oldest_sent=71) is Liveness.ALIVE
    heart.on_reading_resumed(95)
    assert heart.next_check_at(oldest_sent=69) == 125


def test_a_flood_is_read_to_its_end(begin: Begin) -> None:
    reader, connection = begin()
    frames = b"".join(json.dumps({"action": "synced"}).encode() + b"\n" for _ in range(50_000))
    connection.send_bytes(frames)
    connection.push_message("dale", "done")
    assert reader.next(MessageReceived).delivery.message == "done"


def test_a_timeout_of_the_owner_s_own_passes_through(begin: Begin) -> None:
    reader, _ = begin()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        reader.client.users()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        reader.client.erase_account("password1")
    assert reader.client._requested_end is None
