"""The layout of the screen: title, conversations, messages, members, status bar and input line."""

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

from gmessenger.terminal.tui.graphemes import ellipsize
from gmessenger.terminal.tui.input_line import InputLine, SanitizeProcessor
from gmessenger.terminal.tui.panes import LIST_WIDTHS, MEMBER_WIDTHS, pane_width
from gmessenger.terminal.tui.text_wrap import Fragments

MIN_ROWS_FOR_TITLE: Final = 7
"""Rows of the terminal from which there is a title."""

PaneRenderer = Callable[[int, int], list[Fragments]]


class PaneControl(UIControl):
    """A pane that is drawn anew for each redraw, in the size that it gets."""

    def __init__(self, render: PaneRenderer) -> None:
        self._render = render

    def create_content(self, width: int, height: int | None) -> UIContent:
        rows = self._render(width, height or 1) or [[]]
        return UIContent(get_line=lambda number: [*rows[number]], line_count=len(rows), show_cursor=False)


@dataclass(frozen=True, slots=True)
class LayoutSpec:
    """The functions that draw the panes, and the conditions under which parts are shown."""

    title: PaneRenderer
    conversations: PaneRenderer
    text: PaneRenderer
    members: PaneRenderer
    status: PaneRenderer
    vertical_line: str
    is_text_only: Callable[[], bool]
    is_in_room: Callable[[], bool]
    prompt: Callable[[], Fragments]


def make_layout(spec: LayoutSpec, input_line: InputLine) -> Layout:
    """Return the layout, with the focus in the input line."""
    search = SearchToolbar()
    input_control = BufferControl(
        input_line.buffer,
        search_buffer_control=search.control,
        preview_search=True,
        input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor(), SanitizeProcessor()],
        include_default_input_processors=False,
    )
    body = FloatContainer(
        HSplit(
            [
                ConditionalContainer(_bar(spec.title), Condition(lambda: terminal_rows() >= MIN_ROWS_FOR_TITLE)),
                _panes(spec),
                _bar(spec.status),
                ConditionalContainer(_input(spec, input_control), Condition(lambda: input_line.prompt is None)),
                ConditionalContainer(_prompt(input_line), Condition(lambda: input_line.prompt is not None)),
                search,
            ]
        ),
        floats=[Float(CompletionsMenu(max_height=8, scroll_offset=1), xcursor=True, ycursor=True)],
    )
    return Layout(body, focused_element=input_control)


def _panes(spec: LayoutSpec) -> Container:
    border = PaneControl(lambda width, height: [[("class:border", spec.vertical_line)]] * height)
    left = Condition(lambda: _list_width(spec) > 0)
    right = Condition(lambda: _members_width(spec) > 0)
    return VSplit(
        [
            ConditionalContainer(_pane(spec.conversations, lambda: _list_width(spec)), left),
            ConditionalContainer(Window(border, width=1), left),
            _pane(spec.text, lambda: terminal_columns() - _side_width(spec)),
            ConditionalContainer(Window(border, width=1), right),
            ConditionalContainer(_pane(spec.members, lambda: _members_width(spec)), right),
        ],
        height=Dimension(min=1),
    )


def _list_width(spec: LayoutSpec) -> int:
    """Return the columns of the list of conversations; 0 if it is not shown."""
    return 0 if spec.is_text_only() else pane_width(LIST_WIDTHS, terminal_columns())


def _members_width(spec: LayoutSpec) -> int:
    """Return the columns of the list of members; 0 if it is not shown."""
    return pane_width(MEMBER_WIDTHS, terminal_columns()) if spec.is_in_room() and not spec.is_text_only() else 0


def _side_width(spec: LayoutSpec) -> int:
    """Return the columns beside the messages, borders included.

    prompt_toolkit could work out the width of the messages itself, but that costs more than drawing them.
    """
    return sum(columns + 1 for columns in (_list_width(spec), _members_width(spec)) if columns)


def _bar(render: PaneRenderer) -> Window:
    return Window(PaneControl(render), height=1)


def _pane(render: PaneRenderer, width: Callable[[], int]) -> Window:
    return Window(PaneControl(render), width=lambda: Dimension.exact(width()))


def _input(spec: LayoutSpec, control: BufferControl) -> Window:
    def prefix(number: int, wrapped: int) -> StyleAndTextTuples:
        return [*spec.prompt()] if (number, wrapped) == (0, 0) else []

    return Window(control, height=_input_height, wrap_lines=True, dont_extend_height=True, get_line_prefix=prefix)


def _prompt(input_line: InputLine) -> Window:
    is_hidden = Condition(lambda: input_line.prompt is not None and input_line.prompt.is_secret)
    control = BufferControl(
        input_line.prompt_buffer,
        input_processors=[ConditionalProcessor(PasswordProcessor(), is_hidden), SanitizeProcessor()],
    )

    def prefix(number: int, wrapped: int) -> StyleAndTextTuples:
        text = input_line.prompt.text if input_line.prompt is not None else ""
        return (
            [("class:question", ellipsize(text, max(terminal_columns() - 8, 1)))] if (number, wrapped) == (0, 0) else []
        )

    return Window(control, height=_input_height, wrap_lines=True, dont_extend_height=True, get_line_prefix=prefix)


def _input_height() -> Dimension:
    """Return the height of the input line: at most a third of the screen."""
    return Dimension(min=1, max=max(1, terminal_rows() // 3))


def terminal_columns() -> int:
    """Return the columns of the terminal. Call it in the screen's greenlet."""
    return get_app().output.get_size().columns


def terminal_rows() -> int:
    """Return the rows of the terminal. Call it in the screen's greenlet."""
    return get_app().output.get_size().rows
