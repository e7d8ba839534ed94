"""The handler of `/file`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gmessenger.errors import ExitError, FileTooLong, MessengerError
from gmessenger.log import traced
from gmessenger.sanitize import sanitize
from gmessenger.terminal.amendment_handlers import AmendmentHandlers, OutgoingFile
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.format_messages import format_file, format_size
from gmessenger.terminal.i18n import _, as_notice
from gmessenger.terminal.local_paths import parse_path

FIRST_PROGRESS: Final = 1.0
"""Seconds until the first notice of how much was uploaded; until each further one it is twice as long."""


class FileHandlers(AmendmentHandlers):
    """Uploads a file, and sends it to the recipient."""

    def start_upload(self, upload: Callable[[], None]) -> None:
        """Run an upload; a mode in which one goes on typing meanwhile overrides this."""
        upload()

    @traced()
    def send_file(self, path: str) -> None:
        """Upload the file with this path, and send it to the recipient."""
        if (to := self.recipient) is None:
            return self.refuse(_("There is no recipient yet: write /msg NAME TEXT first."))
        file = parse_path(path)
        return self.start_upload(lambda: self._upload(to, file))

    def _upload(self, to: str, file: Path) -> None:
        progress = UploadMonitor(file.name, self.show)
        try:
            uploaded = self._client.upload(file, on_progress=progress.update)
        except (MessengerError, ExitError, OSError) as error:
            reason = describe_failure(error)
            return self.show(as_notice(_("{file} was not sent: {reason}", file=sanitize(file.name), reason=reason)))
        return self.send(to, uploaded.name, file=OutgoingFile(uploaded.id, format_file(uploaded)))


def describe_failure(error: MessengerError | OSError) -> str:
    """Return why a file could not be uploaded, sanitized."""
    if isinstance(error, OSError):
        return format_reason(error.strerror or str(error))
    if isinstance(error, FileTooLong) and error.limit is not None:
        return _("The file is too large: this server takes at most {size}.", size=format_size(error.limit))
    return format_reason(error)


class UploadMonitor:
    """Tells how much of a file was uploaded, if that takes long."""

    def __init__(self, name: str, show: Callable[[str], None]) -> None:
        self._name = name
        self._show = show
        self._interval = FIRST_PROGRESS
        self._next_at = time.monotonic() + self._interval

    def update(self, sent: int, size: int) -> None:
        """Note that so many bytes were sent."""
        if (now := time.monotonic()) < self._next_at or sent >= size:
            return
        self._interval *= 2
        self._next_at = now + self._interval
        percent = 100 * sent // size
        text = _(
            "uploading {file}: {percent} % of {size}",
            file=sanitize(self._name),
            percent=percent,
            size=format_size(size),
        )
        self._show(as_notice(text))
