"""What keys and typed lines bring about. Nothing here waits: the network and the disk are other greenlets' work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from gevent.queue import Full

from gmessenger.client import Client, Connected, SearchHit, fold
from gmessenger.errors import BadText, ExitError
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_events
from gmessenger.terminal.commands import CommandError, ParsedCommand, no_recipient_hint, parse_line
from gmessenger.terminal.handler_base import NOT_CONNECTED
from gmessenger.terminal.i18n import _, as_notice
from gmessenger.terminal.tui.command_handlers import TuiCommandHandlers
from gmessenger.terminal.tui.conversation import Conversation, Entry, MessageState
from gmessenger.terminal.tui.drafts import Drafts, SavedState
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.loader import Loader, ReadMarkerSync
from gmessenger.terminal.tui.model import Model

CONFIRM_TIMEOUT: Final = 3.0
"""Seconds in which a second Ctrl-C means what the first one was asked about."""
MAX_ENTRIES_SEARCHED: Final = 200
"""Entries among which there can be such that wait."""


class View(Protocol):
    """The screen, as far as it is needed for this; everything may be called from any greenlet."""

    @property
    def at_bottom(self) -> bool: ...

    def run(self) -> None: ...

    def stop(self) -> None: ...

    def resume(self) -> None: ...

    def invalidate(self) -> None: ...

    def ring(self, text: str = "") -> None: ...

    def switch_to(self, conversation: Conversation) -> None: ...

    def show_entry(self, conversation: Conversation, entry: Entry) -> None: ...

    def ask(self, question: str, *, is_secret: bool, on_answer: Callable[[str | None], None]) -> None: ...


class ExitHandler(Protocol):
    """How the mode is left."""

    @property
    def is_leaving(self) -> bool:
        """Whether it is being left, and only answers are waited for."""

    def quit(self) -> None: ...

    def interrupt(self) -> None: ...


@dataclass(frozen=True, slots=True)
class JobQueues:
    """None of them waits for what takes longer: what one says, commands, and what is fetched without being asked."""

    sends: JobQueue
    commands: JobQueue
    fetches: JobQueue


class Controller:
    """The `ControllerActions` of the screen, and what its commands need. `view` is set as soon as there is one."""

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
        self.handlers = TuiCommandHandlers(client, model, job_queues.commands, self, exit_handler.quit)
        self.read_markers = ReadMarkerSync(client, on_error)
        self.loader = Loader(client, model, job_queues.fetches, self.read_markers, self._on_loaded)
        self.hidden: dict[str, int] = {}

    def bind(self, view: View, drafts: Drafts) -> None:
        """Set what is itself made with the controller. Call it once, before anything else."""
        self.view, self.drafts = view, drafts

    def submit(self, text: str) -> None:
        meaning = parse_line(text, is_operator=self.handlers.is_operator)
        if isinstance(meaning, ParsedCommand):
            meaning.run(self.handlers)
        elif isinstance(meaning, CommandError):
            self.show(as_notice(sanitize(meaning.message)))
        elif self._model.current is self._model.home:
            self.show(as_notice(sanitize(no_recipient_hint(meaning.text))))
        else:
            self.send(self._model.current.name, meaning.text)

    def on_conversation_opened(self, conversation: Conversation) -> None:
        self.loader.load_conversation(conversation)
        self.read_markers.mark_seen(conversation)

    def mark_seen(self) -> None:
        self._model.current.mark_read()
        self.read_markers.mark_seen(self._model.current)

    def load_earlier(self, conversation: Conversation) -> None:
        self.loader.load_earlier(conversation)

    def take_back_rejected(self) -> str | None:
        refused = self.handlers.take_back_rejected()
        return refused[1] if refused is not None else None

    def names_to_complete(self) -> Sequence[str]:
        """Who is in this room, then with whom and where one talks, then who was heard of."""
        here = self._model.current
        others = {each.key: each.name for each in self._model if each.name}
        return list((here.members | others | dict(self.handlers.known_names.items())).values())

    def rooms_to_complete(self) -> Sequence[str]:
        self.loader.load_rooms()
        return self.loader.rooms

    def on_draft_changed(self) -> None:
        self.drafts.schedule_save()

    def pending_count(self) -> int:
        return self._client.pending_count

    def interrupt(self) -> None:
        """A line that was empty already is no reason to be thrown out."""
        now = time.monotonic()
        if self._exit_handler.is_leaving or now - self._warned_at < CONFIRM_TIMEOUT:
            self._exit_handler.interrupt()
        else:
            self._warned_at = now
            self.show(as_notice(_("press Ctrl-C again to quit")))

    def quit(self) -> None:
        self._exit_handler.quit()

    def send(self, to: str, text: str) -> None:
        entry = self._model.add_outgoing(to, text, time.time())
        self.unhide(to)
        self.drafts.schedule_save()
        if not self._sends.put(partial(self._run_send, entry, to, text)):
            entry.set_state(MessageState.REJECTED, format_events.send_queue_full(self._client.pending_count))
        self.view.invalidate()

    def show(self, text: str, conversation: Conversation | None = None) -> None:
        gone = conversation not in self._model.conversations
        self._model.add_notice(text, time.time(), self._model.current if gone else conversation)
        self.view.invalidate()

    def switch_to(self, conversation: Conversation) -> None:
        self._model.switch_to(conversation)  # at once: the next key may be in the same breath
        self.view.switch_to(conversation)

    def jump_to_next_hit(self) -> None:
        self.handlers.jump(None)

    def jump_to(self, conversation: Conversation, hit: SearchHit) -> None:
        """Open the conversation at the hit; where it is too far back, show the messages around it as a notice."""
        seq = hit.delivery.seq or 0

        def reached(entry: Entry | None) -> None:
            if entry is not None:
                self.view.show_entry(conversation, entry)
            else:
                self.handlers.show_around(hit)

        self.switch_to(conversation)
        if not self.loader.load_back_to(conversation, seq, reached):
            self.show(as_notice(_(NOT_CONNECTED)))

    def hide(self, conversation: Conversation) -> None:
        if conversation is self._model.home:
            return self.show(as_notice(_("this conversation cannot be hidden")))
        if (seq := max(conversation.last_seq, conversation.head_seq)) or conversation.is_room:
            self.hidden[conversation.key] = seq
        self._model.close(conversation)
        self.loader.on_hidden(conversation)
        self.switch_to(self._model.current)
        return self.drafts.schedule_save()

    def unhide(self, name: str) -> None:
        """Whoever writes there or enters it wants to see it, also after the next start, however this one ends."""
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
        """Put back what an earlier run left."""
        self.hidden = dict(state.hidden)
        for name, draft in state.shown.items():
            self._model.open(name).draft = draft

    def saved_state(self) -> SavedState:
        """What is to be put back by the next run."""
        wanted = (each for each in self._model if (each.name or each.draft) and not each.is_failed_attempt)
        shown = {each.name: self._draft_to_save(each) for each in wanted}
        return SavedState(shown, {key: seq for key, seq in self.hidden.items() if self._model.find(key) is None})

    def _draft_to_save(self, conversation: Conversation) -> str:
        """The draft. Before it what a guest has said and nobody has answered: nothing else keeps that over a crash."""
        newest = conversation.entries[-MAX_ENTRIES_SEARCHED:] if not self._client.is_account else []
        waiting = [entry.source_text for entry in newest if entry.state is MessageState.WAITING]
        return "\n".join([*waiting, conversation.draft] if conversation.draft else waiting)

    def _run_send(self, entry: Entry, to: str, text: str) -> None:
        try:
            entry.message = self._client.send(to, text)
        except Full:
            entry.set_state(MessageState.REJECTED, format_events.send_queue_full(self._client.pending_count))
        except (BadText, ExitError) as error:
            entry.set_state(MessageState.REJECTED, format_events.format_reason(error))
        self.view.invalidate()

    def _on_loaded(self) -> None:
        if self.view.at_bottom:
            self.mark_seen()
        self.view.invalidate()
