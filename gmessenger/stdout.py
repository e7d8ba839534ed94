"""Standard output of the programs, into a terminal, a file or a pipe whose reader has gone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from gmessenger.errors import FileProblem
from gmessenger.sentences import Sentence


def print_text(text: str) -> None:
    """Print a text as it is, and flush it. Raises `FileProblem` where it cannot be written, on a full disk for one.

    Where the reader of a pipe has gone (`| head -1`), this and all further output is discarded.
    """
    if sys.stdout is None:  # started with it closed
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        reason = Sentence(error.strerror or str(error))
        raise FileProblem(Sentence("Cannot write the output: {reason}.", reason=reason)) from error


def discard_output() -> None:
    """Discard further output, and the rest of the buffer when the interpreter ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
