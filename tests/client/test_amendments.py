"""Kinds, replies, edits, erases and reactions through the library, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from gmessenger.client import (
    Accepted,
    BotMessageReceived,
    Client,
    MessageAmended,
    MessageReceived,
    MessageSentElsewhere,
    Rejected,
)
from gmessenger.client.journal import JournalFile
from gmessenger.client.sender import make_message
from gmessenger.errors import UnknownAction
from tests.client.conftest import SHORT_TIMEOUTS, Begin, Reader
from tests.conftest import RunningServer
from tests.support.scripted_server import FakeServer

PASSWORD = "correct horse"


@pytest.fixture
def pair(server: RunningServer) -> Iterator[tuple[Reader, Reader]]:
    """Two accounts in one room."""
    with (
        Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as hank,
        Client(server.host, server.port, "dale", timeouts=SHORT_TIMEOUTS) as dale,
    ):
        for client in (hank, dale):
            client.register(PASSWORD)
            client.join("#dev")
        yield Reader(hank), Reader(dale)


def test_a_reply_is_about_the_message(pair: tuple[Reader, Reader]) -> None:
    hank, dale = pair
    dale.client.send("#dev", "green?")
    question = hank.next(MessageReceived)
    hank.client.reply(question, "yes")
    answer = dale.next(MessageReceived)
    assert (answer.delivery.message, answer.delivery.about, answer.conversation) == ("yes", 1, "#dev")


def test_amendments_are_no_messages_and_show_in_the_history(pair: tuple[Reader, Reader]) -> None:
    hank, dale = pair
    for text in ("a typoo", "a secret"):
        hank.client.send("#dev", text)
        dale.next(MessageReceived)
    hank.client.edit("#dev", 1, "a typo")
    dale.client.react("#dev", 1, "👍")
    hank.client.erase("#dev", 2)
    seen = [dale.next(MessageAmended) for _ in range(2)]
    assert [(event.delivery.what, event.delivery.about, event.conversation) for event in seen] == [
        ("edit", 1, "#dev"),
        ("erase", 2, "#dev"),
    ]
    assert seen[0].delivery.message == "a typo" and not seen[0].is_own
    first, second = dale.client.history("#dev", 10)
    assert first.message == "a typo" and first.edited
    assert [(reaction.text, reaction.names, reaction.count) for reaction in first.reactions] == [("👍", ["dale"], 1)]
    assert second.erased is True and second.by == "hank"
    dale.client.unreact("#dev", 1, "👍")
    assert hank.next(MessageAmended).delivery.what == "react" and hank.next(MessageAmended).delivery.what == "unreact"
    assert not dale.client.history("#dev", 10)[0].reactions


def test_what_is_refused_is_reported(pair: tuple[Reader, Reader]) -> None:
    hank, dale = pair
    hank.client.send("#dev", "mine")
    hank.next(Accepted)
    edit = dale.client.edit("#dev", 1, "yours")
    rejected = dale.next(Rejected)
    assert rejected.message is edit and rejected.response.code == "not_yours"


def test_notices_are_for_no_bot_and_actions_are_messages(pair: tuple[Reader, Reader]) -> None:
    hank, dale = pair
    hank.client.send("#dev", "build 7 is red", kind="notice")
    hank.client.send("#dev", "waves", kind="action")
    assert dale.next(BotMessageReceived).delivery.message == "build 7 is red"
    assert dale.next(MessageReceived).delivery.kind == "action"
    dale.client.ack()


def test_own_amendments_reach_the_other_device(server: RunningServer, pair: tuple[Reader, Reader]) -> None:
    hank, _dale = pair
    with Client(
        server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS
    ) as other_device:
        phone = Reader(other_device)
        hank.client.send("dale", "a typoo")
        assert phone.next(MessageSentElsewhere).delivery.message == "a typoo"
        hank.client.edit("dale", 1, "a typo")
        amended = phone.next(MessageAmended)
        assert amended.is_own and amended.conversation == "dale" and amended.delivery.message == "a typo"


def test_the_journal_keeps_what_a_message_is_about(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "unsent")
    assert journal.open() == []
    messages = [make_message("#dev", "", 17, "erase"), make_message("#dev", "waves", kind="action")]
    journal.add(messages)
    journal.close()
    left = JournalFile(tmp_path / "unsent").open()
    assert [message.frame for message in left] == [message.frame for message in messages]
    assert (left[0].about, left[0].what, left[1].kind) == (17, "erase", "action")


def test_an_older_server_is_not_sent_what_it_would_take_for_an_ordinary_message(begin: Begin) -> None:
    reader, connection = begin({"features": None})
    client = reader.client
    messages = [
        client.erase("dale", 5),
        client.edit("dale", 5, "a typo"),
        client.react("dale", 5, "👍"),
        client.send("dale", "yes", about=5),
    ]
    for message in messages:
        rejected = reader.next(Rejected)
        assert (rejected.message, rejected.response.code) == (message, "unknown_action")
        assert str(rejected.response.error).startswith("This server is older")
    client.send("dale", "plain")
    assert connection.accept_messages(1) == ["plain"]


def test_what_waits_for_an_older_server_is_given_up(begin: Begin, fake: FakeServer) -> None:
    reader, connection = begin()
    message = reader.client.erase("dale", 5)
    connection.expect("msg")
    connection.close()
    fake.accept().accept_login(features=None)
    assert reader.next(Rejected).message is message
    assert reader.client.pending_count == 0


def test_an_older_server_is_not_asked_for_a_private_room(begin: Begin) -> None:
    reader, connection = begin({"features": ["about"]})
    with pytest.raises(UnknownAction, match="does not know rules"):
        reader.client.join("#dev", {"invited": True, "hidden": True})
    joining = gevent.spawn(reader.client.join, "#dev")
    connection.respond(connection.expect("join"), 200, topic="", members=[])
    joining.get(timeout=5)
