"""Output of the full screen to terminals whose encoding is not UTF-8."""

from __future__ import annotations

import codecs
import sys
from typing import Final, TextIO

from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.utils import get_bell_environment_variable, get_term_environment_variable

from gmessenger.sanitize import is_encodable
from gmessenger.terminal.tui.graphemes import grapheme_cells

REPLACEMENT: Final = "?"


class ReplacingOutput(Vt100_Output):
    """Output that keeps the columns of characters which the terminal's encoding lacks.

    prompt_toolkit writes one `?` for each character, whatever its columns; then the rest of the row is misplaced.
    """

    def write(self, data: str) -> None:
        """Write text with `?` for each column of what cannot be encoded."""
        super().write(encodable_text(data, self.encoding()))


def make_output(stdout: TextIO | None = None) -> ReplacingOutput | None:
    """Return the output for a terminal that is not UTF-8; None where prompt_toolkit's own output serves."""
    stdout = stdout or sys.stdout
    if stdout is None or not stdout.isatty() or codecs.lookup(stdout.encoding or "ascii").name == "utf-8":
        return None
    output = ReplacingOutput.from_pty(
        stdout,
        term=get_term_environment_variable(),
        default_color_depth=ColorDepth.from_env(),
        enable_bell=get_bell_environment_variable(),
    )
    assert isinstance(output, ReplacingOutput)
    return output


def encodable_text(text: str, encoding: str) -> str:
    """Return a sanitized text with `?` for each column of what an encoding lacks."""
    if text.isascii():
        return text
    return "".join(
        cell if is_encodable(cell, encoding) else REPLACEMENT * columns for cell, columns in grapheme_cells(text)
    )
