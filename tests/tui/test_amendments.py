"""Marked messages, and what replies, edits, erases and reactions change on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gmessenger.client import (
    Accepted,
    Client,
    HistoryMessage,
    MessageAmended,
    MessageReceived,
    ReactionInfo,
    SearchHit,
    SearchResults,
)
from gmessenger.terminal import format_results
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.model import Model
from gmessenger.terminal.tui.search_listings import MAX_LISTINGS
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.tui_client import PASSWORD, SHORT_TIMEOUTS, TuiClient
from tests.tui.test_model import NOW, message_event

DEV = {"to": "#dev"}


@pytest.fixture
def model() -> Model:
    return Model("hank")


def receive(model: Model, text: str, seq: int, **more: Any) -> None:
    model.apply(MessageReceived(message_event(text, seq, **(DEV | more)), b""), NOW)


def amend(model: Model, what: str, about: int, text: str = "", seq: int = 90, **more: Any) -> None:
    delivery = message_event(text, seq, about=about, what=what, **(DEV | more))
    assert not model.apply(MessageAmended(delivery, b"", is_own=False), NOW)


def room(model: Model) -> Conversation:
    found = model.find("#dev")
    assert found is not None
    return found


def test_a_reply_quotes_what_the_message_says_now(model: Model) -> None:
    receive(model, "shall we\nmeet", 1)
    receive(model, "yes", 2, sender="bob", about=1)
    reply = room(model).entries[1]
    assert reply.quote == "dale: shall we meet"
    amend(model, "edit", 1, "shall we?")
    assert (room(model).entries[0].text, room(model).entries[0].is_edited) == ("shall we?", True)
    assert reply.quote == "dale: shall we?"
    amend(model, "erase", 1, sender="bob")
    assert room(model).entries[0].text == reply.quote == "bob has erased this message"
    assert not room(model).entries[0].sender
    amend(model, "edit", 1, "no", seq=91)  # caught up with late
    assert room(model).entries[0].text == "bob has erased this message"


def test_of_a_blocked_user_nothing_is_quoted_but_the_name() -> None:
    model = Model("hank", is_from_blocked=lambda delivery: delivery.sender == "dale")
    receive(model, "rubbish", 1)
    receive(model, "no", 2, sender="bob", about=1)
    model.keep_quoted(room(model), HistoryMessage("dale", "#dev", NOW, "rubbish", 1))
    assert [entry.quote for entry in room(model).entries] == ["dale: …"]


def test_who_erased_a_message_may_be_another_than_who_sends_the_erase(model: Model) -> None:
    receive(model, "a password", 1)
    amend(model, "erase", 1, by="server")
    assert room(model).entries[0].text == "server has erased this message"


def test_reactions_are_counted_once(model: Model) -> None:
    receive(model, "released", 1)
    for name in ("bob", "BOB", "alice"):
        amend(model, "react", 1, "🎉", sender=name)
    assert list(room(model).entries[0].reactions["🎉"].names.values()) == ["bob", "alice"]
    for name in ("bob", "alice"):
        amend(model, "unreact", 1, "🎉", sender=name)
    assert not room(model).entries[0].reactions


def test_the_history_shows_messages_as_they_are_now(model: Model) -> None:
    dev = model.open("#dev")
    reactions = [ReactionInfo("👍", ["dale"], 3)]
    model.add_history(
        dev,
        [
            HistoryMessage("dale", "#dev", NOW, "a typo", 1, edited=NOW, reactions=reactions),
            HistoryMessage("", "#dev", 0.0, "", 2, erased=True, by="bob", at=NOW),
            HistoryMessage("bob", "#dev", NOW, "yes", 3, about=1),
        ],
    )
    first, second, third = dev.entries
    assert first.is_edited and (first.reactions["👍"].more, third.quote) == (2, "dale: a typo")
    assert second.text == "bob has erased this message" and second.timestamp == NOW
    amend(model, "unreact", 1, "👍", sender="alice")  # one of those that were only counted
    assert first.reactions["👍"].more == 1


def test_an_amendment_is_nothing_to_read(model: Model) -> None:
    receive(model, "one", 1)
    unread = room(model).unread
    amend(model, "react", 1, "👍", seq=2)
    assert room(model).unread == unread == 1
    assert (room(model).last_seq, room(model).received_seq) == (1, 2)
    model.merge_listing("#ops", head=6, read=2, quiet=3)
    assert model.open("#ops").unread == 1


@pytest.fixture
def chat(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> tuple[TuiClient, Reader]:
    """A full screen of hank in #dev, and dale there."""
    dale = start_client("dale")
    dale.client.join("#dev")
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.type_lines("/join dev")
    tui.wait_for("you are in #dev")
    return tui, dale


def test_up_edits_the_last_message_and_then_brings_the_input_history(chat: tuple[TuiClient, Reader]) -> None:
    tui, dale = chat
    tui.type_lines("/topic cats")
    tui.type_lines("a typoo")
    assert dale.next(MessageReceived).delivery.message == "a typoo"
    tui.wait_until(lambda: tui.model.current.last_own_message() is not None)
    tui.type("\x1b[A")
    tui.wait_for("#dev: edit")
    assert tui.ui.draft == "a typoo"
    tui.type("\x1b[A")
    tui.wait_until_gone("#dev: edit")
    tui.wait_until(lambda: tui.ui.draft == "a typoo")  # the line as it was typed, to be sent again
    tui.type("\x1b[A")
    tui.wait_until(lambda: tui.ui.draft == "/topic cats")
    tui.type("\x03")
    tui.type("\x1b[A")
    tui.wait_for("#dev: edit")
    tui.type("\x7f\r")
    assert dale.next(MessageAmended).delivery.message == "a typo"
    tui.wait_for("a typo (edited)")


def test_no_older_message_is_edited_while_the_last_one_waits(
    chat: tuple[TuiClient, Reader], server: RunningServer
) -> None:
    """Found by typing a line and `/edit` at once: the edit replaced the message before."""
    tui, dale = chat
    tui.type_lines("first")
    assert dale.next(MessageReceived).delivery.message == "first"
    tui.wait_until(lambda: tui.model.current.last_own_message() is not None)
    server.stop()
    tui.wait_for("offline, next try in")
    tui.type_lines("second")
    tui.wait_until(lambda: tui.model.current.is_last_own_waiting)
    tui.type_lines("/edit third")
    tui.wait_for("not stored yet")
    tui.type("\x1be")
    tui.wait_until(lambda: tui.model.current.composed is None)
    assert not any(entry.is_edited for entry in tui.model.current.entries)


def test_a_marked_message_is_replied_to_reacted_to_and_erased(chat: tuple[TuiClient, Reader]) -> None:
    tui, dale = chat
    dale.client.send("#dev", "shall we?")
    tui.wait_for("shall we?")
    tui.type_lines("mine")
    tui.wait_until(lambda: tui.model.current.last_own_message() is not None)
    tui.type("\x1bm")
    tui.wait_for("» mine")
    tui.type("\x1bm")
    tui.wait_for("» shall we?")
    tui.type("\x1br")
    tui.wait_for("#dev: reply to dale")
    tui.type("yes\r")
    tui.wait_for("> dale: shall we?")
    while (event := dale.next(MessageReceived)).delivery.message != "yes":
        pass
    assert event.delivery.about == 1
    tui.type("\x1bm\x1bm\x1bm")
    tui.wait_for("» shall we?")
    tui.type("\x1b+")
    tui.wait_for("Your reaction")
    tui.type("\r")
    tui.wait_for("👍 hank")
    tui.type("\x1bm\x1bm")
    tui.wait_for("» mine")
    tui.type("\x1bx")
    tui.wait_for("Erase")
    tui.type("no\r")
    tui.wait_for("nothing was erased")
    tui.type("\x1bx")
    tui.type("yes\r")
    tui.wait_for("hank has erased this message")


def test_the_question_before_an_erase_says_what_to_answer_however_long_the_message(
    server: RunningServer, open_tui: Callable[..., TuiClient], hank: None
) -> None:
    tui = open_tui(server, "hank", password=PASSWORD, columns=60)
    tui.type_lines("/join dev")
    tui.wait_for("you are in #dev")
    tui.type("pneumonoultramicroscopicsilicovolcanoconiosis " * 2 + "\r")
    tui.wait_for("✓")
    tui.type("\x1bx")
    tui.wait_for("yes or no")
    tui.type("yes\r")
    tui.wait_for("hank has erased this message")


def test_a_line_that_cannot_be_carried_out_is_given_back(chat: tuple[TuiClient, Reader]) -> None:
    tui, _dale = chat
    tui.type_lines("/reply yes, at two")
    tui.wait_for("Alt-m marks one")
    tui.wait_until(lambda: tui.ui.draft == "/reply yes, at two")
    tui.type("\x03\x1b0")
    tui.type_lines("/invite alice")
    tui.wait_for("which room?")
    tui.wait_until(lambda: tui.ui.draft == "/invite alice")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/kick", "Usage: /kick NAME"),
        ("/react", "Usage: /react EMOJI"),
        ("/erase all", "Usage: /erase"),
        ("/mgs dale a long text", "Did you mean /msg?"),
        ("/make #ops secret", "write it as in /make #room"),
        ("/role dale king", "the roles are:"),
        ("/rule mood good", "the rules are:"),
        ("/notify #dev sometimes", "write it as in /notify #ROOM"),
        ("/joins sometimes", "joins can be shown, gathered"),
    ],
)
def test_a_line_with_a_mistake_is_given_back_for_correction(
    chat: tuple[TuiClient, Reader], line: str, answer: str
) -> None:
    tui, _dale = chat
    tui.type_lines(line)
    tui.wait_for(answer)
    tui.wait_until(lambda: tui.ui.draft == line)


def test_a_text_without_a_recipient_is_given_back(chat: tuple[TuiClient, Reader]) -> None:
    tui, _dale = chat
    tui.type("\x1b0")
    tui.type_lines("is anybody here")
    tui.wait_for("There is no recipient yet")
    tui.wait_until(lambda: tui.ui.draft == "is anybody here")


def test_a_key_that_finds_no_message_brings_no_earlier_line_back(chat: tuple[TuiClient, Reader]) -> None:
    tui, _dale = chat
    tui.type_lines("/rooms")
    tui.wait_for("1 room")
    tui.type("\x1bx")
    tui.wait_for("Alt-m marks one")
    tui.type("and on")
    tui.wait_until(lambda: tui.ui.draft.endswith("and on"))
    assert tui.ui.draft == "and on"


def test_a_draft_outlives_an_edit(chat: tuple[TuiClient, Reader]) -> None:
    tui, _dale = chat
    tui.type_lines("one")
    tui.wait_until(lambda: tui.model.current.last_own_message() is not None)
    tui.type("half a thou")
    tui.type("\x1be")
    tui.wait_for("#dev: edit")
    assert tui.ui.draft == "one"
    assert tui.controller.saved_state().shown["#dev"] == "half a thou"  # the next run has no edit to end
    tui.type("!\r")
    tui.wait_for("one! (edited)")
    tui.wait_until(lambda: tui.ui.draft == "half a thou")


def test_what_is_quoted_is_loaded(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> None:
    dale = start_client("dale")
    dale.client.join("#dev")
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as desk:
        desk.join("#dev")
        dale.client.send("#dev", "the first")
        for number in range(60):
            dale.client.send("#dev", f"message {number}")
        for _ in range(61):
            dale.next(Accepted)
        reader = Reader(desk)
        while reader.next(MessageReceived).delivery.message != "message 59":
            pass
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.wait_until(lambda: tui.model.find("#dev") is not None)
    tui.type("\x1b1")
    tui.wait_for("message 59")
    dale.client.send("#dev", "yes", about=1)
    tui.wait_for("> dale: the first")


def test_listings_of_searches_follow_edits_and_erases(model: Model) -> None:
    def hit(text: str, seq: int, conversation: str = "#dev") -> SearchHit:
        return SearchHit(conversation, HistoryMessage("dale", "hank", NOW, text, seq))

    hits = SearchResults([hit("secret three", 3), hit("secret two", 2, "dale"), hit("secret one", 1)])
    model.add_notice(format_results.search(hits, "hank"), NOW, None, hits)
    listing = model.home.entries[-1]
    amend(model, "edit", 1, "public one", seq=90)  # of a conversation that is not open
    amend(model, "erase", 3, seq=91, sender="bob")
    assert "secret two" in listing.text and "public one" in listing.text and "(edited)" in listing.text
    assert "secret one" not in listing.text and "secret three" not in listing.text
    assert "bob has erased this message" in listing.text
    amend(model, "erase", 2, seq=92)
    assert "secret two" in listing.text, "which is of another conversation"


def test_of_old_listings_only_the_head_stays(model: Model) -> None:
    hits = SearchResults([SearchHit("#dev", HistoryMessage("dale", "#dev", NOW, "secret", 1))])
    for _ in range(MAX_LISTINGS + 1):
        model.add_notice(format_results.search(hits, "hank"), NOW, None, hits)
    first, second = model.home.entries[0], model.home.entries[1]
    assert (first.text, "secret" in second.text) == ("found 1 message:", True)


def test_codes_of_bold_and_colours_are_not_shown(model: Model) -> None:
    receive(model, "\x02build\x02 \x0304failed", 1)
    assert room(model).entries[0].text == "build failed"
    amend(model, "edit", 1, "\x0303passed\x0f")
    assert room(model).entries[0].text == "passed"
