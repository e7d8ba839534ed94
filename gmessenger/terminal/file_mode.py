"""The client as a command that sends files: `--to NAME --file PATH`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gmessenger.client.local_file import LocalFile
from gmessenger.errors import FileError, MessengerError
from gmessenger.terminal.file_handlers import describe_failure
from gmessenger.terminal.i18n import N_, _
from gmessenger.terminal.send_base import SendingMode
from gmessenger.terminal.shutdown import EXIT_INTERRUPTED
from gmessenger.terminal.stdio import SEND_QUEUE_TIMEOUT
from gmessenger.text import Text

STDIN: Final = "-"
STDIN_NAME: Final = "stdin"
COPY_CHUNK: Final = 65_536  # bytes
NOT_SENT: Final = N_("Not sent: {lost} of {count} files. The first: {reason}")


class FileMode(SendingMode):
    """Send files, each in a message of its own; the first with the text of `--message`.

    Fails unless the server accepted all of them.
    """

    def run(self) -> None:
        """Upload the files, send them, and wait for the responses. Blocks.

        Raises `FileError` for one that cannot be read, before anything is sent; `Unreachable`, and `Refused`.
        """
        with _readable(self._options.file) as files:
            event_loop = self._start()
            for number, (file, name) in enumerate(files):
                self._send(file, name, (self._options.message or "") if number == 0 else "")
        self._end(event_loop)

    def interrupt(self) -> None:
        """Handle Ctrl-C: exit at once; what was uploaded and not sent is dropped by the server."""
        self._exit_controller.exit(EXIT_INTERRUPTED)

    def _send(self, file: Path, name: str, text: str) -> None:
        try:
            self._client.send_file(self._to, file, text, SEND_QUEUE_TIMEOUT, name=name)
        except (MessengerError, OSError) as error:
            self._on_rejected(f"{name}: {describe_failure(error)}")

    def _format_unsent(self, reason: str) -> str | None:
        count = len(self._options.file)
        lost = count - min(count, self._accepted_count)
        return _(NOT_SENT, lost=lost, count=count, reason=reason) if lost else None


@contextmanager
def _readable(paths: tuple[str, ...]) -> Iterator[list[tuple[Path, str]]]:
    """Yield the files with their names; the input is copied into one, as its length is needed. Raises `FileError`."""
    with tempfile.TemporaryDirectory(prefix="gmessenger-") as folder:
        yield [
            (_copy_stdin(Path(folder) / STDIN_NAME), STDIN_NAME)
            if path == STDIN
            else (_checked(Path(path)), Path(path).name)
            for path in paths
        ]


def _checked(path: Path) -> Path:
    try:
        LocalFile(path)
    except OSError as error:
        raise FileError(
            Text("Cannot read {file}: {reason}.", file=path, reason=Text(error.strerror or str(error)))
        ) from error
    return path


def _copy_stdin(copy: Path) -> Path:
    with copy.open("wb") as opened:
        while chunk := os.read(sys.stdin.fileno(), COPY_CHUNK):
            opened.write(chunk)
    return copy
