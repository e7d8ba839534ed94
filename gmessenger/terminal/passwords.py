"""Passwords: from a file, from the environment, or typed without being seen."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gmessenger.client import Link
from gmessenger.errors import FileProblem, PasswordNeeded, Refused, WrongPassword
from gmessenger.sentences import Sentence
from gmessenger.terminal.spoken import spoken

VARIABLE: Final = "MESSENGER_PASSWORD"
LONGEST: Final = 4096
"""Characters of a password's file that are read; no server takes as long a password."""
TRIES: Final = 3
LOCAL: Final = 3
"""Where termios keeps the flags that are about echoing."""


def given_password(file: str | None, environ: MutableMapping[str, str] = os.environ) -> str | None:
    """The password that was given, or None. Raises `FileProblem`.

    The file wins; the variable is removed, so that what this program may start does not inherit it.
    """
    variable = environ.pop(VARIABLE, None) or None
    return _first_line(file) if file else variable


def enter(link: Link, ask: Callable[[str], str | None]) -> None:
    """Log in; where the server wants a password, `ask` for it, so many times at most. Raises as `Link.start`."""
    password = None
    for _ in range(TRIES):
        try:
            return link.start(password)
        except Refused as error:
            if not isinstance(error.__cause__, PasswordNeeded | WrongPassword):
                raise
            password = ask(spoken(error))
            if not password:
                raise
    return link.start(password)


def _first_line(file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8") as opened:
            line = opened.readline(LONGEST).rstrip("\r\n")
    except OSError as error:
        reason = Sentence(error.strerror or str(error))
        raise FileProblem(
            Sentence("Cannot read the password file {file}: {reason}.", file=file, reason=reason)
        ) from error
    except UnicodeDecodeError as error:
        raise FileProblem(Sentence("Cannot read the password file {file}: it is not UTF-8.", file=file)) from error
    if not line:
        raise FileProblem(Sentence("The first line of the password file {file} is empty.", file=file))
    return line


class Echo:
    """Whether the terminal shows what is typed. Whoever ends the program calls `restore`, whatever happened."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    @contextmanager
    def off(self) -> Iterator[None]:
        """Show nothing but the ends of lines."""
        self._before = before = termios.tcgetattr(self._fd)
        silent = before[LOCAL] & ~termios.ECHO | termios.ECHONL
        termios.tcsetattr(self._fd, termios.TCSANOW, [*before[:LOCAL], silent, *before[LOCAL + 1 :]])
        try:
            yield
        finally:
            self.restore()

    def restore(self) -> None:
        """As it was before `off`; does no harm when it never was off, or when the terminal is gone."""
        before, self._before = self._before, None
        if before is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSANOW, before)
