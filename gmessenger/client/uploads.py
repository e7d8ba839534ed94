"""Uploads of files: one HTTP request each, on a connection of its own.

Import it where it is needed only: `http` loads slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import BinaryIO, Final, Protocol
from urllib.parse import quote, unquote, urlsplit

import gevent
from gevent import Timeout

from gmessenger.client.config import Timeouts
from gmessenger.client.connection import describe_error
from gmessenger.client.endpoint import ServerEndpoint
from gmessenger.client.local_file import await_disk
from gmessenger.errors import (
    WIRE_ERRORS,
    FilesFull,
    FilesRefused,
    FileTooLong,
    Forbidden,
    InternalError,
    NotLoggedIn,
    StoreUnavailable,
    TooManyUploads,
    Unreachable,
    WireError,
)
from gmessenger.text import ServerText, Text
from gmessenger.wire.events import SentFile

PIECE: Final = 65_536  # bytes that are read and sent at a time
MAX_ATTEMPTS: Final = 4
RETRY_DELAY: Final = 1.0  # seconds before the second attempt; twice as long before each further one
MAX_RETRY_DELAY: Final = 30.0
"""Seconds. Where the server asks for more, the user is told, and nothing is tried again."""
TEMPORARY: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses with which the same upload may succeed in a moment; a full disk (507) is not free as soon."""
ERRORS_BY_STATUS: Final[dict[int, type[WireError]]] = {
    401: NotLoggedIn,
    403: Forbidden,
    404: FilesRefused,
    413: FileTooLong,
    429: TooManyUploads,
    500: InternalError,
    502: StoreUnavailable,
    503: StoreUnavailable,
    504: StoreUnavailable,
    507: FilesFull,
}
"""The errors of responses that have no JIM error code, such as the HTML error page of a proxy."""
SESSION_ENDED: Final = Text("The server does not know this session any more: log in again.")
MAX_DIGITS: Final = 15  # of numbers in headers
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


class UploadRetry(Exception):
    """An answer after which the upload is tried again, unless that was the last attempt."""

    def __init__(self, error: WireError) -> None:
        super().__init__(str(error))
        self.error = error


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
            except UploadRetry as refusal:
                delay = max(delay, refusal.error.retry_after or 0.0)
                if delay > MAX_RETRY_DELAY or attempt == MAX_ATTEMPTS:
                    raise refusal.error from None
            except Unreachable:
                if attempt == MAX_ATTEMPTS:
                    raise
            gevent.sleep(delay)
            delay = min(2 * delay, MAX_RETRY_DELAY)
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
            error = _refusal(response, body)
            raise UploadRetry(error) if response.status in TEMPORARY else error
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
            piece = await_disk(partial(opened.read, min(PIECE, source.size - sent)))
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
    name = unquote(parts[3]) if len(parts) > 3 else source.name  # the server has removed what no name should have
    return UploadedFile(location, name, source.type, source.size, id=parts[2])


def _refusal(response: HTTPResponse, body: bytes) -> WireError:
    """Return the error of an answer: by the code that it has, else by its status."""
    status, code = response.status, response.getheader("Gmessenger-Code") or ""
    limit, retry_after = _limit(response), _retry_after(response)
    by_code, by_status = WIRE_ERRORS.get(code), ERRORS_BY_STATUS.get(status)
    if status == NotLoggedIn.status:
        return (by_code or NotLoggedIn)(SESSION_ENDED)
    if by_code is not None:
        sentence = ServerText(body.decode(errors="replace").strip() or by_code.message, code, limit, retry_after)
        return by_code(sentence, limit=limit, retry_after=retry_after)
    if by_status is not None:
        return by_status(limit=limit, retry_after=retry_after)
    return WireError(Text("The server has answered with the HTTP status {status}.", status=status))


def _limit(response: HTTPResponse) -> int | None:
    """Return how many bytes a file may have, where the answer says it: `Upload-Limit: maxsize=…`."""
    key, _, value = (response.getheader("Upload-Limit") or "").strip().partition("=")
    return _number(value) if key == "maxsize" else None


def _retry_after(response: HTTPResponse) -> float | None:
    """Return the seconds after which to try again, where the answer says them; a date is not waited for."""
    return _number((response.getheader("Retry-After") or "").strip())


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else None


@contextmanager
def _lost_connections() -> Iterator[None]:
    """Turn what ends a connection into `Unreachable`."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(Text("The file cannot be uploaded: {reason}.", reason=describe_error(error)))
