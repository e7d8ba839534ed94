"""Output of the launcher: safe for a terminal, with exit codes for errors."""

from __future__ import annotations

import sys
from typing import NoReturn


def safe(text: str) -> str:
    """Return the text on one line without control characters; escaped if imports fail."""
    try:
        from gmessenger.sanitize import sanitize
    except ImportError:  # a dependency is missing, which the started programs report
        return text if text.isprintable() else ascii(text)[1:-1]
    return sanitize(text)


def fail(code: int, message: str) -> NoReturn:
    """Print an error message on stderr and raise SystemExit with the exit code."""
    print(f"launcher: {safe(message)}", file=sys.stderr, flush=True)
    raise SystemExit(code)
