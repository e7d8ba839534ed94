"""The input line: the draft of the current conversation, prompts, and a history on disk."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples, fragment_list_to_text
from prompt_toolkit.history import History
from prompt_toolkit.layout import Layout
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from wcwidth import iter_graphemes

from gmessenger.durability import replace_file
from gmessenger.sanitize import sanitize
from gmessenger.terminal.state_files import NEW_SUFFIX
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.graphemes import grapheme_cells
from gmessenger.terminal.tui.line_escapes import escape_line, unescape_line
from gmessenger.terminal.tui.model import Model

MAX_HISTORY_LINES: Final = 1000
"""Lines of the history. The file may have twice as many before it is rewritten."""
MAX_HISTORY_LINE: Final = 4000
"""Characters of a line that goes into the file; longer ones are remembered until the program ends."""


class InputHistory(History):
    """The input history, in a file with mode 0600.

    If the file cannot be used, it lasts until the program ends.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        """Return the history, newest first."""
        lines = self._lines()
        if len(lines) > 2 * MAX_HISTORY_LINES:
            self._rewrite(lines[-MAX_HISTORY_LINES:])
        return [unescape_line(line) for line in reversed(lines[-MAX_HISTORY_LINES:])]

    def store_string(self, string: str) -> None:
        if len(string) <= MAX_HISTORY_LINE:
            self._append(escape_line(string))

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text("utf-8", errors="replace").split("\n")[:-1]
        except OSError:
            return []

    def _rewrite(self, lines: list[str]) -> None:
        with suppress(OSError):
            replace_file(self._file, _encode_lines(lines), self._file.with_suffix(NEW_SUFFIX), sync=False)

    def _append(self, line: str) -> None:
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(_encode_lines([line]))


def _encode_lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")


class SanitizeProcessor(Processor):
    """Draw the buffer as grapheme cells, sanitized; the text itself stays as it is."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Transform one line. The cursor stands at the beginning of its grapheme. Plain text is not changed."""
        fragments = transformation_input.fragments
        text = fragment_list_to_text(fragments)
        if text.isascii() and text.isprintable():
            return Transformation(fragments)
        shown, starts = _sanitize_fragments(explode_text_fragments(fragments), text)
        return Transformation(
            shown,
            source_to_display=lambda place: starts[min(place, len(starts) - 1)],
            display_to_source=lambda place: max(bisect_right(starts, place) - 1, 0),
        )


def _sanitize_fragments(fragments: StyleAndTextTuples, text: str) -> tuple[StyleAndTextTuples, list[int]]:
    """Return what is drawn, and for each index in the text, its end included, the index in what is drawn."""
    shown: StyleAndTextTuples = []
    starts: list[int] = []
    index = 0
    for grapheme in iter_graphemes(text):
        replacement = "".join(part for part, columns in grapheme_cells(sanitize(grapheme)))
        starts += [index] * len(grapheme)
        shown.append((fragments[len(starts) - 1][0], replacement))
        index += len(replacement)
    return shown, [*starts, index]


PRIVATE_PREFIX: Final = "/register "
"""The beginning of lines that are not saved, because an invite may follow."""


@dataclass(frozen=True, slots=True)
class PendingPrompt:
    """A prompt in place of the input line.

    on_answer: called with the answer, or None if it is cancelled.
    """

    text: str
    is_secret: bool
    on_answer: Callable[[str | None], None]


class InputLine:
    """The input line. on_draft_changed: called whenever the draft of the current conversation changes."""

    def __init__(
        self, model: Model, completer: Completer, history_file: Path, on_draft_changed: Callable[[], None]
    ) -> None:
        self._model, self._on_draft_changed = model, on_draft_changed
        self._conversation: Conversation = model.current
        self._prompts: deque[PendingPrompt] = deque()
        self.buffer = Buffer(
            document=Document(model.current.draft),
            completer=completer,
            complete_while_typing=True,
            history=InputHistory(history_file),
            on_text_changed=lambda _: self._save_draft(),
        )
        self.prompt_buffer = Buffer(multiline=False)

    @property
    def prompt(self) -> PendingPrompt | None:
        """The prompt that is shown now."""
        return self._prompts[0] if self._prompts else None

    def sync_with_conversation(self) -> None:
        """Save the draft of the conversation that was left, and show that of the current one."""
        if self._conversation is not self._model.current:
            self._conversation.draft = self.buffer.text
            self._conversation = self._model.current
        elif self.buffer.text or not self._conversation.draft:  # a draft may have been restored meanwhile
            return
        self.buffer.reset(Document(self._conversation.draft))  # also drops the undo stack of the other draft

    def focus(self, layout: Layout) -> None:
        """Move the focus to the prompt if there is one, otherwise to the input line."""
        target, other = (self.prompt_buffer, self.buffer) if self._prompts else (self.buffer, self.prompt_buffer)
        if layout.buffer_has_focus and layout.current_buffer is other:
            layout.focus(target)

    def set_text(self, text: str) -> None:
        """Replace the text; the old one goes into the history."""
        if self.buffer.text != text:
            self._add_to_history()
        self.buffer.text = text
        self.buffer.cursor_position = len(text)

    def take_text(self) -> str:
        """Return the text, clear the line, and add the text to the history."""
        text = self.buffer.text
        self._add_to_history()
        self.buffer.reset()
        self._save_draft()
        return text

    def ask(self, prompt: PendingPrompt) -> None:
        """Show a prompt after those that are pending."""
        self._prompts.append(prompt)

    def answer_prompt(self, *, cancel: bool = False) -> None:
        """Answer the prompt with what was typed, or cancel it."""
        prompt, text = self._prompts.popleft(), self.prompt_buffer.text
        self.prompt_buffer.reset()
        prompt.on_answer(None if cancel else text)

    def cancel_prompts(self) -> None:
        """Cancel all prompts, when the screen ends."""
        while self._prompts:
            self.answer_prompt(cancel=True)

    def _add_to_history(self) -> None:
        if self.buffer.text.strip() and not self.buffer.text.casefold().startswith(PRIVATE_PREFIX):
            self.buffer.append_to_history()

    def _save_draft(self) -> None:
        if self._conversation.draft != self.buffer.text:
            self._conversation.draft = self.buffer.text
            self._on_draft_changed()
