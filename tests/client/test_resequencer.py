"""An account's messages: each once, in order, without gaps, and acknowledged when handled."""

from typing import Any

import gevent
import pytest

from gmessenger.client import Accepted, Connected, Disconnected, GapDetected, MessageReceived, MessageSentElsewhere
from gmessenger.client.resequencer import AckBatcher, ConversationPosition
from tests.client.conftest import Begin, Reader
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer, Frame


@pytest.fixture
def account(fake: FakeServer, make: Any) -> tuple[Reader, ClientConnection]:
    """An account's client, and the server's end of its connection."""
    reader = make()
    starting = gevent.spawn(reader.client.start)
    connection = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    return reader, connection


def entry(seq: int, sender: str = "dale", to: str = "hank") -> Frame:
    return {"from": sender, "to": to, "time": 1.0, "message": f"text {seq}", "seq": seq}


def received_seqs(reader: Reader, last: int) -> list[int]:
    """Read messages up to a seq; return their seqs."""
    seqs: list[int] = []
    while last not in seqs:
        seqs.append(reader.next(MessageReceived).delivery.seq)
    return seqs


def test_what_the_owner_is_done_with_is_acknowledged(account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    for seq in (7, 8, 9):
        connection.push_message("dale", f"text {seq}", seq=seq)
    connection.push_message("bob", "in the room", "#dev", seq=3)
    assert received_seqs(reader, 9) == [7, 8, 9]
    assert connection.receive() == {"action": "ack", "with": "dale", "seq": 8}  # it may still be busy with 9
    reader.next(MessageReceived)
    reader.client.close()
    acks = [connection.expect("ack"), connection.expect("ack")]
    assert {(ack["with"], ack["seq"]) for ack in acks} == {("dale", 9), ("#dev", 3)}
    assert connection.receive() == {"action": "quit"}


def test_what_an_owner_failed_at_is_not(account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    connection.push_message("dale", "text", seq=1)
    with pytest.raises(ZeroDivisionError) as raised:
        pass_on(reader.client)
    reader.client.__exit__(raised.type, raised.value, raised.tb)
    assert connection.receive() == {"action": "quit"}


def pass_on(client: Any) -> None:
    for event in client:
        if isinstance(event, MessageReceived):
            raise ZeroDivisionError


def test_a_guest_acknowledges_nothing(begin: Begin) -> None:
    reader, connection = begin()
    connection.push_message("dale", "text", seq=1)
    reader.next(MessageReceived)
    reader.client.close()
    assert connection.receive() == {"action": "quit"}


def test_doubles_are_dropped_and_acknowledged_again(fake: FakeServer, account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    for seq in (1, 2):
        connection.push_message("dale", f"text {seq}", seq=seq)
    assert received_seqs(reader, 2) == [1, 2]
    connection.close()
    reader.next(Disconnected)
    connection = fake.accept_and_log_in(account=True)
    for seq in (1, 2, 3):
        connection.push_message("DALE", f"text {seq}", seq=seq)
    assert received_seqs(reader, 3) == [3]
    assert connection.expect("ack")["seq"] == 2


def test_a_hole_is_filled_in_order(account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    connection.push_message("dale", "text 10", seq=10)
    for seq in (14, 15, 16):
        connection.push_message("dale", f"text {seq}", seq=seq)
    request = connection.expect("history")
    assert (request["with"], request["after"], request["limit"]) == ("dale", 10, 3)
    connection.push_message("bob", "meanwhile", seq=1)
    assert reader.next(MessageReceived).delivery.seq == 10 and reader.next(MessageReceived).delivery.sender == "bob"
    connection.respond(request, 200, messages=[entry(11), entry(12)], more=True)
    request = next_history(connection)
    assert request["after"] == 12
    connection.respond(request, 200, messages=[entry(13), entry(14)], more=True)
    assert reader.next(GapDetected) == GapDetected("dale", 3, is_filled=True)
    assert received_seqs(reader, 16) == [11, 12, 13, 14, 15, 16]
    assert b'"action":"msg"' in reader.seen[-4].frame  # type: ignore[union-attr]


def next_history(connection: ClientConnection) -> Frame:
    """Return the next history request; acknowledgements before it are skipped."""
    while (frame := connection.receive())["action"] == "ack":
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
    account: tuple[Reader, ClientConnection], answer: dict[str, Any], seqs: list[int], lost: int
) -> None:
    reader, connection = account
    connection.push_message("dale", "text 1", seq=1)
    connection.push_message("dale", "text 5", seq=5)
    connection.respond(connection.expect("history"), **answer)
    reader.next(MessageReceived)
    assert received_seqs(reader, 5) == seqs
    missed = [event for event in reader.seen if isinstance(event, GapDetected)]
    assert missed == [GapDetected("dale", 3, is_filled=not lost)]


def test_a_hole_is_asked_for_again_later(account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    connection.push_message("dale", "text 1", seq=1)
    connection.push_message("dale", "text 3", seq=3)
    refused = connection.expect("history")
    connection.respond(refused, 503, code="store_unavailable", error="Later.", retry_after=0.02)
    connection.respond(next_history(connection), 200, messages=[entry(2)], more=False)
    assert received_seqs(reader, 3) == [1, 2, 3]


def test_a_guest_is_told_of_a_hole(begin: Begin) -> None:
    reader, connection = begin()
    connection.push_message("dale", "text 1", "#dev", seq=1)
    connection.push_message("dale", "text 3", "#dev", seq=3)
    assert reader.next(GapDetected) == GapDetected("#dev", 1, is_filled=False)
    assert reader.next(MessageReceived).delivery.seq == 3


def test_ones_own_messages_make_no_holes(account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    reader.client.send("dale", "mine")
    connection.respond(connection.expect("msg"), 200, seq=2)
    for seq in (1, 3):
        connection.push_message("dale", f"text {seq}", seq=seq)
    assert received_seqs(reader, 3) == [1, 3]
    assert reader.client.flush(TIMEOUT) == 0


def test_an_answer_that_was_lost_makes_no_double(fake: FakeServer, account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    connection.push_message("dale", "text 1", seq=1)
    reader.next(MessageReceived)
    message = reader.client.send("dale", "text 2")
    connection.expect("msg")
    connection.close()
    connection = fake.accept_and_log_in(account=True)
    connection.push_message("dale", "text 3", seq=3)
    frames: dict[str, Frame] = {}
    while not {"msg", "history"} <= frames.keys():
        frame = connection.receive()
        frames[frame["action"]] = frame
    connection.respond(frames["history"], 200, messages=[entry(2, "hank", "dale")], more=False)
    connection.respond(frames["msg"], 200, seq=2)
    assert reader.next(Accepted).message is message
    assert [event.delivery.seq for event in reader.seen if isinstance(event, MessageReceived)] == [1, 3]
    assert not any(isinstance(event, GapDetected | MessageSentElsewhere) for event in reader.seen)


def test_ones_other_devices(account: tuple[Reader, ClientConnection]) -> None:
    reader, connection = account
    connection.push_message("Hank", "from afar", "dale", seq=1)
    connection.push_message("dale", "answer", seq=2)
    assert reader.next(MessageSentElsewhere).delivery.message == "from afar"
    assert reader.next(MessageReceived).delivery.seq == 2
    reader.client.close()
    assert connection.expect("ack") == {"action": "ack", "with": "dale", "seq": 2}


def test_another_guest_of_the_name_has_had_nothing(fake: FakeServer, begin: Begin) -> None:
    reader, connection = begin()
    connection.push_message("dale", "text 9", seq=9)
    reader.next(MessageReceived)
    connection.close()
    reader.next(Disconnected)
    connection = fake.accept_and_log_in(session="another")
    connection.push_message("dale", "text 1", seq=1)
    assert reader.next(Connected).reconnected
    assert reader.next(MessageReceived).delivery.seq == 1


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
    reader = make()
    starting = gevent.spawn(reader.client.start)
    connection = fake.accept_and_log_in(account=True, store="one")
    starting.get(timeout=TIMEOUT)
    for store, seqs in (("one", (1, 2, 3)), ("one", (2, 3, 4)), ("other", (2, 3))):
        for seq in seqs:
            connection.push_message("dale", f"{store} {seq}", seq=seq)
        while reader.next(MessageReceived).delivery.message != f"{store} {seqs[-1]}":
            pass
        connection.restart()
        reader.next(Disconnected)
        connection = fake.accept_and_log_in(account=True, store="one" if seqs[0] == 1 else "other")
    texts = [event.delivery.message for event in reader.seen if isinstance(event, MessageReceived)]
    assert texts == ["one 1", "one 2", "one 3", "one 4", "other 2", "other 3"]
