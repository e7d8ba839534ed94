"""Uploads of files: one HTTP request each, on a connection of its own.

Import it where it is needed only: `http` loads slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import BinaryIO, Final, Protocol
from urllib.parse import quote, urlsplit

import gevent
from gevent import Timeout

from gmessenger.client.config import Timeouts
from gmessenger.client.connection import describe_error
from gmessenger.client.endpoint import ServerEndpoint
from gmessenger.errors import WIRE_ERRORS, InternalError, StoreUnavailable, Unreachable, WireError
from gmessenger.text import ServerText, Text
from gmessenger.wire.events import SentFile

PIECE: Final = 65_536  # bytes that are read and sent at a time
MAX_ATTEMPTS: Final = 4
RETRY_DELAY: Final = 1.0  # seconds before the second attempt; twice as long before each further one
MAX_RETRY_DELAY: Final = 30.0
MAX_ANSWER: Final = 4096  # bytes of an error that are read
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

ProgressCallback = Callable[[int, int], object]
"""Called with how many bytes were sent, and of how many."""


class FileSource(Protocol):
    """A file to upload: its name, type and size in bytes."""

    name: str
    type: str
    size: int

    def open(self) -> BinaryIO:
        """Open it at its beginning, for each attempt anew. Raises OSError."""


class UploadedFile(SentFile):
    """A file that the server has, until it is sent in a message or a day is over. `id` names it in `send`."""

    id: str = ""


class FileUploader:
    """Uploads files to one server."""

    def __init__(self, url: str, endpoint: ServerEndpoint, token: str, timeouts: Timeouts) -> None:
        """`url`: where files are uploaded. `token`: of the session, which proves who uploads."""
        self._url = urlsplit(url)
        self._endpoint = endpoint
        self._token = token
        self._timeouts = timeouts

    def upload(self, source: FileSource, on_progress: ProgressCallback | None = None) -> UploadedFile:
        """Upload a file; try again where that may help. Blocks.

        Raises `WireError` where it is refused, `Unreachable` where no attempt succeeds, OSError where the file cannot
        be read, `InsecureTransport` and `CertificateNotTrusted`.
        """
        delay, report = RETRY_DELAY, on_progress or (lambda sent, size: None)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._attempt(source, report)
            except WireError as error:
                if not error.retryable or attempt == MAX_ATTEMPTS:
                    raise
                delay = max(delay, error.retry_after or 0.0)
            except Unreachable:
                if attempt == MAX_ATTEMPTS:
                    raise
            gevent.sleep(min(delay, MAX_RETRY_DELAY))
            delay *= 2
        raise AssertionError

    def _attempt(self, source: FileSource, on_progress: ProgressCallback) -> UploadedFile:
        with closing(source.open()) as opened, self._connected() as connection:
            with _lost_connections():
                self._send_head(connection, source)
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered before it closed
                self._send_body(connection, source, opened, on_progress)
            with _lost_connections(), Timeout(self._timeouts.response, TimeoutError(Text("no answer in time"))):
                response = connection.getresponse()
                body = response.read(MAX_ANSWER)
        if response.status != 201:
            raise _refusal(response, body)
        return _uploaded(response, source)

    @contextmanager
    def _connected(self) -> Iterator[HTTPConnection]:
        scheme, host = self._url.scheme, self._url.hostname or ""
        port = self._url.port or DEFAULT_PORTS.get(scheme, 0)
        connection = HTTPConnection(host, port)
        with _lost_connections():
            connection.sock = self._endpoint.open_web_connection(scheme, host, port, self._timeouts.connect)
        with closing(connection):
            yield connection

    def _send_head(self, connection: HTTPConnection, source: FileSource) -> None:
        connection.putrequest("POST", self._url.path or "/", skip_accept_encoding=True)
        connection.putheader("Authorization", f"Bearer {self._token}")
        connection.putheader("Content-Type", source.type)
        connection.putheader("Content-Length", str(source.size))
        connection.putheader("Content-Disposition", f"attachment; filename*=UTF-8''{quote(source.name, safe='')}")
        connection.endheaders()

    def _send_body(
        self, connection: HTTPConnection, source: FileSource, opened: BinaryIO, on_progress: ProgressCallback
    ) -> None:
        sent = 0
        on_progress(sent, source.size)
        while sent < source.size:
            piece = opened.read(min(PIECE, source.size - sent))
            if not piece:
                raise OSError(Text("the file has become shorter"))
            try:
                with Timeout(self._timeouts.response, TimeoutError(Text("the server reads nothing"))):
                    connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                raise
            except OSError as error:
                raise _unreachable(error) from error
            sent += len(piece)
            on_progress(sent, source.size)


def _uploaded(response: HTTPResponse, source: FileSource) -> UploadedFile:
    location = response.getheader("Location") or ""
    parts = location.split("/")
    if len(parts) < 3 or not parts[2]:
        raise InternalError(Text("The server does not say where the file is."))
    return UploadedFile(location, source.name, source.type, source.size, id=parts[2])


def _refusal(response: HTTPResponse, body: bytes) -> WireError:
    """Return the error of an answer: by the code that it has, else by its status."""
    code = response.getheader("Gmessenger-Code") or ""
    sentence = body.decode(errors="replace").strip() or f"{response.status} {response.reason}"
    error_class = WIRE_ERRORS.get(code) or (StoreUnavailable if response.status in (429, 503) else WireError)
    try:
        retry_after = float(response.getheader("Retry-After") or "nan")
    except ValueError:
        retry_after = 0.0
    known = retry_after if retry_after >= 0 else None
    return error_class(ServerText(sentence, code, None, known), retry_after=known)


@contextmanager
def _lost_connections() -> Iterator[None]:
    """Turn what ends a connection into `Unreachable`."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(Text("The file cannot be uploaded: {reason}.", reason=describe_error(error)))
