"""Scrolling, while entries are added above and below."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.terminal.tui.conversation import Conversation, Entry, MessageState
from gmessenger.terminal.tui.entries import MAX_ENTRY_ROWS, MAX_ENTRY_TEXT, EntryRenderer
from gmessenger.terminal.tui.graphemes import width
from gmessenger.terminal.tui.model import Model
from gmessenger.terminal.tui.scrollback import Scrollback
from gmessenger.terminal.tui.style import ASCII, UNICODE
from tests.support.tui import add_message

NOON = 1_763_812_800.0


class PaneReader:
    """A conversation in a pane, and its visible rows."""

    def __init__(self, count: int = 100, columns: int = 80, rows: int = 10) -> None:
        self.model = Model("hank")
        self.room: Conversation = self.model.open("#dev")
        self.model.switch_to(self.room)
        self.entries = EntryRenderer(UNICODE)
        self.scrollback = Scrollback(self.model, self.entries, UNICODE)
        self.columns, self.rows = columns, rows
        for number in range(count):
            add_message(self.room, f"message {number}", seq=1000 + number, at=NOON)
        self.visible_rows()

    def visible_rows(self) -> list[str]:
        rows = self.scrollback.render(self.columns, self.rows)
        assert len(rows) == self.rows
        return ["".join(text for _, text in row).rstrip() for row in rows]

    def numbers(self) -> list[int]:
        return [int(row.rsplit(" ", 1)[1]) for row in self.visible_rows() if "message" in row and "│" in row]


def test_the_newest_is_at_the_bottom() -> None:
    reader = PaneReader()
    assert reader.numbers() == list(range(90, 100))
    add_message(reader.room, "message 100", seq=1100, at=NOON)
    assert reader.numbers()[-1] == 100 and reader.scrollback.at_bottom and reader.scrollback.below == 0


def test_a_cleared_conversation_shows_what_comes_next_and_the_rest_after_scrolling_up() -> None:
    reader = PaneReader()
    reader.room.clear()
    assert reader.visible_rows() == [""] * reader.rows
    for number in (100, 101):
        add_message(reader.room, f"message {number}", seq=1000 + number, at=NOON)
    assert reader.numbers() == [100, 101]
    reader.scrollback.scroll(-3)
    assert reader.numbers() == list(range(89, 99))
    reader.scrollback.to_bottom()
    assert reader.numbers() == [100, 101]


def test_what_comes_below_does_not_move_the_view() -> None:
    reader = PaneReader()
    reader.scrollback.scroll_pages(-1)
    before = reader.visible_rows()
    assert reader.numbers() == list(range(82, 92)) and not reader.scrollback.at_bottom and reader.scrollback.below == 8
    for number in range(100, 120):
        add_message(reader.room, f"message {number}", seq=1000 + number, at=NOON)
    assert reader.visible_rows() == before and reader.scrollback.below == 28
    reader.scrollback.scroll_pages(1)
    assert not reader.scrollback.at_bottom
    reader.scrollback.to_bottom()
    assert reader.numbers()[-1] == 119


def test_what_comes_above_does_not_move_the_view() -> None:
    reader = PaneReader()
    reader.scrollback.to_top()
    before = reader.visible_rows()
    assert "PgUp fetches earlier messages" in before[0] and "November 2025" in before[1]
    reader.room.is_loading = True
    assert "are being fetched" in reader.visible_rows()[0] and reader.visible_rows()[1:] == before[1:]
    reader.room.add_earlier(Entry(NOON, "dale", f"message -{n}", seq=1000 - n) for n in range(1, 51))
    assert reader.visible_rows()[2:] == before[2:]  # the day is named further up now
    assert reader.numbers()[1] == -1
    reader.scrollback.scroll(-1)
    assert reader.numbers()[0] == -3


def test_what_one_may_not_read_is_counted_and_never_called_the_beginning() -> None:
    reader = PaneReader(count=3)
    reader.room.is_complete = True
    assert reader.visible_rows()[-5].strip("─ ") == "the beginning"
    reader.room.first_readable = 18
    assert reader.visible_rows()[-5].strip("─ ") == "17 messages not shown: before you joined"
    reader.model.is_pruned = True
    assert reader.visible_rows()[-5].strip("─ ").endswith("before you joined, or too old")
    add_message(reader.room, "back again", seq=1020, at=NOON)
    reader.room.absences = [(1003, 1019)]
    assert "17 messages not shown: you were not in the room" in reader.visible_rows()[-2]


def test_a_narrow_pane_shows_all_of_why_messages_are_not_shown() -> None:
    reader = PaneReader(count=3, columns=24, rows=12)
    reader.room.is_complete, reader.room.first_readable = True, 18
    words = [row.strip("─ ") for row in reader.visible_rows()]
    assert "17 messages not shown: before you joined" in " ".join(words)
    reader.rows = 10  # not all of it is visible
    assert reader.visible_rows()[0].strip("─ ") == "shown: before you"


def test_the_upper_end_is_told_and_not_passed() -> None:
    reader = PaneReader(count=12)
    assert not reader.scrollback.scroll(-1)
    assert reader.scrollback.scroll(-100)
    at_top = reader.visible_rows()
    assert reader.scrollback.scroll(-1) and reader.visible_rows() == at_top
    assert not reader.scrollback.scroll(100) and reader.scrollback.at_bottom


@pytest.mark.parametrize("count", [0, 1, 5])
def test_where_everything_is_in_sight_one_is_at_both_ends(count: int) -> None:
    reader = PaneReader(count)
    assert reader.scrollback.scroll_pages(-1) and reader.scrollback.at_bottom
    assert not reader.scrollback.scroll_pages(1) and reader.scrollback.at_bottom
    reader.scrollback.to_top()
    assert reader.scrollback.at_bottom


@given(st.lists(st.integers(-30, 30), max_size=12), st.integers(20, 100), st.integers(2, 30))
def test_scrolling_there_and_back_ends_where_it_began(steps: list[int], columns: int, rows: int) -> None:
    reader = PaneReader(60, columns, rows)
    for number in range(20):
        add_message(reader.room, f"message {number} " + "long " * number, at=NOON + number * 40_000)
    reader.visible_rows()
    for step in steps:
        reader.scrollback.scroll(step)
        assert len(reader.visible_rows()) == rows
    reader.scrollback.to_top()
    assert reader.visible_rows()[0].startswith("─ PgUp") or reader.visible_rows()[0].startswith("──")
    seen = set(reader.visible_rows())
    while not reader.scrollback.at_bottom:
        reader.scrollback.scroll(max(rows - 2, 1))
        seen |= set(reader.visible_rows())
    for number in range(60):
        assert any(row.endswith(f"message {number}") for row in seen)


def test_a_place_in_a_wide_message_is_kept_when_the_width_changes() -> None:
    reader = PaneReader(40)
    add_message(reader.room, "wide " * 300, at=NOON)
    reader.visible_rows()
    reader.scrollback.scroll(-12)
    for columns in (40, 200, 20, 80):
        reader.columns = columns
        assert any("wide" in row for row in reader.visible_rows())


def test_an_entry_that_is_not_kept_any_more() -> None:
    reader = PaneReader()
    reader.scrollback.to_top()
    del reader.room.entries[:50]
    assert reader.numbers()[0] >= 50
    reader.room.entries.clear()
    assert reader.visible_rows()[-1].startswith("──") and reader.scrollback.below == 0


def test_conversations_keep_their_places() -> None:
    reader = PaneReader()
    reader.scrollback.scroll_pages(-2)
    before = reader.visible_rows()
    reader.model.switch_to(reader.model.home)
    assert reader.scrollback.at_bottom and set(reader.visible_rows()) == {""}
    reader.model.switch_to(reader.room)
    assert reader.visible_rows() == before
    reader.model.close(reader.room)
    reader.scrollback.drop_closed()
    assert reader.scrollback._positions == {}


def test_the_unread_line_and_the_days() -> None:
    reader = PaneReader(3)
    reader.room.marker = reader.room.entries[1]
    add_message(reader.room, "message 3", at=NOON + 86_400)
    rows = [row for row in reader.visible_rows() if row]
    kinds = ["new" if " new " in row else "day" if "2025" in row else "text" for row in rows[1:]]
    assert kinds == ["day", "text", "new", "text", "text", "day", "text"]


@pytest.mark.parametrize("new", [58, 10, 5, 0])
def test_to_the_first_that_is_new(new: int) -> None:
    """The first unread entry is as high in the pane as it can be."""
    reader = PaneReader(60)
    reader.room.marker = reader.room.entries[60 - new] if new else None
    reader.visible_rows()
    assert reader.scrollback.new_above == max(new - reader.rows, 0)
    reader.scrollback.to_marker()
    if new >= reader.rows:
        assert " new " in reader.visible_rows()[0] and reader.numbers()[0] == 60 - new
        assert reader.scrollback.new_above == 0
        reader.scrollback.to_bottom()
        reader.visible_rows()
        assert reader.scrollback.new_above == 0  # it has been in sight
    else:
        assert reader.scrollback.at_bottom


@pytest.mark.parametrize(
    ("state", "reason", "ending"),
    [
        (MessageState.WAITING, "", "hi …"),
        (MessageState.WAITING, "Too many at once.", "hi … (Too many at once.)"),
        (MessageState.STORED, "", "hi ✓"),
        (MessageState.RELAYED, "", "hi ✓✓"),
        (MessageState.DELIVERED, "", "hi ✓✓"),
        (MessageState.REJECTED, "Nobody is there.", "✗ Nobody is there. (Alt-e edits it)"),
    ],
)
def test_what_became_of_a_message_is_said_and_drawn_anew_when_it_changes(
    state: MessageState, reason: str, ending: str
) -> None:
    reader = PaneReader(0)
    entry = add_message(reader.room, "hi", sender="hank", is_own=True, at=NOON)
    assert reader.visible_rows()[-1].endswith("│ hi")
    entry.set_state(state, reason)
    assert reader.visible_rows()[-1].endswith(f"│ {ending}")


@pytest.mark.parametrize(
    "text",
    [
        "語" * 10_000,
        "x" * 100_000,
        "x\n" * 50_000,
        "Z" + "\u0301" * 10_000,
        "https://x.example/" + "y" * 30_000,
        "a " * 30_000,
    ],
)
def test_one_message_cannot_be_endless(text: str) -> None:
    reader = PaneReader(0)
    add_message(reader.room, text, at=NOON)
    reader.visible_rows()
    assert len(reader.entries.rows(reader.room.entries[0], 80, 6)) <= MAX_ENTRY_ROWS + 4
    assert len(text) <= MAX_ENTRY_TEXT or "rest is too long to be shown" in "\n".join(reader.visible_rows())


def test_the_text_alone() -> None:
    reader = PaneReader(1)
    reader.entries.text_only = True
    assert [row for row in reader.visible_rows() if row][-1] == "message 0"
    reader.entries.text_only = False
    assert "│" in reader.visible_rows()[-1]


@pytest.mark.parametrize("columns", [2, 5, 10, 20, 39, 40, 50, 60, 220])
def test_no_row_is_wider_than_the_screen(columns: int) -> None:
    reader = PaneReader(0, columns, 60)
    for text in ("語" * 100, "word " * 50, "x" * 300, "see https://example.org/" + "a" * 300, "👨‍👩‍👧🇩🇪 क्ष " * 20):
        entry = add_message(reader.room, text, sender="名前の長い人" * 5, is_own=True, at=NOON)
        entry.set_state(MessageState.REJECTED, "For a reason that is rather long.")
    assert all(
        width("".join(text for _, text in row)) <= max(columns, 8) for row in reader.scrollback.render(columns, 60)
    )


def test_signs_for_poor_terminals_are_as_many() -> None:
    assert all(getattr(ASCII, name).isascii() for name in ASCII.__slots__)
    assert len({ASCII.state(state) for state in MessageState}) == len({UNICODE.state(state) for state in MessageState})


@pytest.mark.parametrize(
    ("members", "columns", "names"),
    [
        (("al", "bo"), 80, 6),
        (("alexandra", "bo"), 80, 9),
        (("x" * 40,), 80, 14),
        (("x" * 40,), 50, 9),
        (("al",), 39, 0),
    ],
)
def test_names_have_as_much_room_as_they_need(members: tuple[str, ...], columns: int, names: int) -> None:
    reader = PaneReader(1)
    reader.room.members = {name: name for name in members}
    assert reader.entries.name_width(reader.room, "hank", columns) == names
    assert reader.entries.name_width(reader.model.home, "hank", columns) == (2 if names else 0)
