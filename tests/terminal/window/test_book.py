"""What the link's events write into the book: tables of events and what one sees of them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec import UNSET

from gmessenger.client import (
    Accepted,
    CaughtUp,
    Connected,
    Delivered,
    Delivery,
    Joined,
    Left,
    LinkEvent,
    Lost,
    Message,
    PresenceChanged,
    ReadElsewhere,
    Received,
    Rejected,
    SentElsewhere,
    TopicChanged,
)
from gmessenger.client.outbox import compose
from gmessenger.terminal.window import shelf
from gmessenger.terminal.window.book import WRITTEN, Book
from gmessenger.terminal.window.conversation import MOST_ENTRIES, Conversation, Entry, State
from gmessenger.wire.events import Answer

NOW = 1_763_800_000.0


def said(text: str, seq: int | None = None, sender: str = "dale", to: str = "hank", **more: Any) -> Delivery:
    return Delivery(sender, to, NOW, text, UNSET if seq is None else seq, **more)


def came(book: Book, text: str, seq: int | None = None, **more: Any) -> bool:
    return book.apply(Received(said(text, seq, **more), b""), NOW)


def texts(conversation: Conversation | None) -> list[str]:
    assert conversation is not None
    return [entry.text for entry in conversation.entries]


@pytest.fixture
def book() -> Book:
    return Book("hank")


def test_what_comes_opens_a_conversation_and_is_unread_until_it_is_looked_at(book: Book) -> None:
    assert came(book, "one", 1) and came(book, "two", 2)
    dale = book.open("DALE")
    assert (texts(dale), dale.unread, dale.marker) == (["one", "two"], 2, dale.entries[0])
    book.look_at(dale)
    came(book, "three", 3)
    assert (dale.unread, dale.marker, dale.latest) == (0, dale.entries[0], 3)
    book.look_at(book.home)
    assert dale.marker is None


def test_the_bell_rings_for_what_is_meant_for_oneself(book: Book) -> None:
    assert came(book, "hi")
    room = {"sender": "dale", "to": "#dev"}
    heard = [came(book, text, **room) for text in ("hi", "hank: hi", "ask @Hank!", "hankering", "thank you")]
    assert heard == [False, True, True, False, False]
    assert book.open("#dev").mentions == 2
    assert book.next_unread() is book.open("#dev")


def test_what_history_brings_goes_before_what_came_and_is_there_once(book: Book) -> None:
    dale = book.open("dale")
    for number in (5, 6):
        came(book, str(number), number)
    assert book.remembered(dale, [said(str(number), number) for number in range(1, 7)]) == 4
    assert texts(dale) == ["1", "2", "3", "4", "5", "6"]
    assert (dale.earliest, dale.unread) == (1, 2)


def test_a_message_of_ones_own_says_what_became_of_it(book: Book) -> None:
    messages = [compose("dale", text) for text in ("one", "two", "three")]
    entries = [book.sent(message, NOW) for message in messages]
    book.apply(Accepted(messages[0], Answer(200, messages[0].id, seq=1)), NOW)
    book.apply(Accepted(messages[1], Answer(202, messages[1].id)), NOW)
    book.apply(Rejected(messages[2], Answer(404, messages[2].id, error="No\x1bbody.", code="never_seen")), NOW)
    assert [entry.state for entry in entries] == [State.STORED, State.HANDED_OVER, State.REFUSED]
    book.apply(Delivered("Dale", 1), NOW)
    assert entries[0].state is State.DELIVERED
    assert "\x1b" not in entries[2].reason and entries[2].reason.startswith("No")
    assert book.open("dale").last_refused() is entries[2]


def test_an_answer_for_a_message_of_an_earlier_run_shows_the_message(book: Book) -> None:
    message = compose("dale", "left over")
    book.apply(Accepted(message, Answer(200, message.id, seq=4)), NOW)
    assert texts(book.find("dale")) == ["left over"]


def test_history_that_was_faster_than_the_answer_leaves_the_message_once(book: Book) -> None:
    message = compose("dale", "hi")
    entry = book.sent(message, NOW)
    dale = book.open("dale")
    book.remembered(dale, [said("hi", 1, sender="hank", to="dale")])
    book.apply(Accepted(message, Answer(200, message.id, seq=1)), NOW)
    assert dale.entries == [entry]


def test_what_was_read_or_said_elsewhere(book: Book) -> None:
    for number in range(1, 5):
        came(book, "hank?" if number == 4 else "x", number)
    dale = book.open("dale")
    book.apply(ReadElsewhere("dale", 3), NOW)
    assert (dale.unread, dale.mentions, dale.marker) == (1, 1, dale.entries[3])
    book.apply(ReadElsewhere("dale", 4), NOW)
    assert (dale.unread, dale.mentions, dale.marker) == (0, 0, None)
    book.apply(SentElsewhere(said("mine", 5, sender="hank", to="dale"), b""), NOW)
    assert dale.entries[-1].own and dale.entries[-1].state is State.STORED and not dale.unread


def test_rooms_have_members_and_a_topic(book: Book) -> None:
    for event in (
        Joined("#dev", "Dale"),
        Joined("#dev", "peggy"),
        Left("#dev", "PEGGY"),
        TopicChanged("#dev", "x", "y"),
    ):
        book.apply(event, NOW)
    dev = book.open("#dev")
    assert (dev.members, dev.topic, dev.unread) == ({"dale": "Dale"}, "y", 0)
    book.apply(PresenceChanged("Dale", "away"), NOW)
    assert book.presence == {"dale": "away", "peggy": "online"}


def test_the_line_is_lost_and_comes_back(book: Book) -> None:
    book.apply(Connected("gmessenger", "Welcome.", {}, again=False), NOW)
    book.apply(Lost("broken", 4.0, 1), NOW)
    assert (book.line.state, book.line.retry_at) == ("lost", NOW + 4)
    book.apply(Connected("gmessenger", "Welcome.", {}, again=True), NOW)
    assert book.line.state == "connected"


def test_what_one_does_not_want_to_hear_is_not_shown() -> None:
    book = Book("hank", hides=lambda delivery: delivery.sender == "dale")
    came(book, "hank!", to="#dev")
    assert book.find("#dev") is None
    assert came(book, "direct")


def test_strangers_words_are_safe(book: Book) -> None:
    came(book, "a\x1b[2J\nb\u202ec", sender="e\x07vil")
    assert texts(book.find("e\x07vil")) == ["a^[[2J\nb<202e>c"]


def test_going_from_one_to_the_next_and_closing(book: Book) -> None:
    one, two = book.open("one"), book.open("two")
    assert [book.step(by) for by in (1, 2, 3, -1)] == [one, two, book.home, two]
    book.look_at(two)
    book.close(two)
    book.close(book.home)
    assert (list(book), book.current) == ([book.home, one], one)


def test_of_much_the_newest_is_kept(book: Book) -> None:
    dale = book.open("dale")
    dale.complete = True
    for number in range(1, 10_002):
        came(book, "x", number)
    assert (len(dale.entries), dale.earliest, dale.complete) == (9_001, 1_001, False)


def test_a_message_that_is_not_from_here_is_none_of_ones_own(book: Book) -> None:
    dale = book.open("dale")
    assert dale.find(Message("id", "dale", "x", b"")) is None


def test_what_was_said_offline_moves_to_where_others_see_it(book: Book) -> None:
    entries = [book.said("dale", text, NOW) for text in ("mine", "mine too")]
    dale = book.open("dale")
    for entry in entries:
        entry.message = compose("dale", entry.typed)
    came(book, "meanwhile", 5)
    for seq, entry in zip((6, 7), entries, strict=True):
        assert entry.message is not None
        book.apply(Accepted(entry.message, Answer(200, entry.message.id, seq=seq)), NOW)
    assert texts(dale) == ["meanwhile", "mine", "mine too"]
    assert book.remembered(dale, [said("mine", 6, sender="hank", to="dale")]) == 0
    assert dale.latest == 7


def test_what_history_brings_goes_above_what_was_noticed_since(book: Book) -> None:
    dale = book.open("dale")
    book.notice("early", NOW - 10, dale)
    book.notice("late", NOW + 10, dale)
    book.remembered(dale, [said(str(seq), seq) for seq in (1, 2)])
    assert texts(dale) == ["early", "1", "2", "late"]


def test_what_is_refused_can_be_taken_back_as_it_was_typed(book: Book) -> None:
    entry = book.said("dale", "tab\there", NOW)
    assert (entry.text, entry.typed, entry.message) == ("tab    here", "tab\there", None)


def test_what_the_server_lists_is_counted_once_wherever_it_is(book: Book) -> None:
    came(book, "4", 4)
    book.listed("dale", head=6, read=2)
    dale = book.open("dale")
    assert dale.unread == 4
    came(book, "5", 5), came(book, "6", 6), came(book, "7", 7)
    assert dale.unread == 5
    book.apply(ReadElsewhere("dale", 4), NOW)
    assert (dale.unread, texts(dale)) == (3, ["4", "5", "6", "7"])


def test_what_one_has_said_oneself_is_never_new(book: Book) -> None:
    book.listed("dale", head=6, read=4)
    message = compose("dale", "of last time")
    book.apply(Accepted(message, Answer(200, message.id, seq=5)), NOW)
    dale = book.open("dale")
    assert dale.unread == 1
    book.apply(SentElsewhere(said("from the phone", 6, sender="hank", to="dale"), b""), NOW)
    assert (dale.unread, dale.marker) == (0, None)


def test_history_that_comes_after_one_has_turned_to_it_is_marked_where_it_is_new(book: Book) -> None:
    book.listed("dale", head=6, read=4)
    dale = book.open("dale")
    book.look_at(dale)
    assert dale.unread == 0
    book.remembered(dale, [said(str(seq), seq) for seq in range(1, 7)])
    assert dale.marker is dale.entries[4]
    book.look_at(book.home)
    assert dale.marker is None


def test_there_is_a_row_for_every_event() -> None:
    assert set(WRITTEN) == set(get_args(LinkEvent))


def test_of_what_came_meanwhile_the_mode_speaks(book: Book) -> None:
    book.apply(CaughtUp(3, again=True), NOW)
    assert texts(book.home) == []


def test_what_another_device_has_read_makes_nothing_new_of_what_is_in_sight(book: Book) -> None:
    for seq in (1, 2):
        came(book, str(seq), seq)
    dale = book.open("dale")
    book.look_at(dale)
    came(book, "3", 3)
    book.apply(ReadElsewhere("dale", 2), NOW)
    assert (dale.unread, dale.marker) == (0, dale.entries[0])


def test_conversations_do_not_become_more_for_ever(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MOST_CONVERSATIONS", 5)
    book.open("dale").draft = "half a"
    book.open("#dev")
    for number in range(10):
        came(book, "hi", 1, sender=f"stranger {number}")
    assert [each.name for each in book] == ["", "dale", "#dev", "stranger 8", "stranger 9"]
    assert book.find("stranger 1") is None


def test_history_that_there_is_no_room_for_leaves_no_hole(book: Book) -> None:
    dale = book.open("dale")
    for seq in range(101, 101 + MOST_ENTRIES - 50):
        dale.add(Entry(NOW, "dale", str(seq), seq=seq))
    assert book.remembered(dale, [said(str(seq), seq) for seq in range(1, 101)]) == 50
    seqs = [entry.seq for entry in dale.entries]
    assert seqs == list(range(51, 101 + MOST_ENTRIES - 50))
