"""What the link's events write into the book: tables of events and what one sees of them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec import UNSET

from gmessenger.client import (
    Accepted,
    ChatEvent,
    Connected,
    Disconnected,
    MemberJoined,
    MemberLeft,
    MessageDelivered,
    MessageEvent,
    MessageReceived,
    MessageSentElsewhere,
    OutgoingMessage,
    PresenceChanged,
    ReadMarkerMoved,
    Rejected,
    Synced,
    TopicChanged,
)
from gmessenger.client.sender import make_message
from gmessenger.terminal.tui import model
from gmessenger.terminal.tui.conversation import MAX_ENTRIES, Conversation, Entry, MessageState
from gmessenger.terminal.tui.model import EVENT_REDUCERS, ConnectionPhase, Model
from gmessenger.wire.events import ResponseFrame

NOW = 1_763_800_000.0


def said(text: str, seq: int | None = None, sender: str = "dale", to: str = "hank", **more: Any) -> MessageEvent:
    return MessageEvent(sender, to, NOW, text, UNSET if seq is None else seq, **more)


def came(book: Model, text: str, seq: int | None = None, **more: Any) -> bool:
    return book.apply(MessageReceived(said(text, seq, **more), b""), NOW)


def texts(conversation: Conversation | None) -> list[str]:
    assert conversation is not None
    return [entry.text for entry in conversation.entries]


@pytest.fixture
def book() -> Model:
    return Model("hank")


def test_what_comes_opens_a_conversation_and_is_unread_until_it_is_looked_at(book: Model) -> None:
    assert came(book, "one", 1) and came(book, "two", 2)
    dale = book.open("DALE")
    assert (texts(dale), dale.unread, dale.marker) == (["one", "two"], 2, dale.entries[0])
    book.switch_to(dale)
    came(book, "three", 3)
    assert (dale.unread, dale.marker, dale.last_seq) == (0, dale.entries[0], 3)
    book.switch_to(book.home)
    assert dale.marker is None


def test_the_bell_rings_for_what_is_meant_for_oneself(book: Model) -> None:
    assert came(book, "hi")
    room = {"sender": "dale", "to": "#dev"}
    heard = [came(book, text, **room) for text in ("hi", "hank: hi", "ask @Hank!", "hankering", "thank you")]
    assert heard == [False, True, True, False, False]
    assert book.open("#dev").mentions == 2
    assert book.next_unread() is book.open("#dev")


def test_what_history_brings_goes_before_what_came_and_is_there_once(book: Model) -> None:
    dale = book.open("dale")
    for number in (5, 6):
        came(book, str(number), number)
    assert book.add_history(dale, [said(str(number), number) for number in range(1, 7)]) == 4
    assert texts(dale) == ["1", "2", "3", "4", "5", "6"]
    assert (dale.first_seq, dale.unread) == (1, 2)


def test_a_message_of_ones_own_says_what_became_of_it(book: Model) -> None:
    messages = [make_message("dale", text) for text in ("one", "two", "three")]
    entries = [book.add_sent(message, NOW) for message in messages]
    book.apply(Accepted(messages[0], ResponseFrame(200, messages[0].id, seq=1)), NOW)
    book.apply(Accepted(messages[1], ResponseFrame(202, messages[1].id)), NOW)
    book.apply(Rejected(messages[2], ResponseFrame(404, messages[2].id, error="No\x1bbody.", code="never_seen")), NOW)
    assert [entry.state for entry in entries] == [MessageState.STORED, MessageState.RELAYED, MessageState.REJECTED]
    book.apply(MessageDelivered("Dale", 1), NOW)
    assert entries[0].state is MessageState.DELIVERED
    assert "\x1b" not in entries[2].reason and entries[2].reason.startswith("No")
    assert book.open("dale").last_rejected() is entries[2]


def test_an_answer_for_a_message_of_an_earlier_run_shows_the_message(book: Model) -> None:
    message = make_message("dale", "left over")
    book.apply(Accepted(message, ResponseFrame(200, message.id, seq=4)), NOW)
    assert texts(book.find("dale")) == ["left over"]


def test_history_that_was_faster_than_the_answer_leaves_the_message_once(book: Model) -> None:
    message = make_message("dale", "hi")
    entry = book.add_sent(message, NOW)
    dale = book.open("dale")
    book.add_history(dale, [said("hi", 1, sender="hank", to="dale")])
    book.apply(Accepted(message, ResponseFrame(200, message.id, seq=1)), NOW)
    assert dale.entries == [entry]


def test_what_was_read_or_said_elsewhere(book: Model) -> None:
    for number in range(1, 5):
        came(book, "hank?" if number == 4 else "x", number)
    dale = book.open("dale")
    book.apply(ReadMarkerMoved("dale", 3), NOW)
    assert (dale.unread, dale.mentions, dale.marker) == (1, 1, dale.entries[3])
    book.apply(ReadMarkerMoved("dale", 4), NOW)
    assert (dale.unread, dale.mentions, dale.marker) == (0, 0, None)
    book.apply(MessageSentElsewhere(said("mine", 5, sender="hank", to="dale"), b""), NOW)
    assert dale.entries[-1].is_own and dale.entries[-1].state is MessageState.STORED and not dale.unread


def test_rooms_have_members_and_a_topic(book: Model) -> None:
    for event in (
        MemberJoined("#dev", "Dale"),
        MemberJoined("#dev", "peggy"),
        MemberLeft("#dev", "PEGGY"),
        TopicChanged("#dev", "x", "y"),
    ):
        book.apply(event, NOW)
    dev = book.open("#dev")
    assert (dev.members, dev.topic, dev.unread) == ({"dale": "Dale"}, "y", 0)
    book.apply(PresenceChanged("Dale", "away"), NOW)
    assert book.presence == {"dale": "away", "peggy": "online"}


def test_the_line_is_lost_and_comes_back(book: Model) -> None:
    book.apply(Connected("gmessenger", "Welcome.", {}, reconnected=False), NOW)
    book.apply(Disconnected("broken", 4.0, 1), NOW)
    assert (book.connection.phase, book.connection.retry_at) == (ConnectionPhase.LOST, NOW + 4)
    book.apply(Connected("gmessenger", "Welcome.", {}, reconnected=True), NOW)
    assert book.connection.phase is ConnectionPhase.CONNECTED


def test_what_one_does_not_want_to_hear_is_not_shown() -> None:
    book = Model("hank", is_from_blocked=lambda delivery: delivery.sender == "dale")
    came(book, "hank!", to="#dev")
    assert book.find("#dev") is None
    assert came(book, "direct")


def test_strangers_words_are_safe(book: Model) -> None:
    came(book, "a\x1b[2J\nb\u202ec", sender="e\x07vil")
    assert texts(book.find("e\x07vil")) == ["a^[[2J\nb<202e>c"]


def test_going_from_one_to_the_next_and_closing(book: Model) -> None:
    one, two = book.open("one"), book.open("two")
    assert [book.neighbour(by) for by in (1, 2, 3, -1)] == [one, two, book.home, two]
    book.switch_to(two)
    book.close(two)
    book.close(book.home)
    assert (list(book), book.current) == ([book.home, one], one)


def test_of_much_the_newest_is_kept(book: Model) -> None:
    dale = book.open("dale")
    dale.is_complete = True
    for number in range(1, 10_002):
        came(book, "x", number)
    assert (len(dale.entries), dale.first_seq, dale.is_complete) == (9_001, 1_001, False)


def test_a_message_that_is_not_from_here_is_none_of_ones_own(book: Model) -> None:
    dale = book.open("dale")
    assert dale.find(OutgoingMessage("id", "dale", "x", b"")) is None


def test_what_was_said_offline_moves_to_where_others_see_it(book: Model) -> None:
    entries = [book.add_outgoing("dale", text, NOW) for text in ("mine", "mine too")]
    dale = book.open("dale")
    for entry in entries:
        entry.message = make_message("dale", entry.source_text)
    came(book, "meanwhile", 5)
    for seq, entry in zip((6, 7), entries, strict=True):
        assert entry.message is not None
        book.apply(Accepted(entry.message, ResponseFrame(200, entry.message.id, seq=seq)), NOW)
    assert texts(dale) == ["meanwhile", "mine", "mine too"]
    assert book.add_history(dale, [said("mine", 6, sender="hank", to="dale")]) == 0
    assert dale.last_seq == 7


def test_what_history_brings_goes_above_what_was_noticed_since(book: Model) -> None:
    dale = book.open("dale")
    book.add_notice("early", NOW - 10, dale)
    book.add_notice("late", NOW + 10, dale)
    book.add_history(dale, [said(str(seq), seq) for seq in (1, 2)])
    assert texts(dale) == ["early", "1", "2", "late"]


def test_what_is_refused_can_be_taken_back_as_it_was_typed(book: Model) -> None:
    entry = book.add_outgoing("dale", "tab\there", NOW)
    assert (entry.text, entry.source_text, entry.message) == ("tab    here", "tab\there", None)


def test_what_the_server_lists_is_counted_once_wherever_it_is(book: Model) -> None:
    came(book, "4", 4)
    book.merge_listing("dale", head=6, read=2)
    dale = book.open("dale")
    assert dale.unread == 4
    came(book, "5", 5), came(book, "6", 6), came(book, "7", 7)
    assert dale.unread == 5
    book.apply(ReadMarkerMoved("dale", 4), NOW)
    assert (dale.unread, texts(dale)) == (3, ["4", "5", "6", "7"])


def test_what_one_has_said_oneself_is_never_new(book: Model) -> None:
    book.merge_listing("dale", head=6, read=4)
    message = make_message("dale", "of last time")
    book.apply(Accepted(message, ResponseFrame(200, message.id, seq=5)), NOW)
    dale = book.open("dale")
    assert dale.unread == 1
    book.apply(MessageSentElsewhere(said("from the phone", 6, sender="hank", to="dale"), b""), NOW)
    assert (dale.unread, dale.marker) == (0, None)


def test_history_that_comes_after_one_has_turned_to_it_is_marked_where_it_is_new(book: Model) -> None:
    book.merge_listing("dale", head=6, read=4)
    dale = book.open("dale")
    book.switch_to(dale)
    assert dale.unread == 0
    book.add_history(dale, [said(str(seq), seq) for seq in range(1, 7)])
    assert dale.marker is dale.entries[4]
    book.switch_to(book.home)
    assert dale.marker is None


def test_there_is_a_row_for_every_event() -> None:
    assert set(EVENT_REDUCERS) == set(get_args(ChatEvent))


def test_of_what_came_meanwhile_the_mode_speaks(book: Model) -> None:
    book.apply(Synced(3, reconnected=True), NOW)
    assert texts(book.home) == []


def test_what_another_device_has_read_makes_nothing_new_of_what_is_in_sight(book: Model) -> None:
    for seq in (1, 2):
        came(book, str(seq), seq)
    dale = book.open("dale")
    book.switch_to(dale)
    came(book, "3", 3)
    book.apply(ReadMarkerMoved("dale", 2), NOW)
    assert (dale.unread, dale.marker) == (0, dale.entries[0])


def test_conversations_do_not_become_more_for_ever(book: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MAX_CONVERSATIONS", 5)
    book.open("dale").draft = "half a"
    book.open("#dev")
    for number in range(10):
        came(book, "hi", 1, sender=f"stranger {number}")
    assert [each.name for each in book] == ["", "dale", "#dev", "stranger 8", "stranger 9"]
    assert book.find("stranger 1") is None


def test_history_that_there_is_no_room_for_leaves_no_hole(book: Model) -> None:
    dale = book.open("dale")
    for seq in range(101, 101 + MAX_ENTRIES - 50):
        dale.add(Entry(NOW, "dale", str(seq), seq=seq))
    assert book.add_history(dale, [said(str(seq), seq) for seq in range(1, 101)]) == 50
    seqs = [entry.seq for entry in dale.entries]
    assert seqs == list(range(51, 101 + MAX_ENTRIES - 50))
