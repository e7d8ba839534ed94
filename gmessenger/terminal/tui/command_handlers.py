"""The command handlers of the full screen; results go to the conversation the command was typed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from gmessenger.client import Client, SearchHit, fold
from gmessenger.lru_map import LruMap
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_results
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.commands import help_text
from gmessenger.terminal.dialogue import Dialogue
from gmessenger.terminal.format_rooms import readable_messages
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.keybindings import format_key_help
from gmessenger.terminal.tui.model import Model, find_by_text
from gmessenger.terminal.tui.panes import display_name

HELP_NOTES: Final = N_(
    "Text without a command goes to the conversation shown. //text sends a text that begins with a slash."
)
MAX_NAMES_SHOWN: Final = 10
MAX_NAMES: Final = 5000
"""Names for completion; beyond them, the oldest is dropped."""
UNLIMITED_WIDTH: Final = 10_000
"""Columns, more than any screen has: the screen wraps tables itself, and again when its width changes."""


class CommandView(Protocol):
    """The methods of the controller that command handlers call."""

    def send(self, to: str, text: str) -> None:
        """Send a message, and show it as pending."""

    def show(self, text: str, conversation: Conversation | None = None) -> None:
        """Show a notice, by default in the current conversation."""

    def switch_to(self, conversation: Conversation) -> None:
        """Switch to a conversation."""

    def jump_to(self, conversation: Conversation, hit: SearchHit) -> None:
        """Switch to a search hit, which may have to be loaded."""

    def hide(self, conversation: Conversation) -> None:
        """Hide a conversation until its next message."""

    def clear(self, conversation: Conversation) -> None:
        """Show a conversation from its next entry on, until one scrolls up."""

    def ask(self, question: str, *, is_secret: bool, on_answer: Callable[[str | None], None]) -> None:
        """Show a prompt in place of the input line."""

    def on_joined(self, room: Conversation) -> None:
        """Note that the user has joined a room."""


class TuiCommandHandlers(CommandHandlers):
    """Command handlers that never block: requests run in a job queue, one after the other."""

    def __init__(
        self, client: Client, model: Model, jobs: JobQueue, view: CommandView, quit_mode: Callable[[], None]
    ) -> None:
        super().__init__(client, model.attention, quit_mode)
        self._model = model
        self._jobs = jobs
        self._view = view
        self.known_names: LruMap[str, str] = LruMap(MAX_NAMES)
        """Names of users and rooms that were seen, by folded name; for completion."""

    @property
    def recipient(self) -> str | None:
        return self._model.current.name or None

    @recipient.setter
    def recipient(self, name: str | None) -> None:
        if name is not None:
            self._view.switch_to(self._model.open(name))

    @property
    def can_prompt(self) -> bool:
        return True

    def show(self, text: str) -> None:
        self._view.show(text)

    def run_dialogue(self, dialogue: Dialogue, answer: str | None = None) -> None:
        """Show the next prompt at once, before another key is handled.

        Otherwise a password that was typed ahead might be sent as a message.
        """
        with suppress(StopIteration):
            prompt = dialogue.send(answer)
            self._view.ask(prompt.text, is_secret=prompt.is_secret, on_answer=partial(self.run_dialogue, dialogue))

    def send(self, to: str, text: str) -> None:
        self._view.send(to, text)

    def take_back_rejected(self) -> tuple[str, str] | None:
        current = self._model.current
        entry = current.take_back_rejected()
        return (current.name, entry.source_text) if entry is not None else None

    def history(self, count: int) -> None:
        """Say where history is: the screen loads it by itself."""
        self.show(as_notice(_("earlier messages are above: PgUp scrolls to them")))

    def on_own_status(self, status: str, note: str) -> None:
        self._model.set_presence(self._model.own_name, status, note)

    def go(self, target: str) -> None:
        if not target:
            names = [(number, display_name(conversation)) for number, conversation in enumerate(self._model)]
            return self.show(format_results.conversations(names, display_name(self._model.current)))
        if (match := find_by_text(self._model, target)) is not None:
            self._view.switch_to(match)
        else:
            text = _("there is no conversation {name}; /msg NAME or /join #ROOM starts one", name=sanitize(target))
            self.show(as_notice(text))
        return None

    def jump_to(self, hit: SearchHit) -> None:
        self._view.jump_to(self._model.open(hit.conversation), hit)

    def hide(self) -> None:
        self._view.hide(self._model.current)

    def clear(self) -> None:
        self._view.clear(self._model.current)

    def keys(self) -> None:
        self.show(format_key_help())

    def help_text(self) -> str:
        return help_text(UNLIMITED_WIDTH, _(HELP_NOTES), is_operator=self.is_operator)

    def add_names(self, *names: str) -> None:
        """Remember names for completion."""
        for name in names:
            key, shown = fold(name), sanitize(name)
            if self.known_names.peek(key) != shown:  # else it keeps its place among the completions
                self.known_names[key] = shown

    def load_blocks(self) -> None:
        """Load the block list; blocks the calling greenlet.

        The events behind may be messages of blocked users in rooms, so the event pump must wait.
        """
        if text := self._call_server(self._load_blocks):
            self._view.show(text)

    def _show_result(self, request: Callable[[], str | None]) -> None:
        current = self._model.current
        if not self._jobs.put(lambda: self._run_job(request, current)):
            self.show(as_notice(_("too many commands are already waiting for an answer")))

    def _run_job(self, request: Callable[[], str | None], conversation: Conversation) -> None:
        if text := self._call_server(request):
            self._view.show(text, conversation)

    def _join(self, room: str) -> str:
        current = self._model.current
        response = self._client.join(room)
        conversation = self._model.open(room)
        conversation.set_members(response.members or ())
        conversation.topic = sanitize(response.topic or "")
        self._view.on_joined(conversation)
        conversation.first_readable, conversation.absences = response.first or 1, response.absent or ()
        readable = readable_messages(response.seq, response.first, response.absent or ())
        names = _first_names(response.members or ())
        self._view.show(format_results.joined(room, names, response.topic or "", readable), conversation)
        if self._model.current is current:  # the user may have switched meanwhile
            self._view.switch_to(conversation)
        return ""

    def _set_topic(self, room: str, topic: str) -> str:
        text = super()._set_topic(room, topic)
        self._model.open(room).topic = sanitize(topic)
        return text


def _first_names(names: Sequence[str]) -> Sequence[str]:
    """Return the first names; the list of members has all of them."""
    return names if len(names) <= MAX_NAMES_SHOWN else [*names[:MAX_NAMES_SHOWN], "…"]
