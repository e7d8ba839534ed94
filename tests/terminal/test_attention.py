"""What notifies by the settings of the account, and who came and left in one line."""

from __future__ import annotations

import pytest

from gmessenger.account_settings import AccountSettings, NotifySetting
from gmessenger.client import MemberJoined, MemberLeft, SettingsChanged
from gmessenger.terminal.attention import Attention, GatheredMembers
from gmessenger.terminal.tui.model import Model
from tests.support.scripted_server import ClientConnection, FakeServer, Frame
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_bell import frames_until, log_in

NOW = 1000.0
FULL = {"notify": {}, "highlights": [], "joins": "shown"}


def receive_request(peer: ClientConnection, action: str) -> Frame:
    """Receive a request of this kind; acknowledgements may come before."""
    return frames_until(peer, action)[-1]


def test_a_mention_is_a_word_of_its_own() -> None:
    attention = Attention("hank")
    assert all(map(attention.is_mention, ("hank", "Hank, are you there?", "ask @hank", "(hank)")))
    assert not any(map(attention.is_mention, ("", "hankering", "thanks, hank1", "x@hanks", "deploy")))
    attention.apply(AccountSettings(highlights=["deploy", "on fire", "c++"]))
    assert all(map(attention.is_mention, ("Deploy now", "it is ON FIRE!", "hank", "in C++ again")))
    assert not any(map(attention.is_mention, ("deployed", "on firewood")))


@pytest.mark.parametrize(
    ("conversation", "setting", "expected"),
    [
        ("dale", None, (True, True)),
        ("#dev", None, (False, True)),
        ("#Dev", NotifySetting("all"), (True, True)),
        ("#dev", NotifySetting("none"), (False, False)),
        ("dale", NotifySetting("mentions"), (False, True)),
        ("#dev", NotifySetting("none", NOW + 1), (False, False)),
        ("#dev", NotifySetting("all", NOW - 1), (False, True)),
    ],
)
def test_a_message_notifies_as_the_setting_of_its_conversation_says(
    conversation: str, setting: NotifySetting | None, expected: tuple[bool, bool]
) -> None:
    attention = Attention("hank", lambda: NOW)
    attention.apply(AccountSettings(notify={conversation.lower(): setting} if setting is not None else {}))
    assert tuple(attention.notifies(conversation, is_mention=mention) for mention in (False, True)) == expected


def test_who_came_and_who_left_is_said_in_one_line() -> None:
    gathered = GatheredMembers()
    for name in ("dale", "bobby", "peggy"):
        gathered.add(MemberJoined("#dev", name))
    gathered.add(MemberLeft("#dev", "bobby"))
    gathered.add(MemberLeft("#dev", "bill"))
    assert gathered.format("#dev") == "-- #dev: joined: dale, peggy; left: bill"
    for number in range(5):
        gathered.add(MemberJoined("#dev", f"name{number}"))
    assert "joined: dale, peggy, name0, name1, name2 and 2 more;" in gathered.format("#dev")


@pytest.mark.parametrize(
    ("joins", "expected"),
    [
        ("shown", ["dale has joined #dev", "bobby has joined #dev", "dale has left #dev"]),
        ("gathered", ["#dev: joined: bobby"]),
        ("hidden", []),
    ],
)
def test_the_full_screen_shows_joins_as_the_settings_say(joins: str, expected: list[str]) -> None:
    model = Model("hank")
    model.apply(SettingsChanged(AccountSettings(joins=joins)), NOW)  # type: ignore[arg-type]
    for event in (MemberJoined("#dev", "dale"), MemberJoined("#dev", "bobby"), MemberLeft("#dev", "dale")):
        model.apply(event, NOW)
    room = model.open("#dev")
    assert [entry.text for entry in room.entries] == expected
    assert list(room.members) == ["bobby"]


def test_joins_that_cancel_out_leave_no_line_and_a_removal_of_oneself_is_shown() -> None:
    model = Model("hank")
    model.apply(SettingsChanged(AccountSettings(joins="gathered")), NOW)
    for event in (MemberJoined("#dev", "dale"), MemberLeft("#dev", "dale"), MemberLeft("#dev", "hank", "dale")):
        model.apply(event, NOW)
    assert [entry.text for entry in model.open("#dev").entries] == ["dale removed hank from #dev"]


def test_line_mode_gathers_joins_until_the_next_message_of_the_room(
    fake: FakeServer, open_terminal: OpenTerminal
) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.send({"action": "settings", "settings": {**FULL, "joins": "gathered"}})
    for name in ("dale", "bobby"):
        peer.send({"action": "join", "room": "#dev", "user": {"account_name": name}})
    peer.push_message("dale", "hello", "#dev", seq=1)
    hank.wait_for(r"-- #dev: joined: dale, bobby\r\n(.|\r|\n)*#dev dale: hello")


def test_commands_change_the_settings_and_say_what_they_are(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    for line, change, settings, shown in (
        ("/notify #dev none for 2h", "notify", {}, "#dev does not notify until"),
        ("/notify dale mentions", "notify", {}, "dale notifies of mentions"),
        ("/joins hidden", "joins", {"joins": "hidden"}, "joins and leaves are hidden"),
    ):
        hank.type_line(line)
        request = receive_request(peer, "settings")
        assert list(request["set"]) == [change]
        peer.respond(request, 200, settings={**FULL, **settings})
        hank.wait_for(shown)
    hank.type_line("/highlight deploy")
    peer.respond(receive_request(peer, "settings"), 200, settings=FULL)
    request = receive_request(peer, "settings")
    assert request["set"] == {"highlights": ["deploy"]}
    peer.respond(request, 200, settings={**FULL, "highlights": ["deploy"]})
    hank.wait_for("beside your name:")
    for line, shown in (("/notify #dev loud", "write it as in /notify"), ("/joins often", "shown, gathered or hidden")):
        hank.type_line(line)
        hank.wait_for(shown)


def test_mentions_are_found_by_name_and_highlights_without_own_messages(
    fake: FakeServer, open_terminal: OpenTerminal
) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.send({"action": "settings", "settings": {**FULL, "highlights": ["deploy"]}})
    peer.push_message("dale", "ready", "hank", seq=1)
    hank.wait_for("ready")
    hank.type_line("/mentions")
    found = [
        {"with": "#dev", "from": "dale", "to": "#dev", "time": NOW, "message": "ask hank", "seq": 4},
        {"with": "#dev", "from": "hank", "to": "#dev", "time": NOW, "message": "hank did it", "seq": 5},
        {"with": "#ops", "from": "bill", "to": "#ops", "time": NOW + 1, "message": "deploy, hank!", "seq": 9},
    ]
    for text in ("hank", "deploy"):
        request = receive_request(peer, "search")
        assert request["text"] == text
        peer.respond(request, 200, messages=[row for row in found if text in row["message"]], more=False)
    hank.wait_for(r"found 2 messages:(.|\r|\n)*1 (.)*ask hank(.|\r|\n)*2 (.)*deploy, hank!")
