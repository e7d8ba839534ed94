"""The keys: one table, from which they are bound and from which help prints them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from gmessenger.terminal.window.hands import Hands
from gmessenger.terminal.words import N_, _

ALT: Final = "escape"
NAMES: Final = 18
"""Columns for what the keys are called."""


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
    Key("Enter", N_("send"), (("enter",),), lambda hands, key: hands.enter()),
    Key("Alt-Enter, Ctrl-J", N_("begin a new line"), ((ALT, "enter"), ("c-j",)), lambda hands, key: hands.new_line()),
    Key("Tab", N_("complete a command, a name or a room"), (("tab",),), lambda hands, key: hands.complete(1)),
    Key("Shift-Tab", N_("previous completion"), (("s-tab",),), lambda hands, key: hands.complete(-1)),
    Key("Up, Down", N_("input history, from the first or last line")),
    Key("Ctrl-R", N_("search the input history")),
    Key("Ctrl-A, Ctrl-E …", N_("edit as in a shell (also Ctrl-W, -U, -K, -Y, -_)")),
    Key("Alt-Up, Ctrl-P", N_("previous conversation"), ((ALT, "up"), ("c-p",)), lambda hands, key: hands.step(-1)),
    Key("Alt-Down, Ctrl-N", N_("next conversation"), ((ALT, "down"), ("c-n",)), lambda hands, key: hands.step(1)),
    Key(
        "Alt-0 … Alt-9",
        N_("the conversation with this number"),
        tuple((ALT, str(digit)) for digit in range(10)),
        lambda hands, digit: hands.go_to(int(digit)),
    ),
    Key(
        "Alt-a",
        N_("next conversation with new messages, mentions first"),
        ((ALT, "a"),),
        lambda hands, key: hands.next_unread(),
    ),
    Key("Alt-u", N_("first new message here"), ((ALT, "u"),), lambda hands, key: hands.to_marker()),
    Key("Alt-j", N_("next search result, starting with the newest"), ((ALT, "j"),), lambda hands, key: hands.jump()),
    Key("PgUp", N_("a page up; at the top, earlier messages"), (("pageup",),), lambda hands, key: hands.page(-1)),
    Key("PgDn", N_("a page down"), (("pagedown",),), lambda hands, key: hands.page(1)),
    Key("Ctrl-Up", N_("a row up"), (("c-up",),), lambda hands, key: hands.scroll(-1)),
    Key("Ctrl-Down", N_("a row down"), (("c-down",),), lambda hands, key: hands.scroll(1)),
    Key(
        "Ctrl-Home",
        N_("first message loaded"),
        (("c-home",), (ALT, "home")),
        lambda hands, key: hands.to_top(),
    ),
    Key("Ctrl-End", N_("newest message"), (("c-end",), (ALT, "end")), lambda hands, key: hands.to_bottom()),
    Key("Alt-e", N_("edit a refused message"), ((ALT, "e"),), lambda hands, key: hands.edit_refused()),
    Key(
        "Alt-l",
        N_("text only, for copying; again: the full screen"),
        ((ALT, "l"),),
        lambda hands, key: hands.bare(),
    ),
    Key("Ctrl-L", N_("redraw the screen"), (("c-l",),), lambda hands, key: hands.redraw()),
    Key("Ctrl-Z", N_("suspend; `fg` in the shell comes back"), (("c-z",),), lambda hands, key: hands.suspend()),
    Key(
        "Ctrl-C",
        N_("clear the line (kept in the history); on an empty line, twice: quit"),
        (("c-c",),),
        lambda hands, key: hands.interrupt(),
    ),
    Key("Ctrl-D", N_("quit, when the line is empty"), (("c-d",),), lambda hands, key: hands.end()),
)
"""Every key that is not simply text."""


def bindings(hands: Hands, asking: Callable[[], bool]) -> KeyBindings:
    """The table as the library wants it; while something is asked, Escape answers with nothing.

    While one searches in what was typed, the library's own keys hold.
    """
    bound = KeyBindings()
    for key in KEYS:
        for sequence in key.sequences:
            bound.add(*sequence, filter=~is_searching)(_handler(hands, key))
    bound.add(ALT, filter=Condition(asking))(lambda event: hands.interrupt())
    bound.add("<bracketed-paste>", filter=~is_searching)(lambda event: hands.paste(event.data))
    return bound


def _handler(hands: Hands, key: Key) -> Callable[[KeyPressEvent], None]:
    act = key.act
    assert act is not None, f"{key.shown} is bound to nothing"

    def handle(event: KeyPressEvent) -> None:
        act(hands, str(getattr(event.key_sequence[-1].key, "value", event.key_sequence[-1].key)))

    return handle


def keys_text() -> str:
    """The table for people."""
    return "\n".join(f"  {key.shown:<{NAMES}}  {_(key.what)}" for key in KEYS)
