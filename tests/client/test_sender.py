"""Sending: order, answers, what is tried again, and what is bounded."""

import time
from typing import Any

import gevent
import pytest
from gevent.queue import Full

from gmessenger.client import Accepted, Connected, Deferred, Disconnected, Notice, Rejected, Synced, receiver
from gmessenger.client.sender import MAX_IN_FLIGHT
from gmessenger.errors import BadText, Unreachable
from tests.client.conftest import Begin, Owner
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer, Frame


def test_accepted(begin: Begin) -> None:
    owner, peer = begin()
    message = owner.link.send("dale", "привет")
    asked = peer.expect("msg")
    assert asked == {"action": "msg", "id": message.id, "to": "dale", "message": "привет"}
    assert owner.link.pending_count == 1
    peer.respond(asked, 202)
    accepted = owner.next(Accepted)
    assert accepted.message is message and accepted.response.response == 202
    assert owner.link.pending_count == 0


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
    owner, peer = begin()
    message = owner.link.send("dale", "hi")
    peer.respond(peer.expect("msg"), response, code=code, error=error)
    rejected = owner.next(Rejected)
    assert rejected.message is message and rejected.reason == error
    assert owner.link.pending_count == 0


def test_a_refusal_without_a_word(begin: Begin) -> None:
    owner, peer = begin()
    owner.link.send("dale", "hi")
    peer.respond(peer.expect("msg"), 418)
    assert owner.next(Rejected).reason == "The server answered 418."


def test_pipelined_but_bounded(begin: Begin) -> None:
    owner, peer = begin()
    for number in range(200):
        owner.link.send("dale", str(number))
    waiting = [peer.expect("msg") for _ in range(MAX_IN_FLIGHT)]
    peer.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        peer.receive()
    peer.sock.settimeout(TIMEOUT)
    for message in waiting:
        peer.respond(message)
    texts = [message["message"] for message in waiting] + peer.accept_messages(200 - MAX_IN_FLIGHT)
    assert texts == [str(number) for number in range(200)]
    assert owner.link.flush(TIMEOUT) == 0


def test_large_messages_are_bounded_by_their_bytes(begin: Begin) -> None:
    owner, peer = begin()
    for _ in range(20):
        owner.link.send("dale", "x" * 60_000)
    for _ in range(5):
        peer.expect("msg")
    peer.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        peer.receive()


def test_unanswered_are_sent_again_in_order_with_their_ids(fake: FakeServer, begin: Begin) -> None:
    owner, peer = begin()
    sent = [owner.link.send("dale", str(number)) for number in range(100)]
    first = [peer.expect("msg") for _ in range(10)]
    peer.respond(first[0])
    peer.respond(first[3])
    owner.next(Accepted), owner.next(Accepted)
    peer.close()
    owner.link.send("dale", "typed while the line was down")
    peer = fake.accept_and_log_in()
    again = []
    for _ in range(99):
        again.append(peer.expect("msg"))
        peer.respond(again[-1])
    expected = [message for index, message in enumerate(sent) if index not in (0, 3)]
    assert [frame["id"] for frame in again[:-1]] == [message.id for message in expected]
    assert again[-1]["message"] == "typed while the line was down"
    assert owner.link.flush(TIMEOUT) == 0


def test_nothing_is_lost_over_many_losses(fake: FakeServer, begin: Begin) -> None:
    owner, peer = begin(initial_backoff=0.001, max_backoff=0.001)
    sent = [owner.link.send("dale", str(number)).text for number in range(100)]
    texts: list[str] = []
    while set(texts) != set(sent):
        texts += peer.accept_messages(min(7, len(set(sent) - set(texts))))
        peer.close()
        peer = fake.accept_and_log_in()
    # An answer that was lost with the line brings its message again; nothing overtakes.
    assert list(dict.fromkeys(texts)) == sent


def later(peer: ClientConnection, message: Frame, pause: float = 0.05) -> None:
    peer.respond(message, 429, code="recipient_busy", error="They are busy.", retry_after=pause)


def test_later_is_tried_again_and_keeps_the_order(begin: Begin) -> None:
    owner, peer = begin()
    for text in "abc":
        owner.link.send("dale", text)
    owner.link.send("bob", "d")
    first = [peer.expect("msg") for _ in range(4)]
    for message in first[:3]:
        later(peer, message)
    peer.respond(first[3])
    again = []
    for _ in range(3):  # one by one, the next only after the answer to the last
        again.append(peer.expect("msg"))
        peer.sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            peer.receive()
        peer.sock.settimeout(TIMEOUT)
        peer.respond(again[-1])
    assert [message["id"] for message in again] == [message["id"] for message in first[:3]]
    assert owner.link.flush(TIMEOUT) == 0
    gevent.sleep(0)
    owner.link.close()
    owner.ending()
    assert len([event for event in owner.seen if isinstance(event, Deferred)]) == 3


def test_later_holds_back_the_same_addressee_only(begin: Begin) -> None:
    owner, peer = begin()
    owner.link.send("dale", "a")
    later(peer, peer.expect("msg"), 0.2)
    assert owner.next(Deferred).reason == "They are busy."
    owner.link.send("dale", "b")
    owner.link.send("bob", "c")
    assert peer.accept_messages(3) == ["c", "a", "b"]


def test_later_without_a_pause(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "DEFAULT_RETRY_DELAY", 0.2)
    owner, peer = begin()
    owner.link.send("dale", "hi")
    peer.respond(peer.expect("msg"), 503, code="of_a_later_version", error="The store rests.")
    refused_at = time.monotonic()
    assert peer.accept_messages(1) == ["hi"]
    assert 0.15 < time.monotonic() - refused_at < 1


def test_later_is_final_after_a_while(begin: Begin) -> None:
    owner, peer = begin(max_defer=0.1)
    owner.link.send("dale", "hi")
    answering = gevent.spawn(lambda: [later(peer, peer.expect("msg"), 0.06) for _ in range(9)])
    assert owner.next(Rejected).reason == "They are busy."
    answering.kill()


@pytest.mark.parametrize(("account", "outage", "is_final"), [(True, 60, False), (True, 0.1, True), (False, 60, True)])
def test_an_account_tries_for_as_long_as_the_store_is_away(
    fake: FakeServer, make: Any, account: bool, outage: float, is_final: bool
) -> None:
    owner = make(max_defer=0.1, max_outage=outage)
    starting = gevent.spawn(owner.link.start)
    peer = fake.accept_and_log_in(account=account)
    starting.get(timeout=TIMEOUT)
    owner.link.send("dale", "hi")
    sent_at = time.monotonic()

    def refuse() -> None:
        peer.respond(peer.expect("msg"), 503, code="store_unavailable", error="Later.", retry_after=0.06)

    if is_final:  # at the first refusal after 0.1 s, however many there are until then
        refusing = gevent.spawn(lambda: [refuse() for _ in range(9)])
        assert owner.next(Rejected).reason == "Later."
        assert time.monotonic() - sent_at >= 0.1
        refusing.kill()
    else:
        for _ in range(6):
            refuse()
        peer.respond(peer.expect("msg"), 200, seq=1)
        assert owner.next(Accepted).response.seq == 1


@pytest.mark.parametrize("code", ["never_seen", "not_here"])
def test_who_is_missing_after_a_restart_may_be_on_their_way(
    fake: FakeServer, begin: Begin, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(receiver, "DEFAULT_RETRY_DELAY", 0.05)
    owner, peer = begin(absence_grace=0.1)
    peer.restart()
    owner.next(Disconnected)
    owner.link.send("dale", "hi")
    peer = fake.accept_and_log_in()
    peer.respond(peer.expect("msg"), 404, code=code, error="Nobody here.")
    assert owner.next(Deferred).reason == "Nobody here."
    assert peer.accept_messages(1) == ["hi"]
    gevent.sleep(0.1)
    owner.link.send("dale", "hi again")
    peer.respond(peer.expect("msg"), 404, code=code, error="Nobody here.")
    assert owner.next(Rejected).reason == "Nobody here."


def test_too_large_a_frame_is_rejected_before_it_is_sent(begin: Begin) -> None:
    owner, peer = begin()
    message = owner.link.send("dale", "x" * 65_536)
    rejected = owner.next(Rejected)
    assert rejected.message is message and rejected.response.response == 413
    assert "65536" in rejected.reason
    owner.link.send("dale", "short")
    assert peer.accept_messages(1) == ["short"]


def test_a_new_server_with_a_smaller_limit(fake: FakeServer, begin: Begin) -> None:
    owner, peer = begin()
    peer.close()
    owner.next(Disconnected)
    owner.link.send("dale", "x" * 2000)
    owner.link.send("dale", "short")
    peer = fake.accept()
    peer.accept_login(limits={"frame": 1000})
    assert peer.accept_messages(1) == ["short"]
    assert "1000" in owner.next(Rejected).reason


def test_text_that_cannot_be_sent(begin: Begin) -> None:
    owner, _ = begin()
    with pytest.raises(BadText):
        owner.link.send("dale", "half a \ud83d")


def test_a_full_outbox_raises_or_waits(begin: Begin) -> None:
    owner, peer = begin(outbox_size=2)
    owner.link.send("dale", "a"), owner.link.send("dale", "b")
    with pytest.raises(Full):
        owner.link.send("dale", "c")
    waiting = gevent.spawn(owner.link.send, "dale", "c", TIMEOUT)
    peer.expect("msg")
    assert not waiting.ready()
    peer.respond(peer.expect("msg"))
    assert peer.expect("msg")["message"] == "c"
    waiting.get(timeout=TIMEOUT)


def test_who_waits_for_room_is_told_of_the_end(begin: Begin) -> None:
    owner, _ = begin(outbox_size=1)
    owner.link.send("dale", "a")
    waiting = gevent.spawn(owner.link.send, "dale", "b", TIMEOUT)
    gevent.sleep(0.01)
    owner.link.close()
    with pytest.raises(Unreachable, match="closed"):
        waiting.get(timeout=TIMEOUT)
    assert owner.link.flush(TIMEOUT) == 1


def test_flush_counts_what_is_left(begin: Begin) -> None:
    owner, _ = begin()
    owner.link.send("dale", "a")
    assert owner.link.flush(0.02) == 1


def test_an_unanswered_message_means_a_lost_line(fake: FakeServer, begin: Begin) -> None:
    owner, peer = begin(response=0.2)
    owner.link.send("dale", "hi")
    peer.expect("msg")
    with gevent.Timeout(TIMEOUT):
        while True:  # alive, but it does not answer
            peer.respond({}, 200)
            gevent.sleep(0.02)
            if any(isinstance(event, Disconnected) for event in peek(owner)):
                break
    assert owner.seen[-1].reason == "the server did not answer within 0.2 s"
    assert fake.accept_and_log_in().accept_messages(1) == ["hi"]


def peek(owner: Owner) -> list[Any]:
    while owner.link._event_queue._events.qsize():
        owner.seen.append(next(owner.link))
    return owner.seen


def test_a_complaint_about_nothing_in_particular(begin: Begin) -> None:
    owner, peer = begin()
    peer.send({"response": 400, "code": "bad_frame", "error": "This is not JSON.", "time": 1.0})
    assert owner.next(Notice).text == "This is not JSON."
    peer.send({"response": 200, "time": 1.0}, {"response": 202, "id": "nobody's", "time": 1.0})
    owner.link.send("dale", "hi")
    peer.accept_messages(1)
    assert [type(event) for event in owner.seen] == [Connected, Synced, Notice]
    owner.next(Accepted)
