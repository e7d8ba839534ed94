"""The line mode's screen: lines one below the other and, where somebody types, a prompt that names the addressee."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import Final

from gmessenger.terminal.input import Cut, Lines, is_typed
from gmessenger.terminal.output import Output
from gmessenger.terminal_text import visible

USUAL_WIDTH: Final = 80
NARROWEST: Final = 20
BROKEN: Final = "   "
BELL: Final = "\a"


class Screen:
    """Keeps the prompt below everything shown. Nothing but carriage returns moves the cursor.

    What is being typed while a line is shown disappears from sight only: the terminal still has it, and shows it again
    on Ctrl-R. `prompting` says whether somebody sees what is asked, and answers.
    """

    def __init__(self, output: Output, *, prompting: bool) -> None:
        self._output = output
        self.prompting = prompting
        self._prompt = ""
        self._prompted = False

    @property
    def width(self) -> int:
        """Columns there are, or would be."""
        try:
            return os.get_terminal_size(1).columns or USUAL_WIDTH
        except OSError:
            return USUAL_WIDTH

    def show(self, text: str, *, ring: bool = False) -> None:
        """One or more lines, above the prompt; on a terminal broken between words. The text has to be safe already.

        `ring` has the terminal call whoever looks elsewhere.
        """
        lines = text.split("\n")
        if self.prompting:
            width = max(self.width - 1, NARROWEST)
            lines = [broken for line in lines for broken in _broken(line, width)]
        bell = BELL if ring and self.prompting else ""
        self._output.write("\n".join([bell + self._wiped() + lines[0], *lines[1:], self._prompt_again()]))

    def finish(self, seconds: float | None = None) -> bool:
        """Wait until everything is on the screen, for as long as that has been stopped; says whether it is."""
        return self._output.finish(seconds)

    def prompt(self, text: str) -> None:
        """Ask for a line; the question stays below everything until it is answered."""
        self._prompt = visible(text)
        wiped = self._wiped()
        self._output.write(f"{wiped}{self._prompt_again()}")

    def typed(self) -> None:
        """A line was typed: the prompt it was typed at is history."""
        self._prompt = ""
        self._prompted = False

    def ask(self, lines: Lines, question: str) -> str | None:
        """The line typed in answer to a question; None at the end of the input."""
        self.prompt(question)
        line = next(lines, None)
        if line is None:
            self.end_row()
        self.typed()
        return "" if isinstance(line, Cut) else line

    def clear(self) -> None:
        """Nothing is asked any more."""
        self._output.write(self._wiped())
        self._prompt = ""

    def end_row(self) -> None:
        """Whoever writes next, another program maybe, does not go on behind a question that nobody answered."""
        if self._prompted:
            self._output.write("\n")
            self._prompted = False

    def _prompt_again(self) -> str:
        self._prompted = self.prompting and bool(self._prompt)
        return self._prompt if self._prompted else ""

    def _wiped(self) -> str:
        """What wipes the line that the cursor is on, with whatever was typed there."""
        wiped = f"\r{' ' * (self.width - 1)}\r" if self._prompted else ""
        self._prompted = False
        return wiped


def _broken(line: str, width: int) -> list[str]:
    """The line broken between words; one with a word that is too long is left to the terminal to break.

    So an address stays in one piece and can be clicked.
    """
    if max(map(len, line.split(" "))) > width - len(BROKEN):
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=BROKEN,
        expand_tabs=False,
        replace_whitespace=False,
        break_on_hyphens=False,
    ) or [""]


def line_screen(output: Output) -> Screen:
    """Prompts only where somebody sees them and answers."""
    return Screen(output, prompting=is_typed() and sys.stdout is not None and os.isatty(1))
