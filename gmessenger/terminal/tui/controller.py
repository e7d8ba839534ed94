"""The actions of keys and typed lines. Only `on_connected` blocks.

Requests and disk writes are jobs in other greenlets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from gevent.queue import Full

from gmessenger import field_types as fields
from gmessenger.client import Client, Connected, SearchHit, SearchResults, fold
from gmessenger.errors import BadText, ExitError
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_events
from gmessenger.terminal.amendment_handlers import OutgoingFile
from gmessenger.terminal.commands import CommandError, ParsedCommand, no_recipient_hint, parse_line
from gmessenger.terminal.handler_base import NOT_CONNECTED
from gmessenger.terminal.i18n import _, as_notice
from gmessenger.terminal.tui.command_handlers import TuiCommandHandlers
from gmessenger.terminal.tui.conversation import ComposedAmendment, Conversation, Entry, MessageState
from gmessenger.terminal.tui.drafts import Drafts, SavedState
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.loader import Loader, ReadMarkerSync
from gmessenger.terminal.tui.model import Model

CONFIRM_TIMEOUT: Final = 3.0
"""Seconds in which a second Ctrl-C quits."""
MAX_ENTRIES_SEARCHED: Final = 200
"""The newest entries of a conversation, among which messages may be pending."""


class View(Protocol):
    """The screen, as the controller needs it; all methods may be called from any greenlet."""

    @property
    def at_bottom(self) -> bool: ...

    def run(self) -> None: ...

    def stop(self) -> None: ...

    def resume(self) -> None: ...

    def invalidate(self) -> None: ...

    def ring(self, text: str = "") -> None: ...

    def switch_to(self, conversation: Conversation) -> None: ...

    def show_entry(self, conversation: Conversation, entry: Entry) -> None: ...

    def give_back(self, text: str) -> None: ...

    def compose_edit(self) -> None: ...

    def ask(self, question: str, *, is_secret: bool, on_answer: Callable[[str | None], None]) -> None: ...


class ExitHandler(Protocol):
    """The end of the full-screen mode."""

    @property
    def is_leaving(self) -> bool:
        """Whether the mode is being left, and only waits for responses."""

    def quit(self) -> None: ...

    def interrupt(self) -> None: ...


@dataclass(frozen=True, slots=True)
class JobQueues:
    """Independent queues, so that no job waits for a slow one of another kind.

    sends: messages.
    commands: requests of typed commands.
    fetches: what is loaded in the background.
    """

    sends: JobQueue
    commands: JobQueue
    fetches: JobQueue


class Controller:
    """The actions of keys and commands.

    Called from the greenlets of the screen, the event pump and the job queues.
    """

    view: View
    drafts: Drafts

    def __init__(
        self,
        client: Client,
        model: Model,
        job_queues: JobQueues,
        on_error: Callable[[Exception], object],
        exit_handler: ExitHandler,
    ) -> None:
        self._client = client
        self._model = model
        self._sends, self._fetches = job_queues.sends, job_queues.fetches
        self._exit_handler = exit_handler
        self._warned_at = float("-inf")
        self._typed = ""
        self.handlers = TuiCommandHandlers(client, model, job_queues.commands, self, exit_handler.quit)
        self.read_markers = ReadMarkerSync(client, on_error)
        self.loader = Loader(client, model, job_queues.fetches, self.read_markers, self._on_loaded)
        self.hidden: dict[str, int] = {}

    def bind(self, view: View, drafts: Drafts) -> None:
        """Set the view and the drafts, which need the controller themselves.

        Call it once, before anything else.
        """
        self.view, self.drafts = view, drafts

    def submit(self, text: str) -> None:
        """Run a typed line: send it to the current conversation, or run it as a command."""
        self._typed = text
        self._run_line(text)
        self._typed = ""

    def _run_line(self, text: str) -> None:
        parsed = parse_line(text, is_operator=self.handlers.is_operator, has_numbers=self.handlers.has_numbers)
        if isinstance(parsed, ParsedCommand):
            parsed.run(self.handlers)
        elif isinstance(parsed, CommandError):
            self.handlers.refuse(sanitize(parsed.message))
        elif self._model.current is self._model.home:
            self.handlers.refuse(sanitize(no_recipient_hint(parsed.text)))
        else:
            self._send_composed(parsed.text)

    def submit_edit(self, entry: Entry, text: str) -> None:
        """Replace the text of an entry of the current conversation."""
        self.send(self._model.current.name, text, about=entry.seq, what="edit")

    def erase_marked(self) -> None:
        self.handlers.erase(None, "")

    def react_to_marked(self) -> None:
        self.handlers.react_to_marked()

    def give_back(self) -> None:
        if self._typed:  # else a key was pressed
            self.view.give_back(self._typed)

    def compose_edit(self) -> None:
        self.view.compose_edit()

    def on_conversation_opened(self, conversation: Conversation) -> None:
        """Load what the conversation lacks, and mark it as read."""
        self.loader.load_conversation(conversation)
        self.read_markers.mark_seen(conversation)

    def mark_seen(self) -> None:
        """Mark the current conversation as read."""
        self._model.current.mark_read()
        self.read_markers.mark_seen(self._model.current)

    def load_earlier(self, conversation: Conversation) -> None:
        self.loader.load_earlier(conversation)

    def take_back_rejected(self) -> str | None:
        """Remove the newest rejected message of the current conversation, and return its text.

        One with a file stays, and the command is returned that sends it again: a text has no file.
        """
        entry = self._model.current.last_rejected()
        if entry is not None and entry.attached is not None:
            return f"/again {entry.source_text}"
        rejected = self.handlers.take_back_rejected()
        if rejected is None:
            return None
        current = self._model.current
        if rejected.about is not None and (entry := current.find_by_seq(rejected.about)) is not None:
            current.composed = ComposedAmendment(entry, is_edit=False)
        return f"/me {rejected.text}" if rejected.kind == "action" else rejected.text

    def names_to_complete(self) -> Sequence[str]:
        """Return the room's members, then the conversations, then other names that were seen."""
        current = self._model.current
        conversations = {conversation.key: conversation.name for conversation in self._model if conversation.name}
        return list((current.members | conversations | dict(self.handlers.known_names.items())).values())

    def rooms_to_complete(self) -> Sequence[str]:
        """Return the known rooms, and load the list in the background."""
        self.loader.load_rooms()
        return self.loader.rooms

    def on_draft_changed(self) -> None:
        self.drafts.schedule_save()

    def pending_count(self) -> int:
        return self._client.pending_count

    def interrupt(self) -> None:
        """Quit at the second Ctrl-C within CONFIRM_TIMEOUT seconds; the first shows a hint."""
        now = time.monotonic()
        if self._exit_handler.is_leaving or now - self._warned_at < CONFIRM_TIMEOUT:
            self._exit_handler.interrupt()
        else:
            self._warned_at = now
            self.show(as_notice(_("press Ctrl-C again to quit")))

    def quit(self) -> None:
        self._exit_handler.quit()

    def _send_composed(self, text: str) -> None:
        """Send a text to the current conversation, as the reply that it was composed as."""
        current = self._model.current
        composed, current.composed = current.composed, None
        current.mark(None)
        self.send(current.name, text, about=composed.entry.seq if composed is not None else None)

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
        """Add a message as pending, and send it in a job; an amendment is applied when the server has accepted it."""
        if what is not None:
            return self._send_amendment(to, text, about, what)
        entry = self._model.add_outgoing(to, text, time.time(), about, kind, file)
        self.unhide(to)
        self.drafts.schedule_save()
        if not self._sends.put(partial(self._run_send, entry, to, text, about, kind)):
            entry.set_state(MessageState.REJECTED, format_events.send_queue_full(self._client.pending_count))
        return self.view.invalidate()

    def _send_amendment(self, to: str, text: str, about: int | None, what: fields.What) -> None:
        conversation = self._model.open(to)
        conversation.mark(None)
        if not self._client.connected:
            self.show(as_notice(_("the connection is lost; this is sent when it is back")), conversation)
        if not self._sends.put(partial(self._run_amendment, conversation, text, about, what)):
            self._on_not_amended(conversation, text, format_events.send_queue_full(self._client.pending_count))
        self.view.invalidate()

    def _run_amendment(self, conversation: Conversation, text: str, about: int | None, what: fields.What) -> None:
        try:
            self._client.send(conversation.name, text, about=about, what=what)
        except Full:
            self._on_not_amended(conversation, text, format_events.send_queue_full(self._client.pending_count))
        except (BadText, ExitError) as error:
            self._on_not_amended(conversation, text, format_events.format_reason(error))

    def _on_not_amended(self, conversation: Conversation, text: str, reason: str) -> None:
        self.show(format_events.format_not_sent(conversation.name, text, reason), conversation)

    def show(self, text: str, conversation: Conversation | None = None) -> None:
        """Show a notice; in the current conversation if `conversation` is None or closed by now."""
        self._model.add_notice(text, time.time(), self._open_or_current(conversation))
        self.view.invalidate()

    def show_hits(self, text: str, hits: SearchResults, conversation: Conversation) -> None:
        """Show a listing of search hits as a notice, which follows what is edited or erased later."""
        self._model.add_notice(text, time.time(), self._open_or_current(conversation), hits)
        self.view.invalidate()

    def _open_or_current(self, conversation: Conversation | None) -> Conversation | None:
        return self._model.current if conversation not in self._model.conversations else conversation

    def switch_to(self, conversation: Conversation) -> None:
        """Switch to a conversation, in the model at once and on the screen soon."""
        self._model.switch_to(conversation)  # before the next key, which may have been typed already
        self.view.switch_to(conversation)

    def jump_to_next_hit(self) -> None:
        self.handlers.jump(None)

    def jump_to(self, conversation: Conversation, hit: SearchHit) -> None:
        """Switch to a search hit; if it is too far back to load, show the messages around it as a notice."""
        seq = hit.delivery.seq or 0

        def on_loaded(entry: Entry | None) -> None:
            if entry is not None:
                self.view.show_entry(conversation, entry)
            else:
                self.handlers.show_around(hit)

        self.switch_to(conversation)
        if not self.loader.load_back_to(conversation, seq, on_loaded):
            self.show(as_notice(_(NOT_CONNECTED)))

    def hide(self, conversation: Conversation) -> None:
        """Hide a conversation until its next message."""
        if conversation is self._model.home:
            return self.show(as_notice(_("this conversation cannot be hidden")))
        if (seq := max(conversation.last_seq, conversation.head_seq)) or conversation.is_room:
            self.hidden[conversation.key] = seq
        self._model.close(conversation)
        self.loader.on_hidden(conversation)
        self.switch_to(self._model.current)
        return self.drafts.schedule_save()

    def clear(self, conversation: Conversation) -> None:
        """Show a conversation from its next entry on, until one scrolls up."""
        conversation.clear()
        self.view.invalidate()

    def unhide(self, name: str) -> None:
        """Show a conversation again that the user writes to or joins, also after a restart or a crash."""
        if self.hidden.pop(fold(name), None) is not None:
            self._fetches.put(self.drafts.save)

    def ask(self, question: str, *, is_secret: bool, on_answer: Callable[[str | None], None]) -> None:
        self.view.ask(question, is_secret=is_secret, on_answer=on_answer)

    def on_joined(self, room: Conversation) -> None:
        self.unhide(room.name)
        self.loader.on_joined(room)

    def on_connected(self, event: Connected) -> None:
        """Load what only the server has. Blocks while the block list is loaded; call it in the event pump."""
        if event.seqs_reset:
            self.hidden.clear()
            self.read_markers.reset()
        self.loader.on_connected(self.hidden)
        self.handlers.on_connected(event)

    def restore(self, state: SavedState) -> None:
        """Restore drafts, open and hidden conversations of an earlier run."""
        self.hidden = dict(state.hidden)
        for name, draft in state.shown.items():
            self._model.open(name).draft = draft

    def saved_state(self) -> SavedState:
        """Return what the next run restores."""
        saved = (
            conversation
            for conversation in self._model
            if (conversation.name or conversation.draft) and not conversation.is_failed_attempt
        )
        shown = {conversation.name: self._draft_to_save(conversation) for conversation in saved}
        return SavedState(shown, {key: seq for key, seq in self.hidden.items() if self._model.find(key) is None})

    def _draft_to_save(self, conversation: Conversation) -> str:
        """Return the draft; for a guest, with the messages before it that have no response.

        While a message is edited, that is what was in the line before: the next run would send the text as a new one.
        Nothing else keeps those over a crash: only accounts have a journal of unsent messages.
        """
        entries = conversation.entries[-MAX_ENTRIES_SEARCHED:] if not self._client.is_account else []
        pending = [entry.source_text for entry in entries if entry.state is MessageState.WAITING]
        composed = conversation.composed
        draft = composed.saved_draft if composed is not None and composed.is_edit else conversation.draft
        return "\n".join([*pending, draft] if draft else pending)

    def _run_send(self, entry: Entry, to: str, text: str, about: int | None, kind: fields.Kind | None) -> None:
        file = entry.attached.id if entry.attached is not None else None
        try:
            entry.message = self._client.send(to, text, about=about, kind=kind, file=file)
        except Full:
            entry.set_state(MessageState.REJECTED, format_events.send_queue_full(self._client.pending_count))
        except (BadText, ExitError) as error:
            entry.set_state(MessageState.REJECTED, format_events.format_reason(error))
        self.view.invalidate()

    def _on_loaded(self) -> None:
        if self.view.at_bottom:
            self.mark_seen()
        self.view.invalidate()
