"""Messages of an account: each once, in order, without holes, and acknowledged when the owner is done with it."""

from typing import Any

import gevent
import pytest

from gmessenger.client import Accepted, Connected, Disconnected, GapDetected, MessageReceived, MessageSentElsewhere
from gmessenger.client.sequencing import AckBatcher, ConversationPosition
from tests.client.conftest import Begin, Owner
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer, Frame


@pytest.fixture
def account(fake: FakeServer, make: Any) -> tuple[Owner, ClientConnection]:
    """An account's link, and the server's end of it."""
    owner = make()
    starting = gevent.spawn(owner.link.start)
    peer = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    return owner, peer


def entry(seq: int, sender: str = "dale", to: str = "hank") -> Frame:
    return {"from": sender, "to": to, "time": 1.0, "message": f"text {seq}", "seq": seq}


def heard(owner: Owner, last: int) -> list[int]:
    """The numbers of the messages up to that one."""
    seqs: list[int] = []
    while last not in seqs:
        seqs.append(owner.next(MessageReceived).delivery.seq)
    return seqs


def test_what_the_owner_is_done_with_is_acknowledged(account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    for seq in (7, 8, 9):
        peer.push_message("dale", f"text {seq}", seq=seq)
    peer.push_message("bob", "in the room", "#dev", seq=3)
    assert heard(owner, 9) == [7, 8, 9]
    assert peer.receive() == {"action": "ack", "with": "dale", "seq": 8}  # it may still be busy with 9
    owner.next(MessageReceived)
    owner.link.close()
    acks = [peer.expect("ack"), peer.expect("ack")]
    assert {(ack["with"], ack["seq"]) for ack in acks} == {("dale", 9), ("#dev", 3)}
    assert peer.receive() == {"action": "quit"}


def test_what_an_owner_failed_at_is_not(account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    peer.push_message("dale", "text", seq=1)
    with pytest.raises(ZeroDivisionError) as failed:
        pass_on(owner.link)
    owner.link.__exit__(failed.type, failed.value, failed.tb)
    assert peer.receive() == {"action": "quit"}


def pass_on(link: Any) -> None:
    for event in link:
        if isinstance(event, MessageReceived):
            raise ZeroDivisionError


def test_a_guest_acknowledges_nothing(begin: Begin) -> None:
    owner, peer = begin()
    peer.push_message("dale", "text", seq=1)
    owner.next(MessageReceived)
    owner.link.close()
    assert peer.receive() == {"action": "quit"}


def test_doubles_are_dropped_and_acknowledged_again(fake: FakeServer, account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    for seq in (1, 2):
        peer.push_message("dale", f"text {seq}", seq=seq)
    assert heard(owner, 2) == [1, 2]
    peer.close()
    owner.next(Disconnected)
    peer = fake.accept_and_log_in(account=True)
    for seq in (1, 2, 3):
        peer.push_message("DALE", f"text {seq}", seq=seq)
    assert heard(owner, 3) == [3]
    assert peer.expect("ack")["seq"] == 2


def test_a_hole_is_filled_in_order(account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    peer.push_message("dale", "text 10", seq=10)
    for seq in (14, 15, 16):
        peer.push_message("dale", f"text {seq}", seq=seq)
    asked = peer.expect("history")
    assert (asked["with"], asked["after"], asked["limit"]) == ("dale", 10, 3)
    peer.push_message("bob", "meanwhile", seq=1)
    assert owner.next(MessageReceived).delivery.seq == 10 and owner.next(MessageReceived).delivery.sender == "bob"
    peer.respond(asked, 200, messages=[entry(11), entry(12)], more=True)
    asked = next_history(peer)
    assert asked["after"] == 12
    peer.respond(asked, 200, messages=[entry(13), entry(14)], more=True)
    assert owner.next(GapDetected) == GapDetected("dale", 3, is_filled=True)
    assert heard(owner, 16) == [11, 12, 13, 14, 15, 16]
    assert b'"action":"msg"' in owner.seen[-4].frame  # type: ignore[union-attr]


def next_history(peer: ClientConnection) -> Frame:
    """The next question for history; acknowledgements may come before it."""
    while (frame := peer.receive())["action"] == "ack":
        pass
    assert frame["action"] == "history"
    return frame


@pytest.mark.parametrize(
    ("answer", "seqs", "lost"),
    [
        ({"response": 200, "messages": [], "more": False}, [5], 3),
        ({"response": 200, "messages": [entry(4)], "more": False}, [4, 5], 0),
        ({"response": 403, "code": "not_member", "error": "No."}, [5], 3),
    ],
)
def test_a_hole_that_cannot_be_filled(
    account: tuple[Owner, ClientConnection], answer: dict[str, Any], seqs: list[int], lost: int
) -> None:
    owner, peer = account
    peer.push_message("dale", "text 1", seq=1)
    peer.push_message("dale", "text 5", seq=5)
    peer.respond(peer.expect("history"), **answer)
    owner.next(MessageReceived)
    assert heard(owner, 5) == seqs
    missed = [event for event in owner.seen if isinstance(event, GapDetected)]
    assert missed == [GapDetected("dale", 3, is_filled=not lost)]


def test_a_hole_is_asked_for_again_later(account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    peer.push_message("dale", "text 1", seq=1)
    peer.push_message("dale", "text 3", seq=3)
    refused = peer.expect("history")
    peer.respond(refused, 503, code="store_unavailable", error="Later.", retry_after=0.02)
    peer.respond(next_history(peer), 200, messages=[entry(2)], more=False)
    assert heard(owner, 3) == [1, 2, 3]


def test_a_guest_is_told_of_a_hole(begin: Begin) -> None:
    owner, peer = begin()
    peer.push_message("dale", "text 1", "#dev", seq=1)
    peer.push_message("dale", "text 3", "#dev", seq=3)
    assert owner.next(GapDetected) == GapDetected("#dev", 1, is_filled=False)
    assert owner.next(MessageReceived).delivery.seq == 3


def test_ones_own_messages_make_no_holes(account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    owner.link.send("dale", "mine")
    peer.respond(peer.expect("msg"), 200, seq=2)
    for seq in (1, 3):
        peer.push_message("dale", f"text {seq}", seq=seq)
    assert heard(owner, 3) == [1, 3]
    assert owner.link.flush(TIMEOUT) == 0


def test_an_answer_that_was_lost_makes_no_double(fake: FakeServer, account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    peer.push_message("dale", "text 1", seq=1)
    owner.next(MessageReceived)
    message = owner.link.send("dale", "text 2")
    peer.expect("msg")
    peer.close()
    peer = fake.accept_and_log_in(account=True)
    peer.push_message("dale", "text 3", seq=3)
    frames: dict[str, Frame] = {}
    while not {"msg", "history"} <= frames.keys():
        frame = peer.receive()
        frames[frame["action"]] = frame
    peer.respond(frames["history"], 200, messages=[entry(2, "hank", "dale")], more=False)
    peer.respond(frames["msg"], 200, seq=2)
    assert owner.next(Accepted).message is message
    assert [event.delivery.seq for event in owner.seen if isinstance(event, MessageReceived)] == [1, 3]
    assert not any(isinstance(event, GapDetected | MessageSentElsewhere) for event in owner.seen)


def test_ones_other_devices(account: tuple[Owner, ClientConnection]) -> None:
    owner, peer = account
    peer.push_message("Hank", "from afar", "dale", seq=1)
    peer.push_message("dale", "answer", seq=2)
    assert owner.next(MessageSentElsewhere).delivery.message == "from afar"
    assert owner.next(MessageReceived).delivery.seq == 2
    owner.link.close()
    assert peer.expect("ack") == {"action": "ack", "with": "dale", "seq": 2}


def test_another_guest_of_the_name_has_had_nothing(fake: FakeServer, begin: Begin) -> None:
    owner, peer = begin()
    peer.push_message("dale", "text 9", seq=9)
    owner.next(MessageReceived)
    peer.close()
    owner.next(Disconnected)
    peer = fake.accept_and_log_in(session="another")
    peer.push_message("dale", "text 1", seq=1)
    assert owner.next(Connected).reconnected
    assert owner.next(MessageReceived).delivery.seq == 1


def test_a_place_that_is_not_known_begins_before_all_of_ones_own() -> None:
    position = ConversationPosition("dale")
    for seq in range(2000):
        position.add_own(seq)
    position.set_start(2005)
    assert (position.last, position.count_missing(2005)) == (1999, 5)


def test_nothing_is_acknowledged_while_that_is_off() -> None:
    acks = AckBatcher(None)  # type: ignore[arg-type]
    acks.ack("dale", 1)
    assert acks.encode_all() == b""


def test_from_another_store_everything_counts_as_new(fake: FakeServer, make: Any) -> None:
    owner = make()
    starting = gevent.spawn(owner.link.start)
    peer = fake.accept_and_log_in(account=True, store="one")
    starting.get(timeout=TIMEOUT)
    for store, seqs in (("one", (1, 2, 3)), ("one", (2, 3, 4)), ("other", (2, 3))):
        for seq in seqs:
            peer.push_message("dale", f"{store} {seq}", seq=seq)
        while owner.next(MessageReceived).delivery.message != f"{store} {seqs[-1]}":
            pass
        peer.restart()
        owner.next(Disconnected)
        peer = fake.accept_and_log_in(account=True, store="one" if seqs[0] == 1 else "other")
    texts = [event.delivery.message for event in owner.seen if isinstance(event, MessageReceived)]
    assert texts == ["one 1", "one 2", "one 3", "one 4", "other 2", "other 3"]
