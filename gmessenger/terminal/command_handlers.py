"""Command handlers: carry out a parsed command in any mode through the client, and show its result."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from gmessenger.client import Client, HistoryMessage, SearchHit, SearchResults, fold
from gmessenger.constants import AWAY, ONLINE
from gmessenger.log import traced
from gmessenger.names import is_room
from gmessenger.room_rules import RuleValue
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_accounts, format_results
from gmessenger.terminal.amendment_handlers import ComposedMessage
from gmessenger.terminal.attention import Attention
from gmessenger.terminal.attention_handlers import AttentionHandlers
from gmessenger.terminal.dialogue import Dialogue, Prompt
from gmessenger.terminal.file_handlers import FileHandlers
from gmessenger.terminal.format_events import format_reason, format_topic
from gmessenger.terminal.format_messages import format_message
from gmessenger.terminal.format_rooms import hidden_messages, readable_messages
from gmessenger.terminal.format_rules import special_rules
from gmessenger.terminal.handler_base import room_name
from gmessenger.terminal.hook_handlers import HookHandlers
from gmessenger.terminal.i18n import _, as_notice, ngettext
from gmessenger.terminal.room_handlers import RoomHandlers, made_notice

CONTEXT_MESSAGES: Final = 5
"""Messages shown before and after a search hit."""


class SearchCursor:
    """The hits of a search, numbered as they are shown: from 1, the oldest."""

    def __init__(self, newest_first: Sequence[SearchHit]) -> None:
        self.hits = list(reversed(newest_first))
        self._selected = len(self.hits) + 1

    def select(self, number: int | None) -> SearchHit | None:
        """Return the hit with this number, or None if there is none.

        Without a number, return the hit before the last selected one, beginning with the newest and again after the
        oldest.
        """
        wanted = self._selected - 1 if number is None else number
        if number is None and wanted < 1:
            wanted = len(self.hits)
        if not 1 <= wanted <= len(self.hits):
            return None
        self._selected = wanted
        return self.hits[wanted - 1]


@contextmanager
def _create_file(path: Path) -> Iterator[IO[bytes]]:
    """Create a file with mode 0600, and remove it if the block raises.

    Raises FileExistsError if it exists.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class CommandHandlers(AttentionHandlers, FileHandlers, RoomHandlers, HookHandlers):
    """The handlers that are the same in every mode; one method for each command."""

    def __init__(self, client: Client, attention: Attention, quit_mode: Callable[[], None]) -> None:
        """quit_mode: leaves the mode, which ends the program."""
        super().__init__(client, attention)
        self._quit_mode = quit_mode
        self.search_cursor = SearchCursor([])

    @abstractmethod
    def go(self, target: str) -> None:
        """Switch to the conversation with this number or name; list all of them if `target` is empty."""

    @abstractmethod
    def hide(self) -> None:
        """Hide the current conversation until its next message."""

    @abstractmethod
    def clear(self) -> None:
        """Clear the screen; what was on it is kept."""

    @abstractmethod
    def keys(self) -> None:
        """Show the table of keys."""

    @abstractmethod
    def help_text(self) -> str:
        """Return the table of commands, fitted to this mode."""

    @traced("to")
    def message(self, to: str, text: str) -> None:
        """Set the recipient, and send it the text if there is one."""
        self.recipient = to
        if text:
            self.send(to, text)

    @abstractmethod
    def take_back_rejected(self) -> ComposedMessage | None:
        """Return the newest rejected message, and forget it; None if there is none."""

    def again(self, text: str) -> None:
        """Send the newest rejected message again, or `text` instead of it."""
        if (rejected := self.take_back_rejected()) is None:
            self.show(as_notice(_("no message was refused")))
        else:
            self.send(
                rejected.to,
                text or rejected.text,
                about=rejected.about,
                what=rejected.what,
                kind=rejected.kind,
                file=rejected.file,
            )

    def prompt_for_message(self) -> None:
        """Ask for a recipient and a text, and send it."""
        self.run_dialogue(self._message_dialogue())

    def _message_dialogue(self) -> Dialogue:
        to = ((yield Prompt(_("To whom? "))) or "").strip()
        text = (yield Prompt(_("Text for {name}: ", name=to))) if to else ""
        if text:
            self.message(to, text)
        else:
            self.show(as_notice(_("nothing sent")))

    @traced()
    def users(self) -> None:
        """List the users who are online."""
        self._show_result(lambda: format_results.users(self._client.users(), self._client.name))

    @traced("name")
    def whois(self, name: str) -> None:
        """Show what is known of a user."""
        self._show_result(lambda: format_accounts.whois(self._client.whois(name)))

    @traced()
    def profile(self, name: str, key: str, value: str) -> None:
        """Show the profile of a user or a room, the own one without a name; set a key first, or remove it."""
        name = name or self._client.name
        self._show_result(lambda: self._profile(name, {key: value or None} if key else {}))

    def _profile(self, name: str, changes: dict[str, str | None]) -> str:
        profile = self._client.change_profile(name, changes) if changes else self._client.profile(name)
        return format_accounts.profile(name, profile)

    @traced()
    def status(self, status: str) -> None:
        """Set the user's status; show it if `status` is empty."""
        self._show_result(lambda: self._set_status(status) if status else self._own_status())

    def _set_status(self, status: str, note: str = "") -> str:
        status = ONLINE if status.casefold() == ONLINE else status
        self._client.set_status(status, note)
        self.on_own_status(status, note)
        return format_results.status(status, note)

    def _own_status(self) -> str:
        own = [user for user in self._client.users() if fold(user.account_name) == fold(self._client.name)]
        status, note = (own[0].status or ONLINE, own[0].note or "") if own else (ONLINE, "")
        self.on_own_status(status, note)
        return format_results.own_status(status, note)

    def on_own_status(self, status: str, note: str) -> None:
        """Take note of the user's status; modes that show it override this."""

    @traced()
    def away(self, note: str) -> None:
        """Set the status to `away`, with a note on it if there is one."""
        self._show_result(lambda: self._set_status(AWAY, note))

    @traced()
    def back(self) -> None:
        """Clear the status, and the note on it."""
        self._show_result(lambda: self._set_status(ONLINE))

    @traced()
    def join(self, arguments: str) -> None:
        """Join a room, with its key if it has one, and make it the recipient."""
        room, _sep, key = arguments.partition(" ")
        self._show_result(lambda: self.join_room(room_name(room), key=key.strip() or None))

    def join_room(self, room: str, rules: Mapping[str, RuleValue] | None = None, key: str | None = None) -> str:
        response = self._client.join(room, rules, key)
        self.recipient = room
        notice = made_notice(room, rules, response.members or (), response.seq or 0)
        readable = readable_messages(response.seq, response.first, response.absent or ())
        names, special = response.members or (), special_rules(response.rules or {})
        joined = format_results.joined(room, names, response.topic or "", special, readable)
        return f"{notice}\n{joined}" if notice else joined

    @traced("room")
    def leave_room(self, room: str) -> None:
        """Leave a room, by default the recipient."""
        self._with_room(self._leave_room, room)

    def _leave_room(self, room: str) -> str:
        self._client.leave(room)
        if fold(room) == fold(self.recipient or ""):
            self.recipient = None
        return as_notice(_("you have left {room}", room=sanitize(room)))

    @traced()
    def rooms(self) -> None:
        """List the rooms."""
        self._show_result(lambda: format_results.rooms(self._client.rooms()))

    @traced("room")
    def members(self, room: str) -> None:
        """List the members of a room, by default of the recipient."""
        self._with_room(lambda name: format_results.members(name, self._client.members(name), self._client.name), room)

    @traced()
    def topic(self, topic: str) -> None:
        """Set the topic of the room that is the recipient; show it if `topic` is empty."""
        self._with_room(lambda room: self._set_topic(room, topic) if topic else self._topic(room))

    def _set_topic(self, room: str, topic: str) -> str:
        self._client.set_topic(room, topic)
        return format_topic(room, topic)

    def _topic(self, room: str) -> str:
        topics = (info.topic for info in self._client.rooms() if fold(info.name) == fold(room))
        return format_topic(room, next(topics, ""))

    @traced("count")
    def history(self, count: int) -> None:
        """Show the latest messages of the conversation with the recipient."""
        to = self.recipient
        if to is None:
            return self.refuse(_("which conversation? write /msg NAME or /join #ROOM first"))
        return self._show_result(lambda: self._history(to, count))

    def _history(self, to: str, count: int) -> str:
        messages = self._client.history(to, count)
        shown = [message for message in messages if not is_room(to) or not self.is_from_blocked(message)]
        is_complete = len(messages) < count
        hidden = messages.first_seq - 1 if is_complete else 0
        note = hidden_messages(to, hidden, is_pruned=self._is_pruned) if hidden else ""
        return format_results.history(to, shown, messages.absences, note, self.format_history_message)

    def format_history_message(self, message: HistoryMessage) -> str:
        """Format a message of the history; modes with numbers add its number."""
        return format_message(message)

    @traced()
    def search(self, words: str) -> None:
        """Search for messages; in one conversation if the first word is `#room` or `@name`."""
        first, _, rest = words.partition(" ")
        is_narrowed = first[:1] in ("#", "@") and len(first) > 1 and rest.strip()
        text, conversation = (rest.strip(), first.removeprefix("@")) if is_narrowed else (words, None)
        self._show_result(lambda: self._search(text, conversation))

    def _search(self, words: str, conversation: str | None) -> str | None:
        return self._list_hits(self._client.search(words, conversation))

    def _list_hits(self, hits: SearchResults) -> str | None:
        """Number hits for `/jump`; return their listing, None where it is shown already."""
        self.search_cursor = SearchCursor(hits)
        return format_results.search(hits, self._client.name)

    @traced()
    def mentions(self) -> None:
        """List the newest mentions in all conversations, with numbers for `/jump`."""
        self._show_result(self._mentions)

    def _mentions(self) -> str | None:
        return self._list_hits(self.find_mentions())

    @traced("number")
    def jump(self, number: int | None) -> None:
        """Go to a search hit by its number; without a number, to the next one."""
        if not self.search_cursor.hits:
            self.show(as_notice(_("there are no search results yet; /search WORDS searches for messages")))
        elif (hit := self.search_cursor.select(number)) is None:
            last = len(self.search_cursor.hits)
            self.show(as_notice(_("there is no such search result; they are numbered 1 to {last}", last=last)))
        else:
            self.jump_to(hit)

    def jump_to(self, hit: SearchHit) -> None:
        """Switch to the conversation of a hit, and show the messages around it."""
        self.show_around(hit)

    def show_around(self, hit: SearchHit) -> None:
        """Show the messages around a hit as lines, and make its conversation the recipient."""
        self._show_result(lambda: self._search_context(hit))

    def _search_context(self, hit: SearchHit) -> str:
        seq = hit.delivery.seq or 0
        messages = self._client.history(hit.conversation, 2 * CONTEXT_MESSAGES + 1, seq + CONTEXT_MESSAGES + 1)
        self.recipient = hit.conversation
        shown = [message for message in messages if abs((message.seq or 0) - seq) <= CONTEXT_MESSAGES]
        return format_results.search_context(
            hit,
            [message for message in shown if not is_room(hit.conversation) or not self.is_from_blocked(message)],
        )

    @traced("file")
    def export(self, file: str) -> None:
        """Write all messages of the user to a new file, one JSON object on each line."""
        path = Path(file or f"{self._client.name}-messages.jsonl")
        with suppress(RuntimeError):  # no such home directory: `~` is an ordinary character
            path = path.expanduser()
        self._show_result(lambda: self._export(path))

    def _export(self, file: Path) -> str:
        shown = sanitize(str(file))
        try:
            with _create_file(file) as lines:
                count = sum(lines.write(line) > 0 for line in self._client.export())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return as_notice(_("cannot write {file}: {reason}", file=shown, reason=format_reason(reason)))
        return as_notice(
            ngettext(
                "{count} message is in {file}, as a line of JSON",
                "{count} messages are in {file}, each as a line of JSON",
                count,
                file=shown,
            )
        )

    def help(self) -> None:
        """Show the table of commands."""
        self.show(self.help_text())

    def quit(self) -> None:
        """Leave the mode, which ends the program."""
        self._quit_mode()
