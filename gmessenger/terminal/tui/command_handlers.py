"""The command handlers of the full screen; results go to the conversation the command was typed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import gevent

from gmessenger import field_types as fields
from gmessenger.client import Client, SearchHit, SearchResults, fold
from gmessenger.lru_map import LruMap
from gmessenger.room_rules import RuleValue
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_results
from gmessenger.terminal.amendment_handlers import ComposedMessage, MessageTarget, OutgoingFile
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.commands import help_text
from gmessenger.terminal.dialogue import Dialogue, Prompt
from gmessenger.terminal.format_rooms import readable_messages
from gmessenger.terminal.format_rules import special_rules
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.room_handlers import made_notice
from gmessenger.terminal.tui.amendments import quote_of
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.keybindings import NOT_STORED_YET, format_key_help
from gmessenger.terminal.tui.model import Model, find_by_text
from gmessenger.terminal.tui.panes import display_name

HELP_NOTES: Final = N_(
    "Text without a command goes to the conversation shown. //text sends a text that begins with a slash."
)
DEFAULT_REACTION: Final = "👍"
MAX_NAMES_SHOWN: Final = 10
MAX_NAMES: Final = 5000
"""Names for completion; beyond them, the oldest is dropped."""
UNLIMITED_WIDTH: Final = 10_000
"""Columns, more than any screen has: the screen wraps tables itself, and again when its width changes."""


class CommandView(Protocol):
    """The methods of the controller that command handlers call."""

    def send(
        self,
        to: str,
        text: str,
        *,
        about: int | None = None,
        what: fields.What | None = None,
        kind: fields.Kind | None = None,
        file: OutgoingFile | None = None,
    ) -> None:
        """Send a message, and show it as pending; an amendment is shown once the server has it."""

    def give_back(self) -> None:
        """Put the line that was typed last back into the input line, because it could not be carried out."""

    def compose_edit(self) -> None:
        """Put the marked message, or the user's last one, into the input line for editing."""

    def show(self, text: str, conversation: Conversation | None = None) -> None:
        """Show a notice, by default in the current conversation."""

    def show_hits(self, text: str, hits: SearchResults, conversation: Conversation) -> None:
        """Show a listing of search hits as a notice, which follows what is edited or erased later."""

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

    has_numbers = False

    def __init__(
        self, client: Client, model: Model, jobs: JobQueue, view: CommandView, quit_mode: Callable[[], None]
    ) -> None:
        super().__init__(client, model.attention, quit_mode)
        self._model = model
        self._jobs = jobs
        self._view = view
        self.known_names: LruMap[str, str] = LruMap(MAX_NAMES)
        """Names of users and rooms that were seen, by folded name; for completion."""
        self._job_conversation = model.current
        """The conversation in which the command was given that runs in the job queue."""

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

    def send(
        self,
        to: str,
        text: str,
        *,
        about: int | None = None,
        what: fields.What | None = None,
        kind: fields.Kind | None = None,
        file: OutgoingFile | None = None,
    ) -> None:
        self._view.send(to, text, about=about, what=what, kind=kind, file=file)

    def start_upload(self, upload: Callable[[], None]) -> None:
        """Upload beside all else that is typed."""
        gevent.spawn(upload)

    def edit(self, number: int | None, text: str) -> None:
        """Replace the text of an own message; without a text, it is put into the input line."""
        if number is None and not text.strip():
            self._view.compose_edit()
        else:
            super().edit(number, text)

    def find_target(self, number: int | None, *, own: bool = False) -> MessageTarget | None:
        """Return the message that is marked, else if `own` the user's last one."""
        current = self._model.current
        entry = current.marked or (current.last_own_message() if own else None)
        if number is not None:
            self.refuse(_("messages have no numbers here: Alt-m marks one"))
        elif own and current.marked is None and current.is_last_own_waiting:
            self.refuse(_(NOT_STORED_YET))
        elif entry is None:
            self.refuse(_("which message? Alt-m marks one"))
        elif not entry.is_message or entry.seq is None:
            self.refuse(_("the server has no such message, or it was erased"))
        else:
            return MessageTarget(current.name, entry.seq)
        return None

    def give_back(self) -> None:
        self._view.give_back()

    def confirm_erase(self, target: MessageTarget) -> None:
        self.run_dialogue(self._erase_dialogue(target))

    def _erase_dialogue(self, target: MessageTarget) -> Dialogue:
        entry = self._model.open(target.conversation).find_by_seq(target.seq)
        quote = quote_of(entry) if entry is not None else ""
        answer = yield Prompt(_('Erase for all users, yes or no ("{quote}")? ', quote=quote))
        if (answer or "").strip().casefold() in (_("yes"), "yes", "y"):
            self.send(target.conversation, "", about=target.seq, what="erase")
        else:
            self.show(as_notice(_("cancelled; nothing was erased")))

    def react_to_marked(self) -> None:
        """Ask for a reaction to the marked message."""
        if (target := self.find_target(None)) is not None:
            self.run_dialogue(self._reaction_dialogue(target))

    def _reaction_dialogue(self, target: MessageTarget) -> Dialogue:
        answer = yield Prompt(
            _("Your reaction, one character or emoji (Enter alone: {default}): ", default=DEFAULT_REACTION)
        )
        if answer is not None:
            reaction = answer.strip() or DEFAULT_REACTION
            self.send(target.conversation, reaction, about=target.seq, what="react")

    def take_back_rejected(self) -> ComposedMessage | None:
        current = self._model.current
        entry = current.take_back_rejected()
        if entry is None:
            return None
        kind: fields.Kind | None = "action" if entry.kind == "action" else None
        return ComposedMessage(current.name, entry.source_text, entry.about, None, kind, entry.attached)

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
        return help_text(UNLIMITED_WIDTH, _(HELP_NOTES), is_operator=self.is_operator, has_numbers=self.has_numbers)

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
        self._job_conversation = conversation
        if text := self._call_server(request):
            self._view.show(text, conversation)

    def _list_hits(self, hits: SearchResults) -> None:
        listing = super()._list_hits(hits)
        self._view.show_hits(listing or "", hits, self._job_conversation)

    def join_room(self, room: str, rules: Mapping[str, RuleValue] | None = None, key: str | None = None) -> str:
        current = self._model.current
        response = self._client.join(room, rules, key)
        notice = made_notice(room, rules, response.members or (), response.seq or 0)
        conversation = self._model.open(room)
        conversation.set_members(response.members or ())
        conversation.topic = sanitize(response.topic or "")
        self._view.on_joined(conversation)
        conversation.first_readable, conversation.absences = response.first or 1, response.absent or ()
        readable = readable_messages(response.seq, response.first, response.absent or ())
        names = _first_names(response.members or ())
        special = special_rules(response.rules or {})
        joined = format_results.joined(room, names, response.topic or "", special, readable)
        self._view.show(f"{notice}\n{joined}" if notice else joined, conversation)
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
