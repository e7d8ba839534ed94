"""The terminal of line mode: output lines, and below them a prompt that names the recipient."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import Final

from gmessenger.sanitize import sanitize
from gmessenger.terminal.stdio import OutputWriter, StdinReader, TruncatedLine, is_stdin_tty

DEFAULT_WIDTH: Final = 80
DEFAULT_HEIGHT: Final = 24
MIN_TEXT_WIDTH: Final = 20
"""Columns in which text can still be read: none is wrapped narrower."""
WRAP_INDENT: Final = "   "
BELL: Final = "\a"


class LineTerminal:
    """Keep the prompt below all output. The only cursor movement is the carriage return.

    A line that is being typed when output arrives vanishes from the screen, but the terminal still has it and shows it
    again on Ctrl-R. is_interactive: a person sees the prompt and can answer.
    """

    def __init__(self, output: OutputWriter, *, is_interactive: bool) -> None:
        self._output = output
        self.is_interactive = is_interactive
        self._prompt = ""
        self._prompt_visible = False

    @property
    def width(self) -> int:
        """Columns of the terminal; DEFAULT_WIDTH if stdout is none."""
        try:
            return os.get_terminal_size(1).columns or DEFAULT_WIDTH
        except OSError:
            return DEFAULT_WIDTH

    @property
    def _height(self) -> int:
        try:
            return os.get_terminal_size(1).lines or DEFAULT_HEIGHT
        except OSError:
            return DEFAULT_HEIGHT

    def show(self, text: str, *, ring: bool = False) -> None:
        """Show one or more lines of sanitized text above the prompt, wrapped between words on a terminal.

        ring: ring the bell first. Waits if the output queue is full.
        """
        lines = text.split("\n")
        if self.is_interactive:
            width = max(self.width - 1, MIN_TEXT_WIDTH)
            lines = [row for line in lines for row in _wrap_line(line, width)]
        bell = BELL if ring and self.is_interactive else ""
        self._output.write("\n".join([bell + self._erase_line() + lines[0], *lines[1:], self._redraw_prompt()]))

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until all output is written, for at most `timeout` seconds. Return whether it was."""
        return self._output.drain(timeout)

    def prompt(self, text: str) -> None:
        """Show a prompt; it stays below all output until a line is typed."""
        self._prompt = sanitize(text)
        erase = self._erase_line()
        self._output.write(f"{erase}{self._redraw_prompt()}")

    def on_line_typed(self) -> None:
        """Note that the terminal echoed a typed line: the prompt before it is no longer the last line."""
        self._prompt = ""
        self._prompt_visible = False

    def ask(self, lines: StdinReader, question: str) -> str | None:
        """Show a prompt, and return the line that is typed. Blocks.

        Returns None at the end of the input, and "" if the line was too long.
        """
        self.prompt(question)
        line = next(lines, None)
        if line is None:
            self.end_row()
        self.on_line_typed()
        return "" if isinstance(line, TruncatedLine) else line

    def clear_prompt(self) -> None:
        """Erase the prompt."""
        self._output.write(self._erase_line())
        self._prompt = ""

    def clear(self) -> None:
        """Scroll what is on the screen of a terminal out of sight, by blank lines."""
        if self.is_interactive:
            self._output.write(f"{self._erase_line()}{chr(10) * self._height}{self._redraw_prompt()}")

    def end_row(self) -> None:
        """Begin a new row if a prompt is shown, so that the next output does not stand behind it."""
        if self._prompt_visible:
            self._output.write("\n")
            self._prompt_visible = False

    def _redraw_prompt(self) -> str:
        self._prompt_visible = self.is_interactive and bool(self._prompt)
        return self._prompt if self._prompt_visible else ""

    def _erase_line(self) -> str:
        """Return what erases the row of the prompt, with what was typed there."""
        erase = f"\r{' ' * (self.width - 1)}\r" if self._prompt_visible else ""
        self._prompt_visible = False
        return erase


def _wrap_line(line: str, width: int) -> list[str]:
    """Wrap a line between words.

    A line with a word that is too long is left to the terminal, so that a link stays in one piece.
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
    """Return a line terminal that shows prompts if stdin and stdout are a terminal."""
    return LineTerminal(output, is_interactive=is_stdin_tty() and sys.stdout is not None and os.isatty(1))
