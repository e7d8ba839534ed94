"""The client as a command that sends files: `--to NAME --file PATH`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gmessenger.client import Accepted, Client, Disconnected, Notice, Rejected
from gmessenger.config.options import ClientOptions
from gmessenger.errors import ExitError, FileError, MessagesNotSent, MessengerError
from gmessenger.terminal import format_events
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import N_, _, as_notice, localize
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.pipe_mode import FLUSH_INTERVAL, join_target, retry_for
from gmessenger.terminal.shutdown import EXIT_INTERRUPTED, HURRY_TIMEOUT, ExitController
from gmessenger.terminal.stdio import SEND_QUEUE_TIMEOUT, OutputWriter
from gmessenger.text import Text

STDIN: Final = "-"
STDIN_NAME: Final = "stdin"
COPY_CHUNK: Final = 65_536  # bytes
NOT_SENT: Final = N_("Not sent: {lost} of {count} files. The first: {reason}")


class FileMode:
    """Send files, each in a message of its own; the first with the text of `--message`.

    Fails unless the server accepted all of them.
    """

    def __init__(
        self, options: ClientOptions, client: Client, stderr: OutputWriter, exit_controller: ExitController
    ) -> None:
        self._options = options
        self._to = options.to or ""
        self._client = client
        self._stderr = stderr
        self._exit_controller = exit_controller
        self._accepted_count = 0
        self._first_error = ""

    def run(self) -> None:
        """Upload the files, send them, and wait for the responses. Blocks.

        Raises `FileError` for one that cannot be read, before anything is sent; `Unreachable`, and `Refused`.
        """
        with _readable(self._options.file) as files:
            StartupRetry(retry_for(self._options), self._stderr.write_line).start(self._client)
            event_loop = self._exit_controller.spawn(self._run_events)
            join_target(self._client, self._to)
            for number, (file, name) in enumerate(files):
                self._send(file, name, (self._options.message or "") if number == 0 else "")
        while self._client.flush(FLUSH_INTERVAL) and not self._client.closed:
            pass
        self._client.close()
        event_loop.join(HURRY_TIMEOUT)
        self._finish(None)

    def interrupt(self) -> None:
        """Handle Ctrl-C: exit at once; what was uploaded and not sent is dropped by the server."""
        self._exit_controller.exit(EXIT_INTERRUPTED)

    def _send(self, file: Path, name: str, text: str) -> None:
        try:
            self._client.send_file(self._to, file, text, SEND_QUEUE_TIMEOUT, name=name)
        except MessengerError as error:
            self._on_refused(f"{name}: {localize(error)}")
        except OSError as error:
            self._on_refused(f"{name}: {error.strerror or error}")

    def _on_refused(self, reason: str) -> None:
        if not self._first_error:
            self._first_error = reason
            self._stderr.write_line(as_notice(_("not sent: {reason}", reason=format_events.format_reason(reason))))

    def _run_events(self) -> None:
        try:
            for event in self._client:
                log_client_event(event, self._options)
                if isinstance(event, Accepted):
                    self._accepted_count += 1
                elif isinstance(event, Rejected):
                    self._on_refused(event.reason)
                elif isinstance(event, Disconnected | Notice) and (text := format_events.format_event(event)):
                    self._stderr.write_line(text)
        except ExitError as error:
            self._finish(error)

    def _finish(self, error: ExitError | None) -> None:
        count = len(self._options.file)
        lost = count - min(count, self._accepted_count)
        if lost:
            reason = self._first_error or (str(error) if error else N_("the server did not answer."))
            self._exit_controller.fail(MessagesNotSent(_(NOT_SENT, lost=lost, count=count, reason=localize(reason))))
        elif error is not None:
            self._exit_controller.fail(error)
        else:
            self._exit_controller.exit()


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
        with path.open("rb"):
            return path
    except OSError as error:
        raise FileError(
            Text("Cannot read {file}: {reason}.", file=path, reason=Text(error.strerror or str(error)))
        ) from error


def _copy_stdin(copy: Path) -> Path:
    with copy.open("wb") as opened:
        while chunk := os.read(sys.stdin.fileno(), COPY_CHUNK):
            opened.write(chunk)
    return copy
