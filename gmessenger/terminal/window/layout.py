"""How the screen is divided: title, conversations, text, members, status bar, input line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import (
    BufferControl,
    CompletionsMenu,
    ConditionalContainer,
    Container,
    Dimension,
    Float,
    FloatContainer,
    HSplit,
    Layout,
    UIContent,
    UIControl,
    VSplit,
    Window,
)
from prompt_toolkit.layout.processors import (
    ConditionalProcessor,
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
    PasswordProcessor,
)
from prompt_toolkit.widgets import SearchToolbar

from gmessenger.terminal.window.graphemes import shortened
from gmessenger.terminal.window.input_line import InputLine
from gmessenger.terminal.window.panes import LIST_WIDTHS, MEMBER_WIDTHS, share
from gmessenger.terminal.window.showing import Showing
from gmessenger.terminal.window.wrapping import Fragments

LOW: Final = 7
"""Rows of a terminal that has none to spare for a title."""

Draw = Callable[[int, int], list[Fragments]]


class Drawn(UIControl):
    """A pane that is drawn anew each time, in the columns and rows it is given."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def create_content(self, width: int, height: int | None) -> UIContent:
        rows = self._draw(width, height or 1) or [[]]
        return UIContent(get_line=lambda number: [*rows[number]], line_count=len(rows), show_cursor=False)


@dataclass(frozen=True, slots=True)
class Parts:
    """What draws the panes, and what is asked about them."""

    title: Draw
    conversations: Draw
    text: Draw
    members: Draw
    status: Draw
    upright: str
    bare: Callable[[], bool]
    in_a_room: Callable[[], bool]
    prompt: Callable[[], Fragments]


def layout(parts: Parts, line: InputLine) -> Layout:
    """The whole of it, with the cursor in the input line."""
    search = SearchToolbar()
    write = BufferControl(
        line.buffer,
        search_buffer_control=search.control,
        preview_search=True,
        input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor(), Showing()],
        include_default_input_processors=False,
    )
    body = FloatContainer(
        HSplit(
            [
                ConditionalContainer(_bar(parts.title), Condition(lambda: _rows() >= LOW)),
                _middle(parts),
                _bar(parts.status),
                ConditionalContainer(_input(parts, write), Condition(lambda: line.question is None)),
                ConditionalContainer(_question(line), Condition(lambda: line.question is not None)),
                search,
            ]
        ),
        floats=[Float(CompletionsMenu(max_height=8, scroll_offset=1), xcursor=True, ycursor=True)],
    )
    return Layout(body, focused_element=write)


def _middle(parts: Parts) -> Container:
    border = Drawn(lambda width, height: [[("class:border", parts.upright)]] * height)
    left = Condition(lambda: _left(parts) > 0)
    right = Condition(lambda: _right(parts) > 0)
    return VSplit(
        [
            ConditionalContainer(_pane(parts.conversations, lambda: _left(parts)), left),
            ConditionalContainer(Window(border, width=1), left),
            _pane(parts.text, lambda: _columns() - _taken(parts)),
            ConditionalContainer(Window(border, width=1), right),
            ConditionalContainer(_pane(parts.members, lambda: _right(parts)), right),
        ],
        height=Dimension(min=1),
    )


def _left(parts: Parts) -> int:
    """Columns of the list of conversations."""
    return 0 if parts.bare() else share(LIST_WIDTHS, _columns())


def _right(parts: Parts) -> int:
    """Columns of the list of members."""
    return share(MEMBER_WIDTHS, _columns()) if parts.in_a_room() and not parts.bare() else 0


def _taken(parts: Parts) -> int:
    """Columns beside the text, with the lines between. It is told, because working it out costs more than drawing."""
    return sum(columns + 1 for columns in (_left(parts), _right(parts)) if columns)


def _bar(draw: Draw) -> Window:
    return Window(Drawn(draw), height=1)


def _pane(draw: Draw, width: Callable[[], int]) -> Window:
    return Window(Drawn(draw), width=lambda: Dimension.exact(width()))


def _input(parts: Parts, write: BufferControl) -> Window:
    def prefix(number: int, wrapped: int) -> StyleAndTextTuples:
        return [*parts.prompt()] if (number, wrapped) == (0, 0) else []

    return Window(write, height=_growing, wrap_lines=True, dont_extend_height=True, get_line_prefix=prefix)


def _question(line: InputLine) -> Window:
    hidden = Condition(lambda: line.question is not None and line.question.secret)
    control = BufferControl(
        line.answer, input_processors=[ConditionalProcessor(PasswordProcessor(), hidden), Showing()]
    )

    def prefix(number: int, wrapped: int) -> StyleAndTextTuples:
        words = line.question.words if line.question is not None else ""
        return [("class:question", shortened(words, max(_columns() - 8, 1)))] if (number, wrapped) == (0, 0) else []

    return Window(control, height=_growing, wrap_lines=True, dont_extend_height=True, get_line_prefix=prefix)


def _growing() -> Dimension:
    """A third of the screen is for what one writes."""
    return Dimension(min=1, max=max(1, _rows() // 3))


def _columns() -> int:
    return get_app().output.get_size().columns


def _rows() -> int:
    return get_app().output.get_size().rows
