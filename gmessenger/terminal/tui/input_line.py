"""The history of the input line, which outlives the program: a bounded file that only its owner can read.

Shows what is being written in the same cells as what is said: see `graphemes`. What is written stays as it is.

The input line: what one is writing, which belongs to the conversation that is in sight, and answers to questions.
"""

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
"""Lines that are kept. Twice as many may be in the file before it is written anew."""
MAX_HISTORY_LINE: Final = 4000
"""Characters; what is longer is remembered as long as the program runs."""


class InputHistory(History):
    """What was typed, also in earlier runs. Where the file cannot be read or written, only in this one."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
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
            replace_file(self._file, _encode_lines(lines), self._file.with_suffix(NEW_SUFFIX))

    def _append(self, line: str) -> None:
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(_encode_lines([line]))


def _encode_lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")


class SanitizeProcessor(Processor):
    """For one line of a buffer. The cursor stands where its cluster begins."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Nothing is done to plain text."""
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
    """What is shown, and for each place in the text, its end included, where that is."""
    shown: StyleAndTextTuples = []
    starts: list[int] = []
    place = 0
    for grapheme in iter_graphemes(text):
        instead = "".join(part for part, columns in grapheme_cells(sanitize(grapheme)))
        starts += [place] * len(grapheme)
        shown.append((fragments[len(starts) - 1][0], instead))
        place += len(instead)
    return shown, [*starts, place]


PRIVATE_PREFIX: Final = "/register "
"""The beginning of a line that goes into no file: there may be an invitation behind it."""


@dataclass(frozen=True, slots=True)
class PendingPrompt:
    """Something that is to be answered in place of the input line; `answered` gets None where it is not."""

    text: str
    is_secret: bool
    on_answer: Callable[[str | None], None]


class InputLine:
    """What is typed. `typed` is called whenever the draft of the current conversation has changed."""

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
        """The one that is to be answered now."""
        return self._prompts[0] if self._prompts else None

    def sync_with_conversation(self) -> None:
        """See that what is being written is the draft of the conversation that is in sight now, and no other's."""
        if self._conversation is not self._model.current:
            self._conversation.draft = self.buffer.text
            self._conversation = self._model.current
        elif self.buffer.text or not self._conversation.draft:  # unless an earlier run has left something
            return
        self.buffer.reset(Document(self._conversation.draft))  # with the text, what could be undone is another's

    def focus(self, layout: Layout) -> None:
        """See that what is typed goes to the question, if there is one."""
        wanted, other = (self.prompt_buffer, self.buffer) if self._prompts else (self.buffer, self.prompt_buffer)
        if layout.buffer_has_focus and layout.current_buffer is other:
            layout.focus(wanted)

    def set_text(self, text: str) -> None:
        """Have this written there instead of what is; that can be had back from the history."""
        if self.buffer.text != text:
            self._add_to_history()
        self.buffer.text = text
        self.buffer.cursor_position = len(text)

    def take_text(self) -> str:
        """What was written; there is nothing any more, but it can be had back from the history."""
        text = self.buffer.text
        self._add_to_history()
        self.buffer.reset()
        self._save_draft()
        return text

    def ask(self, prompt: PendingPrompt) -> None:
        """After those that were asked before."""
        self._prompts.append(prompt)

    def answer_prompt(self, *, cancel: bool = False) -> None:
        """The question is answered by what is typed, or not at all."""
        question, text = self._prompts.popleft(), self.prompt_buffer.text
        self.prompt_buffer.reset()
        question.on_answer(None if cancel else text)

    def cancel_prompts(self) -> None:
        """There is nobody any more to answer."""
        while self._prompts:
            self.answer_prompt(cancel=True)

    def _add_to_history(self) -> None:
        if self.buffer.text.strip() and not self.buffer.text.casefold().startswith(PRIVATE_PREFIX):
            self.buffer.append_to_history()

    def _save_draft(self) -> None:
        if self._conversation.draft != self.buffer.text:
            self._conversation.draft = self.buffer.text
            self._on_draft_changed()
