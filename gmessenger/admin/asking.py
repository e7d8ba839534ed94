"""Passwords: asked for without echo, or read from a file or a pipe; never from the command line, which others see."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from gmessenger.errors import FileProblem, Refused, UsageError
from gmessenger.options import AdminOptions


def password(options: AdminOptions) -> str:
    """The new password. Raises `FileProblem`, `UsageError` for none at all, or `Refused` for two that differ."""
    if options.password_file:
        return _first_line(options.password_file)
    if not sys.stdin.isatty():
        return _given(sys.stdin.readline())
    entered = _typed("New password: ")
    if _typed("Again: ") != entered:
        raise Refused("The two passwords differ.")
    return entered


def _typed(question: str) -> str:
    try:
        return _given(getpass.getpass(question))
    except EOFError:
        print(file=sys.stderr)  # the end of the line that was asked on
        return _given("")


def _first_line(file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return _given(lines.readline())
    except OSError as error:
        raise FileProblem(f"Cannot read the password file {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise FileProblem(f"The password file {file} is not text in UTF-8.") from error


def _given(line: str) -> str:
    entered = line.rstrip("\r\n")
    if not entered:
        raise UsageError("No password was given.")
    return entered
