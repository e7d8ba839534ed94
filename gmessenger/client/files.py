"""Sending files: they are uploaded first, then a message names them."""

from __future__ import annotations

import mimetypes
from abc import abstractmethod
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import urljoin

from gmessenger.client.message_sender import MessageSender
from gmessenger.client.sender import OutgoingMessage
from gmessenger.errors import FilesRefused, FileTooLong
from gmessenger.wire.events import MessageEvent

if TYPE_CHECKING:
    from gmessenger.client.uploads import FileUploader, ProgressCallback, UploadedFile

UNKNOWN_TYPE: Final = "application/octet-stream"
FILE_FEATURE: Final = "file"


class LocalFile:
    """A file to upload, by its path. Raises OSError if it cannot be read, or is none."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        with path.open("rb") as opened:  # a directory, or one that may not be read, is found now
            opened.seek(0, 2)
            self.size = opened.tell()
        self._path = path
        self.name = name or path.name
        self.type = guess_type(self.name)

    def open(self) -> BinaryIO:
        """Open it at its beginning. Raises OSError."""
        return self._path.open("rb")


class FileContent:
    """Bytes to upload as a file."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self.size = len(content)
        self.name = name
        self.type = guess_type(name)

    def open(self) -> BinaryIO:
        """Return its bytes from the beginning on."""
        return BytesIO(self._content)


def guess_type(name: str) -> str:
    """Return the type of a file by its name."""
    return mimetypes.guess_type(name, strict=False)[0] or UNKNOWN_TYPE


def resolve_file_url(delivery: MessageEvent, files_url: str) -> None:
    """Make the URL of a message's file, if it has one, absolute: a server sends a path."""
    if delivery.file:
        delivery.file.url = urljoin(files_url, delivery.file.url)


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
        return self._make_uploader().upload(source, on_progress)

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
