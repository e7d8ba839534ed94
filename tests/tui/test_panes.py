"""The panes around the messages: conversations, members, title, status bar."""

from __future__ import annotations

import re

import pytest

from gmessenger.terminal.tui.model import ConnectionPhase, ConnectionState, Model
from gmessenger.terminal.tui.panes import OffscreenCounts, Panes
from gmessenger.terminal.tui.style import ASCII, NAME_COLOURS, STYLES, UNICODE, Symbols, name_style, symbols_for
from gmessenger.terminal.tui.text_wrap import Fragments
from tests.support.tui import add_message

NOW = 1_763_800_000.0


def text(rows: list[Fragments]) -> list[str]:
    return ["".join(part for _, part in row) for row in rows]


@pytest.fixture
def model() -> Model:
    model = Model("hank")
    for name in ("#dev", "dale", "#random"):
        model.open(name)
    model.open("dale").add_unread(add_message(model.open("dale"), "hi"))
    for mention in (False, True):
        room = model.open("#random")
        room.add_unread(add_message(room, "hank?", is_mention=mention))
    return model


@pytest.fixture
def panes(model: Model) -> Panes:
    return Panes(model, UNICODE)


def test_conversations_say_their_number_and_what_is_unread(panes: Panes) -> None:
    assert text(panes.conversations(18, 10)) == [
        "> 0 gmessenger    ",
        "  1 #dev          ",
        "  2 @dale        1",
        "  3 #random     2!",
    ]


def test_the_current_one_is_in_sight_among_many(model: Model, panes: Panes) -> None:
    for number in range(200):
        model.open(f"friend{number}")
    for conversation in (model.home, model.conversations[100], model.conversations[-1]):
        model.switch_to(conversation)
        rows = text(panes.conversations(20, 10))
        assert len(rows) == 10 and sum(row.startswith(">") for row in rows) == 1


@pytest.mark.parametrize(("symbols", "above", "below"), [(UNICODE, "↑", "↓"), (ASCII, "^", "v")])
def test_the_list_says_what_is_new_above_and_below(model: Model, symbols: Symbols, above: str, below: str) -> None:
    panes = Panes(model, symbols)
    for number in range(200):
        friend = model.open(f"friend{number}")
        friend.add_unread(add_message(friend, "psst", is_mention=number == 199))
    assert text(panes.conversations(20, 10))[-1].rstrip() == f"  {below} 195! new"
    model.switch_to(model.conversations[100])
    rows = text(panes.conversations(20, 10))
    assert (rows[0].rstrip(), rows[-1].rstrip()) == (f"  {above} 95! new", f"  {below} 100! new")
    model.switch_to(model.conversations[-1])
    rows = text(panes.conversations(20, 10))
    assert rows[0].rstrip() == f"  {above} 193! new" and rows[-1].startswith(">203")
    for conversation in model:
        conversation.mark_read()
    assert not any("new" in row for row in text(panes.conversations(20, 10)))
    model.conversations[0].add_unread(add_message(model.home, "news"))
    assert len(text(panes.conversations(20, 2))) == 2


def test_members_who_are_there_come_first(model: Model, panes: Panes) -> None:
    room = model.open("#dev")
    model.switch_to(room)
    room.members = {name.lower(): name for name in ("Zoe", "hank", "Abe", "Bea", "Cy")}
    model.presence = {"zoe": "online", "abe": "offline", "bea": "at lunch"}
    model.connection.phase = ConnectionPhase.CONNECTED
    assert text(panes.members(6, 10)) == ["◐Bea  ", "●hank ", "●Zoe  ", "○Abe  ", " Cy   "]
    assert text(panes.members(8, 3)) == ["◐Bea    ", "●hank   ", "  3 more"]
    model.connection.phase = ConnectionPhase.LOST
    assert "○hank " in text(panes.members(6, 10))


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (ConnectionState(ConnectionPhase.CONNECTED), "[● connected]"),
        (ConnectionState(ConnectionPhase.CONNECTING), "[◐ connecting] [3 waiting]"),
        (ConnectionState(ConnectionPhase.LOST, NOW + 3.2), "[○ offline, next try in 4 s] [3 waiting]"),
        (ConnectionState(ConnectionPhase.LOST, NOW - 0.1), "[◐ reconnecting] [3 waiting]"),
    ],
)
def test_the_status_says_how_the_line_is(model: Model, panes: Panes, connection: ConnectionState, words: str) -> None:
    model.connection = connection
    (status,) = text(panes.status(90, NOW, 3, OffscreenCounts()))
    assert status.rstrip() == f" {words} [hank] 0:gmessenger [Act: 3(2!),2(1)]"


def test_what_matters_least_gives_way(model: Model, panes: Panes) -> None:
    model.connection = ConnectionState(ConnectionPhase.LOST, NOW + 10)
    shown = [
        text(panes.status(columns, NOW, 3, OffscreenCounts(7, 95)))[0].strip()
        for columns in (130, 100, 80, 70, 50, 20, 8)
    ]
    assert shown == [
        "[○ offline, next try in 10 s] [3 waiting] [hank] 0:gmessenger"
        " [Act: 3(2!),2(1)] [95 new above: Alt-u] -- MORE (7) --",
        "[○ offline, next try in 10 s] [3 waiting] 0:gmessenger [95 new above: Alt-u] -- MORE (7) --",
        "[○ offline, next try in 10 s] [3 waiting] 0:gmessenger -- MORE (7) --",
        "[○ offline, next try in 10 s] [3 waiting] -- MORE (7) --",
        "[○ offline, next try in 10 s] -- MORE (7) --",
        "[○] -- MORE (7) --",
        "[○]",
    ]


def test_as_much_of_what_is_new_elsewhere_as_there_is_room_for(model: Model, panes: Panes) -> None:
    model.connection = ConnectionState(ConnectionPhase.CONNECTED)
    for number in range(100):
        friend = model.open(f"friend{number}")
        friend.add_unread(add_message(friend, "psst"))
    room = model.open("#dev")
    room.add_unread(add_message(room, "anybody?"))
    shown = [text(panes.status(columns, NOW, 0, OffscreenCounts()))[0].strip() for columns in (90, 54, 40, 30)]
    assert shown == [
        "[● connected] [hank] 0:gmessenger [Act: 3(2!),2(1),4(1),5(1),6(1),7(1),8(1),9(1),…+95]",
        "[● connected] [hank] 0:gmessenger [Act: 3(2!),…+102]",
        "[● connected] 0:gmessenger",
        "[● connected] 0:gmessenger",
    ]


def test_the_title_says_what_it_is_about(model: Model, panes: Panes) -> None:
    room = model.open("#dev")
    room.topic, room.is_closed = "the build", True
    model.switch_to(room)
    assert text(panes.title(40))[0].rstrip() == " #dev (closed)  the build"
    model.presence["dale"] = "at lunch\x1b"
    model.switch_to(model.open("dale"))
    assert text(panes.title(40))[0].rstrip() == " @dale  at lunch^["


@pytest.mark.parametrize(
    ("encoding", "symbols"), [("utf-8", UNICODE), ("koi8-r", ASCII), ("ascii", ASCII), (None, ASCII)]
)
def test_signs_are_those_the_terminal_has(encoding: str | None, symbols: object) -> None:
    assert symbols_for(encoding) is symbols


def test_a_name_has_its_colour_whatever_its_case() -> None:
    assert name_style("Dale") == name_style("DALE")
    assert len({name_style(f"name{number}") for number in range(500)}) == len(NAME_COLOURS)


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", sorted(set(re.findall("#[0-9a-f]{6}", " ".join(STYLES.values())))))
def test_every_colour_can_be_read_on_white_and_on_what_passes_for_black(colour: str) -> None:
    light, *dark = (luminance(ground) + 0.05 for ground in ("#ffffff", "#000000", "#002b36", "#282828"))
    own = luminance(colour) + 0.05
    assert light / own >= 3 and all(own / background >= 3 for background in dark)
