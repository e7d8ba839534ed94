"""The handler of `/file`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gmessenger.errors import ExitError, MessengerError
from gmessenger.log import traced
from gmessenger.sanitize import sanitize
from gmessenger.terminal.amendment_handlers import AmendmentHandlers
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.format_messages import format_size
from gmessenger.terminal.i18n import _, as_notice

PROGRESS_INTERVAL: Final = 3.0  # seconds between two notices of how much was uploaded
QUOTES: Final = ("'", '"')


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
        file = Path(unquote_path(path)).expanduser()
        return self.start_upload(lambda: self._upload(to, file))

    def _upload(self, to: str, file: Path) -> None:
        progress = UploadMonitor(file.name, self.show)
        try:
            uploaded = self._client.upload(file, on_progress=progress.update)
        except (MessengerError, ExitError) as error:
            reason = format_reason(error)
        except OSError as error:
            reason = sanitize(error.strerror or str(error))
        else:
            return self.send(to, uploaded.name, file=uploaded.id)
        return self.show(as_notice(_("{file} was not sent: {reason}", file=sanitize(file.name), reason=reason)))


class UploadMonitor:
    """Tells how much of a file was uploaded, if that takes long."""

    def __init__(self, name: str, show: Callable[[str], None]) -> None:
        self._name = name
        self._show = show
        self._next_at = time.monotonic() + PROGRESS_INTERVAL

    def update(self, sent: int, size: int) -> None:
        """Note that so many bytes were sent."""
        if time.monotonic() < self._next_at or sent >= size:
            return
        self._next_at = time.monotonic() + PROGRESS_INTERVAL
        percent = 100 * sent // size
        text = _(
            "uploading {file}: {percent} % of {size}",
            file=sanitize(self._name),
            percent=percent,
            size=format_size(size),
        )
        self._show(as_notice(text))


def unquote_path(typed: str) -> str:
    """Return the path that was typed: with spaces as it is, or quoted as in a shell, as terminals paste it."""
    typed = typed.strip()
    if not typed.startswith(QUOTES) and "\\" not in typed:
        return typed
    try:
        words = shlex.split(typed)
    except ValueError:
        return typed
    return words[0] if len(words) == 1 else typed
