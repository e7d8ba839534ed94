"""The base of the command handlers: run a command's request, and show its result or why it failed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from gmessenger.client import Client
from gmessenger.errors import MessengerError
from gmessenger.names import is_room
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.i18n import N_, _, as_notice

NOT_CONNECTED: Final = N_("the connection is lost; try again when it is back")


def room_name(room: str) -> str:
    """Return the name of a room that may have been typed without its `#`."""
    return room if is_room(room) else f"#{room}"


class HandlerBase(ABC):
    """The common base of all command handlers.

    A request blocks the calling greenlet until the server responds.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    @abstractmethod
    def recipient(self) -> str | None:
        """The user or room that text without a command is sent to."""

    @recipient.setter
    @abstractmethod
    def recipient(self, name: str | None) -> None: ...

    @abstractmethod
    def show(self, text: str) -> None:
        """Show one or more lines of sanitized text."""

    @abstractmethod
    def give_back(self) -> None:
        """Give the user the typed line back, which was not carried out, unless it is still to be seen."""

    def refuse(self, reason: str) -> None:
        """Say why the typed line cannot be carried out, and give it back; `reason` is sanitized."""
        self.show(as_notice(reason))
        self.give_back()

    def _show_result(self, request: Callable[[], str | None]) -> None:
        """Run a request, and show the text it returns, or why it failed."""
        if text := self._call_server(request):
            self.show(text)

    def _with_room(self, request: Callable[[str], str], room: str = "") -> None:
        """Run a request about a room: the one that is named, else the recipient."""
        room = room_name(room) if room else self.recipient or ""
        if is_room(room):
            self._show_result(lambda: request(room))
        else:
            self.refuse(_("which room? give its name, as in /leave #ROOM, or write /join #ROOM first"))

    def _call_server(self, request: Callable[[], str | None]) -> str | None:
        """Return the text of a request's result, or of its error."""
        if not self._client.connected:
            return as_notice(_(NOT_CONNECTED))
        try:
            return request()
        except MessengerError as error:
            return as_notice(format_reason(error))
