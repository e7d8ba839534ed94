"""Standard output of the programs, into a terminal, a file or a pipe whose reader has gone."""

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
    """Print a text as it is, and flush it. Raises `FileError` where it cannot be written, on a full disk for one.

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
        reason = Text(error.strerror or str(error))
        raise FileError(Text("Cannot write the output: {reason}.", reason=reason)) from error


def discard_output() -> None:
    """Discard further output, and the rest of the buffer when the interpreter ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def print_line(line: str, *, flush: bool = False) -> None:
    """Print one line on the output, made safe. A newline within it ends no line.

    What the encoding cannot say is written as an escape. Raises OSError. Blocks as `print` does.
    """
    _print(sanitize(line), sys.stdout, flush=flush)


def print_error(sentence: str) -> None:
    """The same on stderr, if the process has one."""
    _print(sanitize(sentence), sys.stderr)


def print_row(*fields: str) -> None:
    """Print one line of a table: the fields, each made safe, with tabs between. Raises OSError."""
    _print("\t".join(map(sanitize, fields)), sys.stdout)


class SanitizedStderr(io.TextIOBase):
    """A stream whose lines go to stderr, made safe: for who prints what an exception says, as gevent's hub does."""

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
    """Return whether a stream is written to a terminal."""
    try:
        return file is not None and file.isatty()
    except ValueError:  # it is closed
        return False


def _print(safe: str, file: TextIO | None, *, flush: bool = False) -> None:
    if file is not None:
        encoding = getattr(file, "encoding", None) or "utf-8"
        print(safe.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=flush)
