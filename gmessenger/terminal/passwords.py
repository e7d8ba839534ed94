"""Passwords: from a file, from the environment, or typed without echo."""

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
"""The index of the local flags, ECHO among them, in what termios returns."""


def password_from_options(file: str | None, environ: MutableMapping[str, str] = os.environ) -> str | None:
    """Return the password from a file or else from the environment; None if there is none.

    Raises `FileError`.

    The variable is removed, so that child processes do not inherit it.
    """
    from_environment = environ.pop(PASSWORD_ENV_VAR, None) or None
    return read_password_file(file) if file else from_environment


def log_in_with_password(client: Client, start: Callable[[str | None], None], ask: Callable[[str], str | None]) -> None:
    """Log in; if the server asks for a password, ask the user, at most MAX_PASSWORD_ATTEMPTS times.

    Blocks.

    start: connects and logs in with a password or None.
    ask: shows a reason, and returns the password that was typed.

    Raises as `Client.start`; and `Refused`, without asking, if a password may not be sent.
    """
    password = None
    for _ in range(MAX_PASSWORD_ATTEMPTS):
        try:
            return start(password)
        except Refused as error:
            if not isinstance(error.__cause__, PasswordRequired | WrongPassword):
                raise
            if not client.can_send_password:
                insecure = InsecureTransport()
                raise Refused(str(insecure)) from insecure
            password = ask(localize(error))
            if not password:
                raise
    return start(password)


class EchoControl:
    """Turn the terminal's echo off while a password is typed.

    `restore` must be called before the program ends.
    """

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._saved_settings: list[Any] | None = None

    @contextmanager
    def off(self) -> Iterator[None]:
        """Turn off the echo within a block, except for line ends."""
        self._saved_settings = saved = termios.tcgetattr(self._fd)
        no_echo = saved[LFLAG] & ~termios.ECHO | termios.ECHONL
        termios.tcsetattr(self._fd, termios.TCSANOW, [*saved[:LFLAG], no_echo, *saved[LFLAG + 1 :]])
        try:
            yield
        finally:
            self.restore()

    def restore(self) -> None:
        """Restore the settings from before `off`, if that has not been done; the terminal may be gone."""
        saved, self._saved_settings = self._saved_settings, None
        if saved is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSANOW, saved)
