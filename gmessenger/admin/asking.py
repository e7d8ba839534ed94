"""Passwords: asked for without echo, or read from a file or a pipe; never from the command line, which others see."""

from __future__ import annotations

import getpass
import sys

from gmessenger.errors import Refused, UsageError
from gmessenger.options import AdminOptions
from gmessenger.text_files import MAX_PASSWORD_LINE, read_password_file, without_mark


def password(options: AdminOptions) -> str:
    """The new password. Raises `FileProblem`, `UsageError` for none at all, or `Refused` for two that differ."""
    if options.password_file:
        return read_password_file(options.password_file)
    if not sys.stdin.isatty():
        return _given(without_mark(sys.stdin.readline(MAX_PASSWORD_LINE)))
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


def _given(line: str) -> str:
    entered = line.rstrip("\r\n")
    if not entered:
        raise UsageError("No password was entered.")
    return entered
