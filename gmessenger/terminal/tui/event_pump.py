"""The event pump: apply the client's events to the model, and summarise what a reconnect brought."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger.client import (
    Accepted,
    BotMessageReceived,
    ChatEvent,
    Client,
    Connected,
    MessageReceived,
    Rejected,
    Synced,
    fold,
)
from gmessenger.config.options import ClientOptions
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_events
from gmessenger.terminal.bell import BellPolicy
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import N_, _, as_notice, ngettext
from gmessenger.terminal.text_codes import strip_codes
from gmessenger.terminal.tui.controller import Controller
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.model import Model


class CatchUpSummary:
    """Count messages after a reconnect, and return one notice in place of one for each of them."""

    def __init__(self) -> None:
        self._counting = False
        self._caught_up = False
        self._pending = 0
        self._sent = 0
        self._received: dict[str, int] = {}

    def on_event(self, event: ChatEvent, pending_count: int) -> str | None:
        """Count an event; return the notice when everything has arrived.

        pending_count: own messages without a response.
        """
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
        elif isinstance(event, MessageReceived | BotMessageReceived) and not self._caught_up:
            key = fold(event.conversation)
            self._received[key] = self._received.get(key, 0) + 1
        elif isinstance(event, Accepted | Rejected) and self._pending:
            self._pending -= 1
            self._sent += isinstance(event, Accepted)

    def _format(self) -> str | None:
        sent = ngettext("{count} of your messages was sent", "{count} of your messages were sent", self._sent)
        if not self._received:
            return _("caught up: {sent}", sent=sent) if self._sent else None
        messages = ngettext("{count} message", "{count} messages", sum(self._received.values()))
        conversations = ngettext("{count} conversation", "{count} conversations", len(self._received))
        if not self._sent:
            return _("caught up: {messages} in {conversations}", messages=messages, conversations=conversations)
        return _(
            "caught up: {messages} in {conversations}; {sent}",
            messages=messages,
            conversations=conversations,
            sent=sent,
        )


MAX_NOTIFICATION_TEXT: Final = 120
"""Characters of a message in a desktop notification."""
MAX_NUMBER_KEY: Final = 9
"""The highest number that Alt with a digit reaches."""
WELCOME_HINT: Final = N_(
    "1 or /msg NAME sends a direct message, /join #ROOM joins a room, 2 or /help lists all commands, /keys all keys, "
    "3 or /quit quits."
)


class EventPump:
    """Apply events in a greenlet of its own.

    An error while one is handled goes to `on_error`, and the next one follows.
    """

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
        """Handle events until the client ends. Raises the error that it ends with."""
        for event in self._client:
            log_client_event(event, self._options)
            try:
                self._handle_event(event)
            except Exception as error:
                self._on_error(error)
            self._client.ack()

    def _handle_event(self, event: ChatEvent) -> None:
        old_count = len(self._model.conversations)
        is_worth_bell = self._model.apply(event, time.time())
        if isinstance(event, MessageReceived | BotMessageReceived) and len(self._model.conversations) > old_count:
            self._announce(self._model.conversations[-1])
        if isinstance(event, Connected):
            if not event.reconnected:
                self._show_welcome()
            self._controller.on_connected(event)
        if isinstance(event, MessageReceived | BotMessageReceived):
            if event.delivery.about:
                self._controller.loader.load_quotes(self._model.find(event.conversation))
            self._controller.handlers.add_names(event.delivery.sender)
        if (sentence := self._catch_up.on_event(event, self._client.pending_count)) is not None:
            self._controller.show(sentence, self._model.current)
        if isinstance(event, Accepted | Rejected):
            self._controller.drafts.schedule_save()
            self._controller.unhide(event.message.to)
        if is_worth_bell:
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
        """Show a new user how to reach the conversation of a first message, as long as `home` is current."""
        home, number = self._model.home, len(self._model.conversations) - 1
        if self._model.current is home and number <= MAX_NUMBER_KEY:
            name = sanitize(conversation.name)
            text = _("{name} writes to you; Alt-{number} goes there, Alt-0 comes back", name=name, number=number)
            self._controller.show(as_notice(text), home)

    def _ring(self, event: ChatEvent) -> None:
        if not self._bell_policy.may_ring():
            return
        delivery = event.delivery if isinstance(event, MessageReceived) else None
        text = (
            f"{sanitize(delivery.sender)}: {sanitize(strip_codes(delivery.message))}"[:MAX_NOTIFICATION_TEXT]
            if delivery
            else ""
        )
        self._controller.view.ring(text)
