"""Sending: order, responses, deferred messages, and bounds."""

import time
from typing import Any

import gevent
import pytest
from gevent.queue import Full

from gmessenger.client import Accepted, Connected, Deferred, Disconnected, Notice, Rejected, Synced, receiver
from gmessenger.client.sender import MAX_IN_FLIGHT
from gmessenger.errors import BadText, Unreachable
from tests.client.conftest import Begin, Reader
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer, Frame


def test_accepted(begin: Begin) -> None:
    reader, connection = begin()
    message = reader.client.send("dale", "привет")
    request = connection.expect("msg")
    assert request == {"action": "msg", "id": message.id, "to": "dale", "message": "привет"}
    assert reader.client.pending_count == 1
    connection.respond(request, 202)
    accepted = reader.next(Accepted)
    assert accepted.message is message and accepted.response.response == 202
    assert reader.client.pending_count == 0


@pytest.mark.parametrize(
    ("response", "code", "error"),
    [
        (404, "never_seen", "This name is not known on this server."),
        (410, "not_here", "They have left."),
        (413, "too_long", "A message has at most 10 characters."),
        (403, "of_a_later_version", "They have blocked you."),
        (409, "id_reused", "Another text had this id."),
    ],
)
def test_final_refusals(begin: Begin, response: int, code: str, error: str) -> None:
    reader, connection = begin()
    message = reader.client.send("dale", "hi")
    connection.respond(connection.expect("msg"), response, code=code, error=error)
    rejected = reader.next(Rejected)
    assert rejected.message is message and rejected.reason == error
    assert reader.client.pending_count == 0


def test_a_refusal_without_a_word(begin: Begin) -> None:
    reader, connection = begin()
    reader.client.send("dale", "hi")
    connection.respond(connection.expect("msg"), 418)
    assert reader.next(Rejected).reason == "The server answered 418."


def test_pipelined_but_bounded(begin: Begin) -> None:
    reader, connection = begin()
    for number in range(200):
        reader.client.send("dale", str(number))
    waiting = [connection.expect("msg") for _ in range(MAX_IN_FLIGHT)]
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.receive()
    connection.sock.settimeout(TIMEOUT)
    for message in waiting:
        connection.respond(message)
    texts = [message["message"] for message in waiting] + connection.accept_messages(200 - MAX_IN_FLIGHT)
    assert texts == [str(number) for number in range(200)]
    assert reader.client.flush(TIMEOUT) == 0


def test_large_messages_are_bounded_by_their_bytes(begin: Begin) -> None:
    reader, connection = begin()
    for _ in range(20):
        reader.client.send("dale", "x" * 60_000)
    for _ in range(5):
        connection.expect("msg")
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.receive()


def test_unanswered_are_sent_again_in_order_with_their_ids(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    sent = [reader.client.send("dale", str(number)) for number in range(100)]
    first = [connection.expect("msg") for _ in range(10)]
    connection.respond(first[0])
    connection.respond(first[3])
    reader.next(Accepted), reader.next(Accepted)
    connection.close()
    reader.client.send("dale", "typed while the line was down")
    connection = fake.accept_and_log_in()
    resent = []
    for _ in range(99):
        resent.append(connection.expect("msg"))
        connection.respond(resent[-1])
    expected = [message for index, message in enumerate(sent) if index not in (0, 3)]
    assert [frame["id"] for frame in resent[:-1]] == [message.id for message in expected]
    assert resent[-1]["message"] == "typed while the line was down"
    assert reader.client.flush(TIMEOUT) == 0


def test_nothing_is_lost_over_many_losses(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(initial_backoff=0.001, max_backoff=0.001)
    sent = [reader.client.send("dale", str(number)).text for number in range(100)]
    texts: list[str] = []
    while set(texts) != set(sent):
        texts += connection.accept_messages(min(7, len(set(sent) - set(texts))))
        connection.close()
        connection = fake.accept_and_log_in()
    # An answer that was lost with the line brings its message again; nothing overtakes.
    assert list(dict.fromkeys(texts)) == sent


def defer(connection: ClientConnection, message: Frame, delay: float = 0.05) -> None:
    connection.respond(message, 429, code="recipient_busy", error="They are busy.", retry_after=delay)


def test_later_is_tried_again_and_keeps_the_order(begin: Begin) -> None:
    reader, connection = begin()
    for text in "abc":
        reader.client.send("dale", text)
    reader.client.send("bob", "d")
    first = [connection.expect("msg") for _ in range(4)]
    for message in first[:3]:
        defer(connection, message)
    connection.respond(first[3])
    resent = []
    for _ in range(3):  # one by one, the next only after the answer to the last
        resent.append(connection.expect("msg"))
        connection.sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            connection.receive()
        connection.sock.settimeout(TIMEOUT)
        connection.respond(resent[-1])
    assert [message["id"] for message in resent] == [message["id"] for message in first[:3]]
    assert reader.client.flush(TIMEOUT) == 0
    gevent.sleep(0)
    reader.client.close()
    reader.wait_for_end()
    assert len([event for event in reader.seen if isinstance(event, Deferred)]) == 3


def test_later_holds_back_the_same_addressee_only(begin: Begin) -> None:
    reader, connection = begin()
    reader.client.send("dale", "a")
    defer(connection, connection.expect("msg"), 0.2)
    assert reader.next(Deferred).reason == "They are busy."
    reader.client.send("dale", "b")
    reader.client.send("bob", "c")
    assert connection.accept_messages(3) == ["c", "a", "b"]


def test_later_without_a_pause(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "DEFAULT_RETRY_DELAY", 0.2)
    reader, connection = begin()
    reader.client.send("dale", "hi")
    connection.respond(connection.expect("msg"), 503, code="of_a_later_version", error="The store rests.")
    refused_at = time.monotonic()
    assert connection.accept_messages(1) == ["hi"]
    assert time.monotonic() - refused_at > 0.15


def test_later_is_final_after_a_while(begin: Begin) -> None:
    reader, connection = begin(max_defer=0.1)
    reader.client.send("dale", "hi")
    answering = gevent.spawn(lambda: [defer(connection, connection.expect("msg"), 0.06) for _ in range(9)])
    assert reader.next(Rejected).reason == "They are busy."
    answering.kill()


@pytest.mark.parametrize(("account", "outage", "is_final"), [(True, 60, False), (True, 0.1, True), (False, 60, True)])
def test_an_account_tries_for_as_long_as_the_store_is_away(
    fake: FakeServer, make: Any, account: bool, outage: float, is_final: bool
) -> None:
    reader = make(max_defer=0.1, max_outage=outage)
    starting = gevent.spawn(reader.client.start)
    connection = fake.accept_and_log_in(account=account)
    starting.get(timeout=TIMEOUT)
    reader.client.send("dale", "hi")
    sent_at = time.monotonic()

    def refuse() -> None:
        connection.respond(connection.expect("msg"), 503, code="store_unavailable", error="Later.", retry_after=0.06)

    if is_final:  # at the first refusal after 0.1 s, however many there are until then
        refusing = gevent.spawn(lambda: [refuse() for _ in range(9)])
        assert reader.next(Rejected).reason == "Later."
        assert time.monotonic() - sent_at >= 0.1
        refusing.kill()
    else:
        for _ in range(6):
            refuse()
        connection.respond(connection.expect("msg"), 200, seq=1)
        assert reader.next(Accepted).response.seq == 1


@pytest.mark.parametrize("code", ["never_seen", "not_here"])
def test_who_is_missing_after_a_restart_may_be_on_their_way(
    fake: FakeServer, begin: Begin, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(receiver, "DEFAULT_RETRY_DELAY", 0.05)
    reader, connection = begin(absence_grace=0.1)
    connection.restart()
    reader.next(Disconnected)
    reader.client.send("dale", "hi")
    connection = fake.accept_and_log_in()
    connection.respond(connection.expect("msg"), 404, code=code, error="Nobody here.")
    assert reader.next(Deferred).reason == "Nobody here."
    assert connection.accept_messages(1) == ["hi"]
    gevent.sleep(0.1)
    reader.client.send("dale", "hi again")
    connection.respond(connection.expect("msg"), 404, code=code, error="Nobody here.")
    assert reader.next(Rejected).reason == "Nobody here."


def test_too_large_a_frame_is_rejected_before_it_is_sent(begin: Begin) -> None:
    reader, connection = begin()
    message = reader.client.send("dale", "x" * 65_536)
    rejected = reader.next(Rejected)
    assert rejected.message is message and rejected.response.response == 413
    assert "65536" in rejected.reason
    reader.client.send("dale", "short")
    assert connection.accept_messages(1) == ["short"]


def test_a_new_server_with_a_smaller_limit(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.close()
    reader.next(Disconnected)
    reader.client.send("dale", "x" * 2000)
    reader.client.send("dale", "short")
    connection = fake.accept()
    connection.accept_login(limits={"frame": 1000})
    assert connection.accept_messages(1) == ["short"]
    assert "1000" in reader.next(Rejected).reason


def test_text_that_cannot_be_sent(begin: Begin) -> None:
    reader, _ = begin()
    with pytest.raises(BadText):
        reader.client.send("dale", "half a \ud83d")


def test_a_full_outbox_raises_or_waits(begin: Begin) -> None:
    reader, connection = begin(send_queue_size=2)
    reader.client.send("dale", "a"), reader.client.send("dale", "b")
    with pytest.raises(Full):
        reader.client.send("dale", "c")
    waiting = gevent.spawn(reader.client.send, "dale", "c", TIMEOUT)
    connection.expect("msg")
    assert not waiting.ready()
    connection.respond(connection.expect("msg"))
    assert connection.expect("msg")["message"] == "c"
    waiting.get(timeout=TIMEOUT)


def test_who_waits_for_room_is_told_of_the_end(begin: Begin) -> None:
    reader, _ = begin(send_queue_size=1)
    reader.client.send("dale", "a")
    waiting = gevent.spawn(reader.client.send, "dale", "b", TIMEOUT)
    gevent.sleep(0.01)
    reader.client.close()
    with pytest.raises(Unreachable, match="closed"):
        waiting.get(timeout=TIMEOUT)
    assert reader.client.flush(TIMEOUT) == 1


def test_flush_counts_what_is_left(begin: Begin) -> None:
    reader, _ = begin()
    reader.client.send("dale", "a")
    assert reader.client.flush(0.02) == 1


def test_an_unanswered_message_means_a_lost_line(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin(response=0.2)
    reader.client.send("dale", "hi")
    connection.expect("msg")
    with gevent.Timeout(TIMEOUT):
        while True:  # alive, but it does not answer
            connection.respond({}, 200)
            gevent.sleep(0.02)
            if any(isinstance(event, Disconnected) for event in peek(reader)):
                break
    assert reader.seen[-1].reason == "the server did not answer within 0.2 s"
    assert fake.accept_and_log_in().accept_messages(1) == ["hi"]


def peek(reader: Reader) -> list[Any]:
    while reader.client._event_queue._events.qsize():
        reader.seen.append(next(reader.client))
    return reader.seen


def test_a_complaint_about_nothing_in_particular(begin: Begin) -> None:
    reader, connection = begin()
    connection.send({"response": 400, "code": "bad_frame", "error": "This is not JSON.", "time": 1.0})
    assert reader.next(Notice).text == "This is not JSON."
    connection.send({"response": 200, "time": 1.0}, {"response": 202, "id": "nobody's", "time": 1.0})
    reader.client.send("dale", "hi")
    connection.accept_messages(1)
    assert [type(event) for event in reader.seen] == [Connected, Synced, Notice]
    reader.next(Accepted)
