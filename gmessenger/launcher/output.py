"""What the launcher prints, made safe for a terminal as the programs make it."""

from __future__ import annotations

import sys
from typing import NoReturn


def safe(text: str) -> str:
    """Return the text on one line, made safe for a terminal; in escapes where that cannot be imported."""
    try:
        from gmessenger.sanitize import sanitize
    except ImportError:  # the programs that are started will say so
        return text if text.isprintable() else ascii(text)[1:-1]
    return sanitize(text)


def fail(code: int, sentence: str) -> NoReturn:
    """Print a sentence on stderr and raise SystemExit with an exit code."""
    print(f"launcher: {safe(sentence)}", file=sys.stderr, flush=True)
    raise SystemExit(code)
