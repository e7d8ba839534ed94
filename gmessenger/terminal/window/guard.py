"""Leaves the terminal as it was found, whatever happens, and keeps what is written to stderr off the screen."""

from __future__ import annotations

import io
import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Final, TextIO, cast

from gevent import get_hub

from gmessenger import logs

AS_USUAL: Final = b"\x1b[?1000;1002;1003;1006l\x1b[?2004l\x1b[?25h\x1b[0m"
"""No mouse, no marks around pasted text, a cursor one can see, no colours."""
LONGEST: Final = 200


@contextmanager
def terminal_guard(descriptor: int | None) -> Iterator[None]:
    """For a block that may do anything to the terminal with this descriptor; without one, nothing is done."""
    if descriptor is None or not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        with suppress(OSError, termios.error):  # it may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            os.write(descriptor, AS_USUAL)


@contextmanager
def quiet_errors() -> Iterator[None]:
    """What anybody writes to stderr meanwhile, gevent included, goes into the log."""
    hub, stream = get_hub(), _ToLog()
    before = hub.exception_stream
    hub.exception_stream = cast(TextIO, stream)
    try:
        with redirect_stderr(stream):
            yield
    finally:
        hub.exception_stream = before


class _ToLog(io.TextIOBase):
    """A stream whose lines go into the log."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                logs.event("stray_output", line=line[:LONGEST])
        return len(text)
