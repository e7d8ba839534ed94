"""Completion in the input line: commands with their descriptions, rooms, names and paths."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from gmessenger.client import fold
from gmessenger.names import ROOM_PREFIX
from gmessenger.sanitize import sanitize
from gmessenger.terminal.chat_command import ChatCommand
from gmessenger.terminal.commands import COMMANDS, COMMANDS_BY_NAME
from gmessenger.terminal.i18n import _
from gmessenger.terminal.tui.keybindings import ControllerActions
from gmessenger.terminal.tui.model import USER_PREFIX, Model, find_by_prefix
from gmessenger.terminal.tui.path_completion import PathCompleter

LAST_WORD: Final = re.compile(r"[^\s]*$")
CONVERSATION_ARGUMENT: Final = "N|NAME"
"""The name of an argument that is one of the conversations."""
PATH_ARGUMENT: Final = "PATH"
"""The name of an argument that is a path, and all of the line behind the command."""
MAX_COMPLETIONS: Final = 50
"""Completions that are offered at once; with more, the user types on."""


class ChatCompleter(Completer):
    """Complete commands at the beginning of a line, their arguments, and names and rooms in a text.

    In a text, names are completed on request or behind `@`, and rooms behind `#`.
    """

    def __init__(self, model: Model, actions: ControllerActions) -> None:
        self._model, self._actions = model, actions
        self._path_completer = PathCompleter()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Yield the completions for the text before the cursor; those of a path on request, as they take a moment."""
        path = _typed_path(document.text_before_cursor)
        if path is None:
            completions = self.get_completions(document, complete_event)
        else:
            completions = await self._path_completer.complete(path) if complete_event.completion_requested else ()
        for completion in completions:
            yield completion

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Return the completions for the text before the cursor, at most MAX_COMPLETIONS."""
        completions = self._completions(document.text_before_cursor, requested=complete_event.completion_requested)
        return [*islice(completions, MAX_COMPLETIONS)]

    def _completions(self, text: str, *, requested: bool) -> Iterator[Completion]:
        match = LAST_WORD.search(text)
        word = match.group() if match is not None else ""
        prefix = text[: len(text) - len(word)]
        if text.startswith("/") and not text.startswith("//"):
            return self._complete_command(word) if not prefix else self._complete_argument(prefix, word)
        if word.startswith(ROOM_PREFIX):
            return self._complete_room(word)
        if requested or word.startswith(USER_PREFIX):
            return self._complete_user(word, self._format_mention if not prefix else _with_space)
        return iter(())

    def _complete_command(self, word: str) -> Iterator[Completion]:
        for command in COMMANDS:
            if command.operators_only and not self._model.is_operator:
                continue
            name = next((name for name in command.names if name.startswith(word.casefold())), None)
            if name is not None:
                text = f"{name} " if command.arguments else name
                yield Completion(
                    text, -len(word), display=command.usage_for(has_numbers=False), display_meta=_(command.description)
                )

    def _complete_argument(self, prefix: str, word: str) -> Iterator[Completion]:
        name, *typed = prefix.split()
        command = COMMANDS_BY_NAME.get(name.casefold())
        argument = _argument_name(command, len(typed)) if command is not None else ""
        if argument == CONVERSATION_ARGUMENT:
            for conversation in find_by_prefix(self._model, word):
                yield Completion(_with_space(conversation.name), -len(word), display=sanitize(conversation.name))
        elif ROOM_PREFIX in argument or (word.startswith(ROOM_PREFIX) and "NAME" in argument):
            yield from self._complete_room(word)
        elif "NAME" in argument:
            yield from self._complete_user(word, _with_space)

    def _complete_room(self, word: str) -> Iterator[Completion]:
        known = [conversation.name for conversation in self._model if conversation.is_room]
        for room in {fold(room): room for room in (*known, *self._actions.rooms_to_complete())}.values():
            if fold(room).startswith(fold(word)) or fold(room).startswith(fold(ROOM_PREFIX + word)):
                yield Completion(f"{room} ", -len(word), display=sanitize(room))

    def _complete_user(self, word: str, format_name: Callable[[str], str]) -> Iterator[Completion]:
        prefix = fold(word.removeprefix(USER_PREFIX))
        for name in self._actions.names_to_complete():
            if fold(name).startswith(prefix):
                yield Completion(format_name(name), -len(word), display=sanitize(name))

    def _format_mention(self, name: str) -> str:
        """Return a name at the beginning of a line; in a room, a colon says whom the message is for."""
        return f"{name}: " if self._model.current.is_room else _with_space(name)


def _typed_path(text: str) -> str | None:
    """Return what was typed of the path that is the argument of a command; None if there is none."""
    name, space, argument = text.partition(" ")
    command = COMMANDS_BY_NAME.get(name.casefold()) if space else None
    return argument if command is not None and command.arguments == PATH_ARGUMENT else None


def _with_space(name: str) -> str:
    return f"{name} "


def _argument_name(command: ChatCommand, index: int) -> str:
    """Return the name of the argument at this index; "" if there is none."""
    names = command.arguments.replace("[", "").replace("]", "").split()
    return names[index] if index < len(names) else ""
