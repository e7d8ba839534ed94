"""Passwords: from a file, from the environment, or typed without being seen."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from gmessenger.client import Client
from gmessenger.errors import InsecureTransport, PasswordRequired, Refused, WrongPassword
from gmessenger.terminal.i18n import localize
from gmessenger.text_files import read_password_file

PASSWORD_ENV_VAR: Final = "MESSENGER_PASSWORD"  # noqa: S105
MAX_PASSWORD_ATTEMPTS: Final = 3
LFLAG: Final = 3
"""Where termios keeps the flags that are about echoing."""


def password_from_options(file: str | None, environ: MutableMapping[str, str] = os.environ) -> str | None:
    """The password that was given, or None. Raises `FileError`.

    The file wins; the variable is removed, so that what this program may start does not inherit it.
    """
    variable = environ.pop(PASSWORD_ENV_VAR, None) or None
    return read_password_file(file) if file else variable


def log_in_with_password(client: Client, start: Callable[[str | None], None], ask: Callable[[str], str | None]) -> None:
    """Log in with `start`, which is given a password; where the server wants one, `ask` for it, TRIES times at most.

    Raises as `Link.start`; and `Refused`, without asking, where a password may not be sent.
    """
    password = None
    for _ in range(MAX_PASSWORD_ATTEMPTS):
        try:
            return start(password)
        except Refused as error:
            if not isinstance(error.__cause__, PasswordRequired | WrongPassword):
                raise
            if not client.can_send_password:
                exposed = InsecureTransport()
                raise Refused(str(exposed)) from exposed
            password = ask(localize(error))
            if not password:
                raise
    return start(password)


class EchoControl:
    """Whether the terminal shows what is typed. Whoever ends the program calls `restore`, whatever happened."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    @contextmanager
    def off(self) -> Iterator[None]:
        """Show nothing but the ends of lines."""
        self._before = before = termios.tcgetattr(self._fd)
        silent = before[LFLAG] & ~termios.ECHO | termios.ECHONL
        termios.tcsetattr(self._fd, termios.TCSANOW, [*before[:LFLAG], silent, *before[LFLAG + 1 :]])
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
