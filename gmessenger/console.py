"""Standard output and error of the programs: into a terminal, a file, or a pipe that may break."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from gmessenger.errors import FileError
from gmessenger.sanitize import sanitize, sanitize_lines
from gmessenger.text import Text


def print_text(text: str) -> None:
    """Print a text as it is, and flush it. Blocks.

    If the reader of a pipe is gone (`| head -1`), this and all further output is discarded.

    Raises:
        FileError: the text cannot be written, for example because the disk is full.
    """
    if sys.stdout is None:  # the program was started with stdout closed
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        reason = Text(error.strerror or str(error))
        raise FileError(Text("Cannot write the output: {reason}.", reason=reason)) from error


def discard_output() -> None:
    """Discard further output, and what is still buffered when the interpreter ends."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def print_line(line: str, *, flush: bool = False) -> None:
    """Print one sanitized line on stdout; a newline within it is escaped, as are unencodable characters.

    Blocks as `print` does. Raises OSError.
    """
    _print(sanitize(line), sys.stdout, flush=flush)


def print_error(message: str) -> None:
    """Print one sanitized line on stderr, if the process has one. Blocks. Raises OSError."""
    _print(sanitize(message), sys.stderr)


def print_row(*fields: str) -> None:
    """Print one row of a table on stdout: sanitized fields separated by tabs. Blocks. Raises OSError."""
    _print("\t".join(map(sanitize, fields)), sys.stdout)


class SanitizedStderr(io.TextIOBase):
    """A text stream that sanitizes what is written to it and passes it on to stderr.

    For libraries that print exceptions, such as gevent's hub: their messages may contain a peer's text.
    """

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            sys.stderr.write(sanitize_lines(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()


def is_terminal(file: TextIO | None) -> bool:
    """Return whether a stream leads to a terminal; False for a closed stream or None."""
    try:
        return file is not None and file.isatty()
    except ValueError:  # closed
        return False


def _print(line: str, file: TextIO | None, *, flush: bool = False) -> None:
    if file is not None:
        encoding = getattr(file, "encoding", None) or "utf-8"
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=flush)
