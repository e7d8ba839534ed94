"""The line mode's screen: lines one below the other and, where somebody types, a prompt that names the addressee."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import Final

from gmessenger.sanitize import sanitize
from gmessenger.terminal.stdio import OutputWriter, StdinReader, TruncatedLine, is_stdin_tty

DEFAULT_WIDTH: Final = 80
MIN_WIDTH: Final = 20
WRAP_INDENT: Final = "   "
BELL: Final = "\a"


class LineTerminal:
    """Keeps the prompt below everything shown. Nothing but carriage returns moves the cursor.

    What is being typed while a line is shown disappears from sight only: the terminal still has it, and shows it again
    on Ctrl-R. `prompting` says whether somebody sees what is asked, and answers.
    """

    def __init__(self, output: OutputWriter, *, is_interactive: bool) -> None:
        self._output = output
        self.is_interactive = is_interactive
        self._prompt = ""
        self._prompt_visible = False

    @property
    def width(self) -> int:
        """Columns there are, or would be."""
        try:
            return os.get_terminal_size(1).columns or DEFAULT_WIDTH
        except OSError:
            return DEFAULT_WIDTH

    def show(self, text: str, *, ring: bool = False) -> None:
        """One or more lines, above the prompt; on a terminal broken between words. The text has to be safe already.

        `ring` has the terminal call whoever looks elsewhere.
        """
        lines = text.split("\n")
        if self.is_interactive:
            width = max(self.width - 1, MIN_WIDTH)
            lines = [broken for line in lines for broken in _wrap_line(line, width)]
        bell = BELL if ring and self.is_interactive else ""
        self._output.write("\n".join([bell + self._erase_line() + lines[0], *lines[1:], self._redraw_prompt()]))

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until everything is on the screen, for as long as that has been stopped; says whether it is."""
        return self._output.drain(timeout)

    def prompt(self, text: str) -> None:
        """Ask for a line; the question stays below everything until it is answered."""
        self._prompt = sanitize(text)
        wiped = self._erase_line()
        self._output.write(f"{wiped}{self._redraw_prompt()}")

    def on_line_typed(self) -> None:
        """A line was typed: the prompt it was typed at is history."""
        self._prompt = ""
        self._prompt_visible = False

    def ask(self, lines: StdinReader, question: str) -> str | None:
        """The line typed in answer to a question; None at the end of the input."""
        self.prompt(question)
        line = next(lines, None)
        if line is None:
            self.end_row()
        self.on_line_typed()
        return "" if isinstance(line, TruncatedLine) else line

    def clear_prompt(self) -> None:
        """Nothing is asked any more."""
        self._output.write(self._erase_line())
        self._prompt = ""

    def end_row(self) -> None:
        """Whoever writes next, another program maybe, does not go on behind a question that nobody answered."""
        if self._prompt_visible:
            self._output.write("\n")
            self._prompt_visible = False

    def _redraw_prompt(self) -> str:
        self._prompt_visible = self.is_interactive and bool(self._prompt)
        return self._prompt if self._prompt_visible else ""

    def _erase_line(self) -> str:
        """What wipes the line that the cursor is on, with whatever was typed there."""
        wiped = f"\r{' ' * (self.width - 1)}\r" if self._prompt_visible else ""
        self._prompt_visible = False
        return wiped


def _wrap_line(line: str, width: int) -> list[str]:
    """The line broken between words; one with a word that is too long is left to the terminal to break.

    So an address stays in one piece and can be clicked.
    """
    if max(map(len, line.split(" "))) > width - len(WRAP_INDENT):
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=WRAP_INDENT,
        expand_tabs=False,
        replace_whitespace=False,
        break_on_hyphens=False,
    ) or [""]


def make_line_terminal(output: OutputWriter) -> LineTerminal:
    """Prompts only where somebody sees them and answers."""
    return LineTerminal(output, is_interactive=is_stdin_tty() and sys.stdout is not None and os.isatty(1))
