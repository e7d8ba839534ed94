"""The keys: one table, from which they are bound and from which help prints them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from gmessenger.terminal.window.hands import Hands

ALT: Final = "escape"


@dataclass(frozen=True, slots=True)
class Key:
    """One row: how the keys are called, what they do, and the sequences by which the library knows them.

    `act` is given the last key of the sequence. A row without it is bound by the library; it is here for the help.
    """

    shown: str
    what: str
    sequences: tuple[tuple[str, ...], ...] = ()
    act: Callable[[Hands, str], None] | None = None


KEYS: Final = (
    Key("Enter", "send", (("enter",),), lambda hands, _: hands.enter()),
    Key("Alt-Enter, Ctrl-J", "begin a new line", ((ALT, "enter"), ("c-j",)), lambda hands, _: hands.new_line()),
    Key("Tab", "complete a command, a name or a room", (("tab",),), lambda hands, _: hands.complete(1)),
    Key("Shift-Tab", "the completion before", (("s-tab",),), lambda hands, _: hands.complete(-1)),
    Key("Up, Down", "what was typed before, on the first and the last line"),
    Key("Ctrl-R", "search in what was typed before"),
    Key("Ctrl-A, Ctrl-E, Ctrl-W, Ctrl-U, Ctrl-Y …", "edit as in a shell"),
    Key("Alt-Up, Ctrl-P", "the conversation before", ((ALT, "up"), ("c-p",)), lambda hands, _: hands.step(-1)),
    Key("Alt-Down, Ctrl-N", "the next conversation", ((ALT, "down"), ("c-n",)), lambda hands, _: hands.step(1)),
    Key(
        "Alt-0 … Alt-9",
        "the conversation with this number",
        tuple((ALT, str(digit)) for digit in range(10)),
        lambda hands, digit: hands.go_to(int(digit)),
    ),
    Key(
        "Alt-a", "the next with something new, what is meant for you first", ((ALT, "a"),), lambda h, _: h.next_unread()
    ),
    Key("PgUp", "a page up; at the top, earlier messages", (("pageup",),), lambda hands, _: hands.page(-1)),
    Key("PgDn", "a page down", (("pagedown",),), lambda hands, _: hands.page(1)),
    Key("Ctrl-Up, Ctrl-Down", "a row up or down", (("c-up",),), lambda hands, _: hands.scroll(-1)),
    Key("", "", (("c-down",),), lambda hands, _: hands.scroll(1)),
    Key("Ctrl-Home", "the first message that is here", (("c-home",), (ALT, "home")), lambda hands, _: hands.to_top()),
    Key("Ctrl-End", "the newest", (("c-end",), (ALT, "end")), lambda hands, _: hands.to_bottom()),
    Key("Alt-e", "take a refused message back and edit it", ((ALT, "e"),), lambda hands, _: hands.edit_refused()),
    Key("Alt-l", "the text alone, to copy from; once more, everything", ((ALT, "l"),), lambda hands, _: hands.bare()),
    Key("Ctrl-L", "draw the screen anew", (("c-l",),), lambda hands, _: hands.redraw()),
    Key("Ctrl-Z", "suspend; `fg` in the shell comes back", (("c-z",),), lambda hands, _: hands.suspend()),
    Key("Ctrl-C", "empty the line, into the history; when it is empty, leave", (("c-c",),), lambda h, _: h.interrupt()),
    Key("Ctrl-D", "leave, when the line is empty", (("c-d",),), lambda hands, _: hands.end()),
)
"""Every key that is not simply text. A row without words belongs to the one before it."""


def bindings(hands: Hands, asking: Callable[[], bool]) -> KeyBindings:
    """The table as the library wants it; while something is asked, Escape answers with nothing."""
    bound = KeyBindings()
    for key in KEYS:
        for sequence in key.sequences:
            bound.add(*sequence)(_handler(hands, key))
    bound.add(ALT, filter=Condition(asking))(lambda event: hands.interrupt())
    return bound


def _handler(hands: Hands, key: Key) -> Callable[[KeyPressEvent], None]:
    act = key.act
    assert act is not None, f"{key.shown} is bound to nothing"

    def handle(event: KeyPressEvent) -> None:
        act(hands, str(getattr(event.key_sequence[-1].key, "value", event.key_sequence[-1].key)))

    return handle


def keys_text() -> str:
    """The table for people."""
    rows = [(key.shown, key.what) for key in KEYS if key.shown]
    column = min(max(len(shown) for shown, _ in rows), 18)
    return "\n".join(f"  {shown:<{column}}  {what}" for shown, what in rows)
