"""Sending files: they are uploaded first, then a message names them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from gmessenger.client.local_file import FileContent, LocalFile
from gmessenger.client.message_sender import MessageSender
from gmessenger.client.sender import OutgoingMessage
from gmessenger.errors import FilesRefused, FileTooLong
from gmessenger.wire.events import MessageEvent, ResponseFrame

if TYPE_CHECKING:
    from gmessenger.client.uploads import FileUploader, ProgressCallback, UploadedFile

FILE_FEATURE: Final = "file"


def resolve_file_url(message: MessageEvent | ResponseFrame, files_url: str) -> None:
    """Make the URL of a message's file, if it has one, absolute: a server sends a path.

    Of a message that was sent, the response has the file.
    """
    if message.file:
        message.file.url = urljoin(files_url, message.file.url)


class FileSender(MessageSender):
    """The calls of a client that upload files and send them."""

    limits: Mapping[str, Any]
    files_url: str

    @abstractmethod
    def _make_uploader(self) -> FileUploader:
        """Return what uploads files with the present session. Raises `AccountsOnly`, and as `send`."""

    def upload(
        self, content: Path | bytes, name: str | None = None, on_progress: ProgressCallback | None = None
    ) -> UploadedFile:
        """Upload a file, which waits for a day to be sent; its id goes to `send`. Only for accounts. Blocks.

        `content`: its path, or its bytes. `on_progress` is called with how many bytes were sent, and of how many.

        Raises `WireError` where it is refused, `Unreachable` where the server cannot be reached, and OSError where the
        file cannot be read.
        """
        source = LocalFile(content, name) if isinstance(content, Path) else FileContent(content, name or FILE_FEATURE)
        if not self.files_url:
            raise FilesRefused
        limit = self.limits.get("file")
        if isinstance(limit, int) and source.size > limit:
            raise FileTooLong(limit=limit)
        uploaded = self._make_uploader().upload(source, on_progress)
        uploaded.url = urljoin(self.files_url, uploaded.url)
        return uploaded

    def send_file(
        self,
        to: str,
        content: Path | bytes,
        text: str = "",
        timeout: float = 0.0,
        *,
        name: str | None = None,
        about: int | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> OutgoingMessage:
        """Upload a file, and queue a message that has it; with an empty text, its name is the text.

        Once it was uploaded, the message is sent as any other: again after a lost connection, and by the next process
        with the same `unsent_file`, and the file is not uploaded again. Blocks as `upload`. Raises as `upload` and
        `send`.
        """
        uploaded = self.upload(content, name, on_progress)
        return self.send(to, text or uploaded.name, timeout, about=about, file=uploaded.id)
