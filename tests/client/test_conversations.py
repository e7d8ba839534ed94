"""Lists of conversations, and `Synced` when everything that waited has arrived."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, Connected, ConversationInfo, MessageReceived, RoomInfo, Synced
from gmessenger.errors import UnknownAction
from tests.client.conftest import SHORT_TIMEOUTS, Begin, Reader
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT, FakeServer


def test_conversations_are_paged_and_the_newest_come_first(begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.conversations)
    first = connection.expect("conversations")
    assert "after" not in first
    listed = [
        {"with": "#dev", "seq": 0, "first": 5, "read": 0},
        {"with": "bill", "seq": 9, "first": 1, "read": 9, "time": 2.0, "later": True},
        {"of": "a later version"},
        {"with": "dale", "seq": 17, "first": 1, "read": 12, "time": 3.0},
    ]
    connection.respond(first, 200, conversations=listed, more=True)
    second = connection.expect("conversations")
    assert second["after"] == "dale"
    connection.respond(second, 200, conversations=[{"with": "joe", "seq": 20, "first": 11, "time": 5.0}], more=False)
    conversations = asking.get(timeout=TIMEOUT)
    assert conversations == [
        ConversationInfo("joe", 20, 11, 0, 5.0),
        ConversationInfo("dale", 17, 1, 12, 3.0),
        ConversationInfo("bill", 9, 1, 9, 2.0),
        ConversationInfo("#dev", 0, 5, 0),
    ]
    assert [item.unread for item in conversations] == [10, 5, 0, 0]


def test_rooms_and_sanctions_are_structs(begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.rooms)
    rows: list[Any] = [
        {"room": "#dev", "topic": "deploys", "members": 2, "later": True},
        {"of": "a later version"},
        {"room": "#old", "topic": "", "members": "many"},
        {"room": "#ops", "topic": "", "members": 1, "closed": True},
    ]
    connection.respond(connection.expect("rooms"), 200, rooms=rows, more=False)
    rooms = asking.get(timeout=TIMEOUT)
    assert rooms == [RoomInfo("#dev", "deploys", 2), RoomInfo("#ops", "", 1, is_closed=True)]
    asking = gevent.spawn(reader.client.bans)
    rows = [{"user": "bill", "by": "dale", "since": 1.0, "until": 2.0}, {"address": "2001:db8::/64", "by": "server"}]
    connection.respond(connection.expect("bans"), 200, bans=rows, more=False)
    bans = asking.get(timeout=TIMEOUT)
    assert [(ban.target, ban.by, ban.until) for ban in bans] == [
        ("bill", "dale", 2.0),
        ("2001:db8::/64", "server", None),
    ]


def test_an_older_server_knows_no_conversations(begin: Begin) -> None:
    reader, connection = begin()
    asking = gevent.spawn(reader.client.conversations)
    connection.respond(connection.expect("conversations"), 400, code="unknown_action", error="There is no such action.")
    with pytest.raises(UnknownAction):
        asking.get(timeout=TIMEOUT)


def test_the_server_lists_them(server: RunningServer) -> None:
    with Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as hank:
        assert hank.conversations() == []
        hank.register("correct horse")
        hank.join("#dev")
        hank.send("hank", "a note to myself")
        assert hank.flush(TIMEOUT) == 0
        note, dev = hank.conversations()
        assert (note.name, note.seq, note.unread, note.time is None) == ("hank", 1, 1, False)
        assert (dev.name, dev.seq, dev.unread, dev.time) == ("#dev", 0, 0, None)


def test_once_a_line_it_is_told_when_everything_has_come(fake: FakeServer, make: Callable[..., Reader]) -> None:
    reader = make()
    starting = gevent.spawn(reader.client.start)
    connection = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    assert (type(next(reader.client)), next(reader.client)) == (Connected, Synced(0, reconnected=False))
    connection.push_message("dale", "live", seq=1)
    connection.send({"action": "synced"})
    connection.push_message("dale", "live", seq=2)
    assert [type(next(reader.client)) for _ in range(2)] == [MessageReceived, MessageReceived]
    connection.restart()
    connection = fake.accept()
    presence = connection.expect("presence")
    connection.respond(presence, 200, jim=2, account=True, session="token", server="fake/1", limits={}, alert="")
    for seq in (1, 2, 3, 4):  # two of them were had
        connection.push_message("dale", "waited", seq=seq)
    connection.push_message("hank", "from another device", to="dale", seq=5)
    connection.send({"action": "synced"})
    assert reader.next(Synced) == Synced(3, reconnected=True)
    received: list[Any] = [event for event in reader.seen if isinstance(event, MessageReceived)]
    assert [event.delivery.seq for event in received] == [3, 4]
