"""Start a command without a shell, and terminate it with all that it has started."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Final

from gevent.subprocess import Popen, TimeoutExpired

MAX_VARIABLE: Final = 32_768
"""Bytes of an environment variable. Linux takes 131,072; the command gets a longer text whole on its stdin."""
KILL_DELAY: Final = 2.0
"""Seconds between SIGTERM and SIGKILL."""


def start_command(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes, removed: Collection[str] = ()
) -> Popen[bytes]:
    """Start a command in a process group of its own, with `stdin` on its standard input.

    Args:
        environment: variables added to those of this process.
        removed: names of variables of this process that the command must not have.

    Raises OSError.
    """
    hidden = {os.fsencode(name) for name in removed}
    inherited = {name: value for name, value in os.environb.items() if name not in hidden}
    # Not a pipe: writing would block if the command, or a process that it leaves, reads nothing.
    with TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        # A new session is a new process group: what the command starts can be terminated with it.
        # As bytes: the locale of this process may not be able to encode names and texts.
        added = {os.fsencode(name): value.encode() for name, value in environment.items()}
        return Popen(arguments, stdin=file, env=inherited | added, start_new_session=True)


def message_variables(**values: str) -> dict[str, str]:
    """Return environment variables GMESSENGER_NAME for these values, without NUL and at most `MAX_VARIABLE` bytes.

    Their values are not sanitized.
    """
    return {f"GMESSENGER_{name}": _truncate_value(value) for name, value in values.items()}


def _truncate_value(text: str) -> str:
    data = text.replace("\0", "\ufffd").encode(errors="replace")
    return data[:MAX_VARIABLE].decode(errors="ignore")


def terminate_command(process: Popen[bytes], delay: float = KILL_DELAY) -> None:
    """Terminate a process group: SIGTERM, and SIGKILL after `delay` seconds. Blocks for at most twice that."""
    if process.poll() is not None:
        return
    _kill_group(process, signal.SIGTERM)
    with suppress(TimeoutExpired):
        process.wait(delay)
    _kill_group(process, signal.SIGKILL)
    with suppress(TimeoutExpired):  # it may run as another user, as what `sudo` starts
        process.wait(delay)


def _kill_group(process: Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
