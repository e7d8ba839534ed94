"""The table of key bindings, from which keys are bound and `/keys` is printed. No action may block."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition, has_completions, is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from gmessenger.terminal.i18n import N_, _, ngettext
from gmessenger.terminal.tui.conversation import ComposedAmendment, Conversation, Entry
from gmessenger.terminal.tui.entries import EntryRenderer
from gmessenger.terminal.tui.input_line import InputLine
from gmessenger.terminal.tui.model import Model
from gmessenger.terminal.tui.scrollback import Scrollback

NOT_STORED_YET: Final = N_("your last message is not stored yet: edit it when it is, or mark another one")
MAX_INPUT: Final = 100_000
"""Characters of the input line; no server accepts as many in a message."""


class ControllerActions(Protocol):
    """The methods of the controller that keys call. Nothing here blocks."""

    def submit(self, text: str) -> None:
        """Handle a typed text, which may have several lines."""

    def on_conversation_opened(self, conversation: Conversation) -> None:
        """Note that the user has switched to a conversation."""

    def mark_seen(self) -> None:
        """Mark the current conversation as read: its newest entry is visible again."""

    def load_earlier(self, conversation: Conversation) -> None:
        """Load earlier messages: the first loaded entry is visible."""

    def submit_edit(self, entry: Entry, text: str) -> None:
        """Replace the text of an own message of the current conversation."""

    def erase_marked(self) -> None:
        """Erase the marked message, or the user's last one, after asking."""

    def react_to_marked(self) -> None:
        """Ask for a reaction to the marked message."""

    def take_back_rejected(self) -> str | None:
        """Remove the newest rejected message of the current conversation, and return its text."""

    def names_to_complete(self) -> Sequence[str]:
        """Return names for completion, the most likely first."""

    def rooms_to_complete(self) -> Sequence[str]:
        """Return the known rooms for completion; the list is loaded in the background."""

    def jump_to_next_hit(self) -> None:
        """Go to the next search hit."""

    def on_draft_changed(self) -> None:
        """Note that the draft of the current conversation has changed."""

    def pending_count(self) -> int:
        """Return the number of messages without a response."""

    def interrupt(self) -> None:
        """Handle Ctrl-C on an empty line."""

    def quit(self) -> None:
        """Handle Ctrl-D on an empty line."""


class KeyActions:
    """One method for each key binding: what it does with the screen and the input line."""

    def __init__(
        self,
        model: Model,
        actions: ControllerActions,
        scrollback: Scrollback,
        entry_renderer: EntryRenderer,
        input_line: InputLine,
    ) -> None:
        self._model, self._actions, self._input_line = model, actions, input_line
        self._scrollback, self._entry_renderer = scrollback, entry_renderer

    def enter(self) -> None:
        """Send the text, or answer the prompt with it."""
        if self._input_line.prompt is not None:
            return self._input_line.answer_prompt()
        text = self._input_line.take_text()
        if not text.strip():
            return None
        composed = self._model.current.composed
        if composed is not None and composed.is_edit:
            self._end_composing()
            return self._actions.submit_edit(composed.entry, text)
        self._to_bottom()
        return self._actions.submit(text)

    def insert_newline(self) -> None:
        """Begin a new line of the text; a prompt has only one."""
        if self._input_line.prompt is None:
            self._input_line.buffer.insert_text("\n")

    def paste(self, text: str) -> None:
        """Insert pasted text without its last line ends; refuse it if the line would exceed MAX_INPUT."""
        buffer, text = self._input_line.buffer, text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        if self._input_line.prompt is not None:  # has one line: a copied password often ends with a newline
            buffer, text = self._input_line.prompt_buffer, text.strip("\n").replace("\n", " ")
        if len(buffer.text) + len(text) <= MAX_INPUT:
            return buffer.insert_text(text)
        notice = ngettext(
            "Not pasted: that is {count} character.", "Not pasted: that is {count} characters.", len(text)
        )
        return self._model.add_notice(notice, time.time(), self._model.current)

    def complete(self, offset: int) -> None:
        """Select the next or previous completion; offer completions if there are none, or after the only one."""
        buffer, state = self._input_line.buffer, self._input_line.buffer.complete_state
        if state is not None and state.current_completion is not None and len(state.completions) == 1:
            buffer.complete_state = state = None  # there is no other: complete what follows, as in a folder
        if state is None:
            buffer.start_completion(select_first=offset > 0, select_last=offset < 0)
        elif offset > 0:
            buffer.complete_next()
        else:
            buffer.complete_previous()

    def switch_to(self, conversation: Conversation) -> None:
        """Show another conversation, with its draft in the input line."""
        self._model.switch_to(conversation)
        self._input_line.sync_with_conversation()
        self._scrollback.drop_closed()
        self._actions.on_conversation_opened(conversation)

    def switch_by(self, offset: int) -> None:
        """Show the conversation `offset` places further down the list, or up."""
        self.switch_to(self._model.neighbour(offset))

    def switch_to_number(self, number: int) -> None:
        if number < len(self._model.conversations):
            self.switch_to(self._model.conversations[number])

    def next_unread(self) -> None:
        """Show the next conversation with mentions, else the next one with unread messages."""
        if (conversation := self._model.next_unread()) is not None:
            self.switch_to(conversation)

    def page(self, pages: int) -> None:
        self._on_scrolled(self._scrollback.scroll_pages(pages))

    def scroll(self, rows: int) -> None:
        self._on_scrolled(self._scrollback.scroll(rows))

    def to_top(self) -> None:
        self._scrollback.to_top()
        self._on_scrolled(at_top=True)

    def to_marker(self) -> None:
        """Scroll to the first unread entry."""
        self._scrollback.to_marker()
        self._on_scrolled(at_top=False)

    def to_bottom(self) -> None:
        self._to_bottom()

    def jump_to_next_hit(self) -> None:
        self._actions.jump_to_next_hit()

    def mark(self, offset: int) -> None:
        """Mark the message above the marked one, or below it; above all, the newest one. Below that, none is."""
        current = self._model.current
        current.mark(current.neighbour_message(offset))
        if current.marked is not None:
            self._scrollback.reveal(current.marked)

    def reply(self) -> None:
        """Make the text in the input line a reply to the marked message, or the newest of another user."""
        current = self._model.current
        entry = current.marked or current.last_message_of_others()
        if entry is None or not entry.is_message:
            return self._show(_("there is no message to reply to"))
        self._end_composing()
        current.composed = ComposedAmendment(entry, is_edit=False)
        return self._mark_composed(entry)

    def edit(self) -> None:
        """Put a message into the input line for editing: one that was refused, the marked one, or the user's last."""
        current = self._model.current
        if current.marked is None and (text := self._actions.take_back_rejected()) is not None:
            return self._input_line.set_text(text)
        if current.marked is None and current.is_last_own_waiting:
            return self._show(_(NOT_STORED_YET))
        entry = current.marked or current.last_own_message()
        if entry is None or not (entry.is_own and entry.is_message):
            return self._show(_("only messages of yours can be edited"))
        self._end_composing()
        current.composed = ComposedAmendment(entry, is_edit=True, saved_draft=self._input_line.buffer.text)
        self._input_line.set_text(entry.source_text)
        return self._mark_composed(entry)

    def erase(self) -> None:
        self._actions.erase_marked()

    def react(self) -> None:
        self._actions.react_to_marked()

    @property
    def is_prompting(self) -> bool:
        """Whether a prompt is shown in place of the input line."""
        return self._input_line.prompt is not None

    @property
    def can_cancel(self) -> bool:
        """Whether there is something that Escape cancels: a prompt, a reply or edit, or a mark."""
        current = self._model.current
        return self.is_prompting or current.composed is not None or current.marked is not None

    def cancel(self) -> None:
        """Cancel the prompt, or the reply or edit, or the mark."""
        if self._input_line.prompt is not None:
            self._input_line.answer_prompt(cancel=True)
        else:
            self._end_composing()
            self._model.current.mark(None)

    @property
    def up_edits(self) -> bool:
        """Whether Up edits the user's last message: the line is empty, and there is one."""
        current = self._model.current
        is_free = not (self.is_prompting or self._input_line.buffer.text or current.marked)
        return is_free and current.composed is None and current.last_own_message() is not None

    @property
    def up_ends_edit(self) -> bool:
        """Whether Up goes on to the input history: the line has the text of the message, as Up has brought it."""
        composed = self._model.current.composed
        if composed is None or not composed.is_edit or self.is_prompting:
            return False
        buffer = self._input_line.buffer
        return buffer.text == composed.entry.source_text and buffer.document.cursor_position_row == 0

    def up(self) -> None:
        """Edit the user's last message; again, go on to the input history."""
        if self.up_edits:
            return self.edit()
        self.cancel()
        return self._input_line.buffer.history_backward()

    def _mark_composed(self, entry: Entry) -> None:
        self._model.current.mark(entry)
        self._scrollback.reveal(entry)

    def _end_composing(self) -> None:
        """End the reply or the edit; after an edit, the line has the draft again that was there before."""
        current = self._model.current
        composed, current.composed = current.composed, None
        if composed is not None and composed.is_edit:
            self._input_line.set_text(composed.saved_draft)

    def _show(self, text: str) -> None:
        self._model.add_notice(text, time.time(), self._model.current)

    def toggle_text_only(self) -> None:
        """Show only the text, or everything again."""
        self._entry_renderer.text_only = not self._entry_renderer.text_only

    def redraw(self) -> None:
        get_app().renderer.clear()

    def suspend(self) -> None:
        get_app().suspend_to_background()

    def interrupt(self) -> None:
        """Cancel the prompt or clear the line; if it is empty, quit."""
        if self.can_cancel:
            self.cancel()
        elif self._input_line.buffer.text:
            self._input_line.take_text()
        else:
            self._actions.interrupt()

    def quit_or_delete(self) -> None:
        """Quit; if the line has text, delete a character, as Ctrl-D does in a shell."""
        if self._input_line.prompt is not None:
            self._input_line.answer_prompt(cancel=True)
        elif self._input_line.buffer.text:
            self._input_line.buffer.delete()
        else:
            self._actions.quit()

    def _on_scrolled(self, at_top: bool) -> None:
        current = self._model.current
        if at_top and not current.is_complete and not current.is_loading:
            self._actions.load_earlier(current)
        if self._scrollback.at_bottom:
            self._actions.mark_seen()

    def _to_bottom(self) -> None:
        if not self._scrollback.at_bottom:
            self._scrollback.to_bottom()
            self._actions.mark_seen()


ALT: Final = "escape"
KEY_COLUMN_WIDTH: Final = 18
"""Columns for the labels in the table of keys."""


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """One row of the table of keys.

    label: the keys, as `/keys` shows them.
    sequences: the keys, as prompt_toolkit names them; none if prompt_toolkit itself binds them.
    handler: called with the last key of the sequence.
    """

    label: str
    description: str
    sequences: tuple[tuple[str, ...], ...] = ()
    handler: Callable[[KeyActions, str], None] | None = None


KEY_BINDINGS: Final = (
    KeyBinding("Enter", N_("send"), (("enter",),), lambda actions, key: actions.enter()),
    KeyBinding(
        "Alt-Enter, Ctrl-J",
        N_("begin a new line"),
        ((ALT, "enter"), ("c-j",)),
        lambda actions, key: actions.insert_newline(),
    ),
    KeyBinding(
        "Tab", N_("complete a command, a name, a room or a path"), (("tab",),), lambda actions, key: actions.complete(1)
    ),
    KeyBinding("Shift-Tab", N_("previous completion"), (("s-tab",),), lambda actions, key: actions.complete(-1)),
    KeyBinding("Up", N_("on an empty line: your last message; again: history")),
    KeyBinding("Up, Down", N_("input history, from the first or last line")),
    KeyBinding("Ctrl-R", N_("search the input history")),
    KeyBinding("Ctrl-A, Ctrl-E …", N_("edit as in a shell (also Ctrl-W, -U, -K, -Y, -_)")),
    KeyBinding(
        "Alt-Up, Ctrl-P",
        N_("previous conversation"),
        ((ALT, "up"), ("c-p",)),
        lambda actions, key: actions.switch_by(-1),
    ),
    KeyBinding(
        "Alt-Down, Ctrl-N",
        N_("next conversation"),
        ((ALT, "down"), ("c-n",)),
        lambda actions, key: actions.switch_by(1),
    ),
    KeyBinding(
        "Alt-0 … Alt-9",
        N_("the conversation with this number"),
        tuple((ALT, str(digit)) for digit in range(10)),
        lambda actions, digit: actions.switch_to_number(int(digit)),
    ),
    KeyBinding(
        "Alt-a",
        N_("next conversation with new messages, mentions first"),
        ((ALT, "a"),),
        lambda actions, key: actions.next_unread(),
    ),
    KeyBinding("Alt-u", N_("first new message here"), ((ALT, "u"),), lambda actions, key: actions.to_marker()),
    KeyBinding(
        "Alt-j",
        N_("next search result, starting with the newest"),
        ((ALT, "j"),),
        lambda actions, key: actions.jump_to_next_hit(),
    ),
    KeyBinding(
        "PgUp", N_("a page up; at the top, earlier messages"), (("pageup",),), lambda actions, key: actions.page(-1)
    ),
    KeyBinding("PgDn", N_("a page down"), (("pagedown",),), lambda actions, key: actions.page(1)),
    KeyBinding("Ctrl-Up", N_("a row up"), (("c-up",),), lambda actions, key: actions.scroll(-1)),
    KeyBinding("Ctrl-Down", N_("a row down"), (("c-down",),), lambda actions, key: actions.scroll(1)),
    KeyBinding(
        "Ctrl-Home",
        N_("first message loaded"),
        (("c-home",), (ALT, "home")),
        lambda actions, key: actions.to_top(),
    ),
    KeyBinding("Ctrl-End", N_("newest message"), (("c-end",), (ALT, "end")), lambda actions, key: actions.to_bottom()),
    KeyBinding(
        "Alt-m, Alt-M",
        N_("mark the newest message, then the one above; below"),
        ((ALT, "m"), (ALT, "M")),
        lambda actions, key: actions.mark(-1 if key == "m" else 1),
    ),
    KeyBinding(
        "Alt-r",
        N_("reply to the marked message, or to the newest"),
        ((ALT, "r"),),
        lambda actions, key: actions.reply(),
    ),
    KeyBinding(
        "Alt-e",
        N_("edit the refused or marked message, or your last one"),
        ((ALT, "e"),),
        lambda actions, key: actions.edit(),
    ),
    KeyBinding(
        "Alt-x", N_("erase the marked message, or your last one"), ((ALT, "x"),), lambda actions, key: actions.erase()
    ),
    KeyBinding("Alt-+", N_("react to the marked message"), ((ALT, "+"),), lambda actions, key: actions.react()),
    KeyBinding("Esc", N_("cancel a question, a reply or an edit; end the mark")),
    KeyBinding(
        "Alt-l",
        N_("text only, for copying; again: the full screen"),
        ((ALT, "l"),),
        lambda actions, key: actions.toggle_text_only(),
    ),
    KeyBinding("Ctrl-L", N_("redraw the screen"), (("c-l",),), lambda actions, key: actions.redraw()),
    KeyBinding(
        "Ctrl-Z", N_("suspend; `fg` in the shell comes back"), (("c-z",),), lambda actions, key: actions.suspend()
    ),
    KeyBinding(
        "Ctrl-C",
        N_("clear the line; on an empty line, twice: quit"),
        (("c-c",),),
        lambda actions, key: actions.interrupt(),
    ),
    KeyBinding(
        "Ctrl-D", N_("quit, when the line is empty"), (("c-d",),), lambda actions, key: actions.quit_or_delete()
    ),
)
"""All keys that do more than insert text."""


def make_key_bindings(actions: KeyActions) -> KeyBindings:
    """Return the key bindings for prompt_toolkit. Escape cancels a prompt, a reply, an edit or a mark.

    While the history is searched, prompt_toolkit's own bindings apply.
    """
    bindings = KeyBindings()
    for binding in KEY_BINDINGS:
        for sequence in binding.sequences:
            bindings.add(*sequence, filter=~is_searching)(_make_handler(actions, binding))
    bindings.add(ALT, filter=Condition(lambda: actions.can_cancel))(lambda event: actions.cancel())
    is_up_bound = Condition(lambda: actions.up_edits or actions.up_ends_edit)
    bindings.add("up", filter=~is_searching & ~has_completions & is_up_bound)(lambda event: actions.up())
    bindings.add("<bracketed-paste>", filter=~is_searching)(lambda event: actions.paste(event.data))
    return bindings


def _make_handler(actions: KeyActions, binding: KeyBinding) -> Callable[[KeyPressEvent], None]:
    handler = binding.handler
    assert handler is not None, f"{binding.label} is bound to nothing"

    def handle(event: KeyPressEvent) -> None:
        handler(actions, str(getattr(event.key_sequence[-1].key, "value", event.key_sequence[-1].key)))

    return handle


def format_key_help() -> str:
    """Return the table of keys for `/keys`."""
    return "\n".join(f"  {binding.label:<{KEY_COLUMN_WIDTH}}  {_(binding.description)}" for binding in KEY_BINDINGS)
