"""What happened while the line was down, in one sentence when it is back.

Follows the link: what it tells goes into the book, on the screen, and back to the server as far as it was read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger.client import Accepted, ChatEvent, Client, Connected, MessageReceived, Rejected, Synced, fold
from gmessenger.config.options import ClientOptions
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_events
from gmessenger.terminal.bell import BellPolicy
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import N_, _, as_notice, ngettext
from gmessenger.terminal.tui.controller import Controller
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.model import Model


class CatchUpSummary:
    """Counts between a line that has come back and the last of what had waited, here and there."""

    def __init__(self) -> None:
        self._counting = False
        self._caught_up = False
        self._pending = 0
        self._sent = 0
        self._received: dict[str, int] = {}

    def on_event(self, event: ChatEvent, pending_count: int) -> str | None:
        """Take account of an event; returns the sentence once all is told. `unanswered` counts one's own messages."""
        if isinstance(event, Connected):
            self._begin(event.reconnected, pending_count)
        elif self._counting:
            self._count(event)
            if self._caught_up and not self._pending:
                self._counting = False
                return self._format()
        return None

    def _begin(self, reconnected: bool, pending_count: int) -> None:
        self._counting, self._caught_up = reconnected, False
        self._pending, self._sent = pending_count, 0
        self._received.clear()

    def _count(self, event: ChatEvent) -> None:
        if isinstance(event, Synced):
            self._caught_up = True
        elif isinstance(event, MessageReceived) and not self._caught_up:
            delivery = event.delivery
            where = fold(delivery.to if is_room(delivery.to) else delivery.sender)
            self._received[where] = self._received.get(where, 0) + 1
        elif isinstance(event, Accepted | Rejected) and self._pending:
            self._pending -= 1
            self._sent += isinstance(event, Accepted)

    def _format(self) -> str | None:
        said = ngettext("{count} of your messages was sent", "{count} of your messages were sent", self._sent)
        if not self._received:
            return _("caught up: {sent}", sent=said) if self._sent else None
        came = ngettext("{count} message", "{count} messages", sum(self._received.values()))
        where = ngettext("{count} conversation", "{count} conversations", len(self._received))
        if not self._sent:
            return _("caught up: {messages} in {conversations}", messages=came, conversations=where)
        return _("caught up: {messages} in {conversations}; {sent}", messages=came, conversations=where, sent=said)


MAX_NOTIFICATION_TEXT: Final = 120
MAX_NUMBER_KEY: Final = 9
WELCOME_HINT: Final = N_(
    "1 or /msg NAME sends a direct message, /join #ROOM joins a room, 2 or /help lists all commands, /keys all keys, "
    "3 or /quit quits."
)


class EventPump:
    """`failed` is told of an event that could not be dealt with; those behind it are."""

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        model: Model,
        controller: Controller,
        on_error: Callable[[Exception], object],
    ) -> None:
        self._options = options
        self._client = client
        self._model = model
        self._controller = controller
        self._on_error = on_error
        self._catch_up = CatchUpSummary()
        self._bell_policy = BellPolicy()

    def run(self) -> None:
        """Until the link ends. Raises what it ended with."""
        for event in self._client:
            log_client_event(event, self._options)
            try:
                self._handle_event(event)
            except Exception as error:
                self._on_error(error)
            self._client.ack()

    def _handle_event(self, event: ChatEvent) -> None:
        before = len(self._model.conversations)
        rings = self._model.apply(event, time.time())
        if isinstance(event, MessageReceived) and len(self._model.conversations) > before:
            self._announce(self._model.conversations[-1])
        if isinstance(event, Connected):
            if not event.reconnected:
                self._show_welcome()
            self._controller.on_connected(event)
        if isinstance(event, MessageReceived):
            self._controller.handlers.add_names(event.delivery.sender)
        if (sentence := self._catch_up.on_event(event, self._client.pending_count)) is not None:
            self._controller.show(sentence, self._model.current)
        if isinstance(event, Accepted | Rejected):
            self._controller.drafts.schedule_save()
            self._controller.unhide(event.message.to)
        if rings:
            self._ring(event)
        if self._controller.view.at_bottom:
            self._controller.mark_seen()
        self._controller.view.invalidate()

    def _show_welcome(self) -> None:
        controller, home = self._controller, self._model.home
        controller.show(_("You are {name}.", name=sanitize(self._client.name)), home)
        if count := self._client.pending_count:
            controller.show(format_events.format_leftover(count), home)
        controller.show(_(WELCOME_HINT), home)

    def _announce(self, conversation: Conversation) -> None:
        """Somebody who has only just come need not know yet what the numbers at the left are for."""
        home, number = self._model.home, len(self._model.conversations) - 1
        if self._model.current is home and number <= MAX_NUMBER_KEY:
            name = sanitize(conversation.name)
            words = _("{name} writes to you; Alt-{number} goes there, Alt-0 comes back", name=name, number=number)
            self._controller.show(as_notice(words), home)

    def _ring(self, event: ChatEvent) -> None:
        if not self._bell_policy.may_ring():
            return
        said = event.delivery if isinstance(event, MessageReceived) else None
        words = f"{sanitize(said.sender)}: {sanitize(said.message)}"[:MAX_NOTIFICATION_TEXT] if said else ""
        self._controller.view.ring(words)
