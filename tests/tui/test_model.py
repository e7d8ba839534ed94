"""The model: tables of events, and the conversations that result."""

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
from gmessenger.terminal.tui import model as model_module
from gmessenger.terminal.tui.conversation import MAX_ENTRIES, Conversation, Entry, MessageState
from gmessenger.terminal.tui.model import EVENT_REDUCERS, ConnectionPhase, Model
from gmessenger.wire.events import ResponseFrame, SentFile

NOW = 1_763_800_000.0


def message_event(
    text: str, seq: int | None = None, sender: str = "dale", to: str = "hank", **more: Any
) -> MessageEvent:
    return MessageEvent(sender, to, NOW, text, UNSET if seq is None else seq, **more)


def receive(model: Model, text: str, seq: int | None = None, **more: Any) -> bool:
    return model.apply(MessageReceived(message_event(text, seq, **more), b""), NOW)


def texts(conversation: Conversation | None) -> list[str]:
    assert conversation is not None
    return [entry.text for entry in conversation.entries]


@pytest.fixture
def model() -> Model:
    return Model("hank")


def test_a_file_is_shown_with_the_message_that_was_sent_once_the_server_has_it(model: Model) -> None:
    message = make_message("dale", "graph.png", file="f1")
    entry = model.add_sent(message, NOW)
    file = SentFile("https://chat.example.org/file/f1/graph.png", "graph.png", "image/png", 100, 640, 480)
    assert not model.apply(Accepted(message, ResponseFrame(200, message.id, seq=1, file=file)), NOW)
    assert entry.file == "https://chat.example.org/file/f1/graph.png (image/png, 100 B, 640 \u00d7 480)"


def test_what_comes_opens_a_conversation_and_is_unread_until_it_is_looked_at(model: Model) -> None:
    assert receive(model, "one", 1) and receive(model, "two", 2)
    dale = model.open("DALE")
    assert (texts(dale), dale.unread, dale.marker) == (["one", "two"], 2, dale.entries[0])
    model.switch_to(dale)
    receive(model, "three", 3)
    assert (dale.unread, dale.marker, dale.last_seq) == (0, dale.entries[0], 3)
    model.switch_to(model.home)
    assert dale.marker is None


def test_the_bell_rings_for_what_is_meant_for_oneself(model: Model) -> None:
    assert receive(model, "hi")
    room = {"sender": "dale", "to": "#dev"}
    bells = [receive(model, text, **room) for text in ("hi", "hank: hi", "ask @Hank!", "hankering", "thank you")]
    assert bells == [False, True, True, False, False]
    assert model.open("#dev").mentions == 2
    assert model.next_unread() is model.open("#dev")


def test_what_history_brings_goes_before_what_came_and_is_there_once(model: Model) -> None:
    dale = model.open("dale")
    for number in (5, 6):
        receive(model, str(number), number)
    assert model.add_history(dale, [message_event(str(number), number) for number in range(1, 7)]) == 4
    assert texts(dale) == ["1", "2", "3", "4", "5", "6"]
    assert (dale.first_seq, dale.unread) == (1, 2)


def test_a_message_of_ones_own_says_what_became_of_it(model: Model) -> None:
    messages = [make_message("dale", text) for text in ("one", "two", "three")]
    entries = [model.add_sent(message, NOW) for message in messages]
    model.apply(Accepted(messages[0], ResponseFrame(200, messages[0].id, seq=1)), NOW)
    model.apply(Accepted(messages[1], ResponseFrame(202, messages[1].id)), NOW)
    model.apply(Rejected(messages[2], ResponseFrame(404, messages[2].id, error="No\x1bbody.", code="never_seen")), NOW)
    assert [entry.state for entry in entries] == [MessageState.STORED, MessageState.RELAYED, MessageState.REJECTED]
    model.apply(MessageDelivered("Dale", 1), NOW)
    assert entries[0].state is MessageState.DELIVERED
    assert "\x1b" not in entries[2].reason and entries[2].reason.startswith("No")
    assert model.open("dale").last_rejected() is entries[2]


def test_an_answer_for_a_message_of_an_earlier_run_shows_the_message(model: Model) -> None:
    message = make_message("dale", "left over")
    model.apply(Accepted(message, ResponseFrame(200, message.id, seq=4)), NOW)
    assert texts(model.find("dale")) == ["left over"]


def test_history_that_was_faster_than_the_answer_leaves_the_message_once(model: Model) -> None:
    message = make_message("dale", "hi")
    entry = model.add_sent(message, NOW)
    dale = model.open("dale")
    model.add_history(dale, [message_event("hi", 1, sender="hank", to="dale")])
    model.apply(Accepted(message, ResponseFrame(200, message.id, seq=1)), NOW)
    assert dale.entries == [entry]


def test_what_was_read_or_said_elsewhere(model: Model) -> None:
    for number in range(1, 5):
        receive(model, "hank?" if number == 4 else "x", number)
    dale = model.open("dale")
    model.apply(ReadMarkerMoved("dale", 3), NOW)
    assert (dale.unread, dale.mentions, dale.marker) == (1, 1, dale.entries[3])
    model.apply(ReadMarkerMoved("dale", 4), NOW)
    assert (dale.unread, dale.mentions, dale.marker) == (0, 0, None)
    model.apply(MessageSentElsewhere(message_event("mine", 5, sender="hank", to="dale"), b""), NOW)
    assert dale.entries[-1].is_own and dale.entries[-1].state is MessageState.STORED and not dale.unread


def test_rooms_have_members_and_a_topic(model: Model) -> None:
    for event in (
        MemberJoined("#dev", "Dale"),
        MemberJoined("#dev", "peggy"),
        MemberLeft("#dev", "PEGGY"),
        TopicChanged("#dev", "x", "y"),
    ):
        model.apply(event, NOW)
    dev = model.open("#dev")
    assert (dev.members, dev.topic, dev.unread) == ({"dale": "Dale"}, "y", 0)
    model.apply(PresenceChanged("Dale", "away"), NOW)
    assert model.presence == {"dale": "away", "peggy": "online"}


def test_the_line_is_lost_and_comes_back(model: Model) -> None:
    model.apply(Connected("gmessenger", "Welcome.", {}, reconnected=False), NOW)
    model.apply(Disconnected("broken", 4.0, 1), NOW)
    assert (model.connection.phase, model.connection.retry_at) == (ConnectionPhase.LOST, NOW + 4)
    model.apply(Connected("gmessenger", "Welcome.", {}, reconnected=True), NOW)
    assert model.connection.phase is ConnectionPhase.CONNECTED


def test_what_one_does_not_want_to_hear_is_not_shown() -> None:
    model = Model("hank", is_from_blocked=lambda delivery: delivery.sender == "dale")
    receive(model, "hank!", to="#dev")
    assert model.find("#dev") is None
    assert receive(model, "direct")


def test_strangers_words_are_safe(model: Model) -> None:
    receive(model, "a\x1b[2J\nb\u202ec", sender="e\x07vil")
    assert texts(model.find("e\x07vil")) == ["a^[[2J\nb<202e>c"]


def test_going_from_one_to_the_next_and_closing(model: Model) -> None:
    first, second = model.open("one"), model.open("two")
    assert [model.neighbour(by) for by in (1, 2, 3, -1)] == [first, second, model.home, second]
    model.switch_to(second)
    model.close(second)
    model.close(model.home)
    assert (list(model), model.current) == ([model.home, first], first)


def test_of_much_the_newest_is_kept(model: Model) -> None:
    dale = model.open("dale")
    dale.is_complete = True
    for number in range(1, 10_002):
        receive(model, "x", number)
    assert (len(dale.entries), dale.first_seq, dale.is_complete) == (9_001, 1_001, False)


def test_a_message_that_is_not_from_here_is_none_of_ones_own(model: Model) -> None:
    dale = model.open("dale")
    assert dale.find(OutgoingMessage("id", "dale", "x", b"")) is None


def test_what_was_said_offline_moves_to_where_others_see_it(model: Model) -> None:
    entries = [model.add_outgoing("dale", text, NOW) for text in ("mine", "mine too")]
    dale = model.open("dale")
    for entry in entries:
        entry.message = make_message("dale", entry.source_text)
    receive(model, "meanwhile", 5)
    for seq, entry in zip((6, 7), entries, strict=True):
        assert entry.message is not None
        model.apply(Accepted(entry.message, ResponseFrame(200, entry.message.id, seq=seq)), NOW)
    assert texts(dale) == ["meanwhile", "mine", "mine too"]
    assert model.add_history(dale, [message_event("mine", 6, sender="hank", to="dale")]) == 0
    assert dale.last_seq == 7


def test_what_history_brings_goes_above_what_was_noticed_since(model: Model) -> None:
    dale = model.open("dale")
    model.add_notice("early", NOW - 10, dale)
    model.add_notice("late", NOW + 10, dale)
    model.add_history(dale, [message_event(str(seq), seq) for seq in (1, 2)])
    assert texts(dale) == ["early", "1", "2", "late"]


def test_what_is_refused_can_be_taken_back_as_it_was_typed(model: Model) -> None:
    entry = model.add_outgoing("dale", "tab\there", NOW)
    assert (entry.text, entry.source_text, entry.message) == ("tab    here", "tab\there", None)


def test_what_the_server_lists_is_counted_once_wherever_it_is(model: Model) -> None:
    receive(model, "4", 4)
    model.merge_listing("dale", head=6, read=2)
    dale = model.open("dale")
    assert dale.unread == 4
    receive(model, "5", 5), receive(model, "6", 6), receive(model, "7", 7)
    assert dale.unread == 5
    model.apply(ReadMarkerMoved("dale", 4), NOW)
    assert (dale.unread, texts(dale)) == (3, ["4", "5", "6", "7"])


def test_what_one_has_said_oneself_is_never_new(model: Model) -> None:
    model.merge_listing("dale", head=6, read=4)
    message = make_message("dale", "of last time")
    model.apply(Accepted(message, ResponseFrame(200, message.id, seq=5)), NOW)
    dale = model.open("dale")
    assert dale.unread == 1
    model.apply(MessageSentElsewhere(message_event("from the phone", 6, sender="hank", to="dale"), b""), NOW)
    assert (dale.unread, dale.marker) == (0, None)


def test_history_that_comes_after_one_has_turned_to_it_is_marked_where_it_is_new(model: Model) -> None:
    model.merge_listing("dale", head=6, read=4)
    dale = model.open("dale")
    model.switch_to(dale)
    assert dale.unread == 0
    model.add_history(dale, [message_event(str(seq), seq) for seq in range(1, 7)])
    assert dale.marker is dale.entries[4]
    model.switch_to(model.home)
    assert dale.marker is None


def test_there_is_a_row_for_every_event() -> None:
    assert set(EVENT_REDUCERS) == set(get_args(ChatEvent))


def test_of_what_came_meanwhile_the_mode_speaks(model: Model) -> None:
    model.apply(Synced(3, reconnected=True), NOW)
    assert texts(model.home) == []


def test_what_another_device_has_read_makes_nothing_new_of_what_is_in_sight(model: Model) -> None:
    for seq in (1, 2):
        receive(model, str(seq), seq)
    dale = model.open("dale")
    model.switch_to(dale)
    receive(model, "3", 3)
    model.apply(ReadMarkerMoved("dale", 2), NOW)
    assert (dale.unread, dale.marker) == (0, dale.entries[0])


def test_conversations_do_not_become_more_for_ever(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "MAX_CONVERSATIONS", 5)
    model.open("dale").draft = "half a"
    model.open("#dev")
    for number in range(10):
        receive(model, "hi", 1, sender=f"stranger {number}")
    assert [conversation.name for conversation in model] == ["", "dale", "#dev", "stranger 8", "stranger 9"]
    assert model.find("stranger 1") is None


def test_history_that_there_is_no_room_for_leaves_no_hole(model: Model) -> None:
    dale = model.open("dale")
    for seq in range(101, 101 + MAX_ENTRIES - 50):
        dale.add(Entry(NOW, "dale", str(seq), seq=seq))
    assert model.add_history(dale, [message_event(str(seq), seq) for seq in range(1, 101)]) == 50
    seqs = [entry.seq for entry in dale.entries]
    assert seqs == list(range(51, 101 + MAX_ENTRIES - 50))
