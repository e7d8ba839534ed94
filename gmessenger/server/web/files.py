"""The routes of files: accounts upload them, and who has the URL of one reads it.

The steps of an upload: its bytes go into a file of their own, and to the disk; its row into the store; then it gets its
place in the folder, and the client its answer. So no content is in its place without a row, but for one that was
removed; and a row without content is one that the client was not told of, which expires.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gmessenger import log
from gmessenger.chat.files import FileService
from gmessenger.chat.records import Account, FileInfo, StoredFile
from gmessenger.config.options import ServerOptions
from gmessenger.contents.folder import ContentFolder, ContentReader
from gmessenger.contents.upload import ContentUpload
from gmessenger.errors import FileTooLong, InsecureTransport, NotLoggedIn, WireError
from gmessenger.server.net.remote import is_loopback
from gmessenger.server.web.http_connection import StreamedResponse
from gmessenger.server.web.responses import CODE_HEADER, as_http_error
from gmessenger.server.web.routes import Route, SharedHead, WebRequest
from gmessenger.urls import FILE_PATH, file_path
from gmessenger.wire.file_formats import (
    MARKUP_TYPES,
    SHOWN_TYPES,
    TEXT_TYPE,
    UNKNOWN_TYPE,
    FileFormat,
    TextCheck,
    clean_type,
    recognize,
)
from gmessenger.wire.file_requests import disposition, name_from_disposition, parse_range
from gmessenger.wire.http import PLAIN_TEXT, HttpError, HttpRequest, HttpResponse

FILE_HEADERS: Final = (
    ("Content-Security-Policy", "sandbox; default-src 'none'; media-src 'self'"),
    ("Cache-Control", "private, no-cache"),
    ("Accept-Ranges", "bytes"),
)
UPLOAD_HEADERS: Final = SharedHead(
    sent=("Authorization", "Content-Disposition", "Content-Type"),
    read=("Location", "Upload-Limit", "Retry-After", CODE_HEADER),
)
"""Those of IRC clients in a browser, which have an origin of their own."""
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
ETAG_DIGITS: Final = 32
NOT_FOUND: Final = HttpError(404, "There is no such file, or it was erased.")


class FileRoutes:
    """Takes uploads and sends files. Handlers block."""

    def __init__(
        self, service: FileService, folder: ContentFolder, files_id: str, options: Callable[[], ServerOptions]
    ) -> None:
        """`files_id`: the store's; with it the digests in ETags are salted, so that they tell nothing of a content."""
        self._service = service
        self._folder = folder
        self._files_id = files_id
        self._options = options
        self.outcomes: Counter[str] = Counter()
        """Uploads by what became of them: `kept`, or the code of the refusal."""
        self.sent_bytes = 0
        self.routes = (
            Route(FILE_PATH, {"POST": self.upload, "OPTIONS": self.describe}, shared=UPLOAD_HEADERS),
            Route(f"{FILE_PATH}/", {"GET": self.send}),
        )

    def describe(self, request: WebRequest) -> HttpResponse:
        """Say what may be uploaded."""
        return HttpResponse(204, headers=(("Allow", "OPTIONS, POST"), ("Accept-Post", "*/*"), self._limit_header()))

    def upload(self, request: WebRequest) -> HttpResponse:
        """Take a file: 201 means that it is on disk. Raises `HttpError`, and OSError if the client is gone."""
        try:
            account = self._authenticate(request)
            size = _declared_size(request)
            file = self._take(request, account, size)
        except WireError as error:
            self.outcomes[error.code] += 1
            raise self._refusal(error, request.http) from None
        except HttpError as error:
            self.outcomes[str(error.status)] += 1
            raise
        self.outcomes["kept"] += 1
        log.log_event("file_kept", name=account.name, address=request.remote.address, size=file.size, type=file.type)
        return HttpResponse(201, headers=(("Location", file_path(file.id, file.name)),))

    def send(self, request: WebRequest) -> HttpResponse:
        """Send a file, or a part of it. Raises `HttpError`."""
        stored = self._service.find(request.rest.partition("/")[0])
        if stored is None:
            raise NOT_FOUND
        headers = self._file_requests(stored)
        etag = self._etag(stored.digest)
        if _matches(request.http.header("if-none-match"), etag):
            return HttpResponse(304, headers=headers)
        try:
            with _disk_errors():
                content = self._folder.open_content(stored.digest)
        except FileNotFoundError:
            raise NOT_FOUND from None
        try:
            return self._respond(request.http, stored.info, content, headers, etag)
        except BaseException:
            content.close()
            raise

    def _respond(
        self,
        http: HttpRequest,
        info: FileInfo,
        content: ContentReader,
        headers: tuple[tuple[str, str], ...],
        etag: str,
    ) -> HttpResponse:
        size, status = content.size, 200
        start, end = 0, size
        if http.header("if-range") in ("", etag):
            try:
                part = parse_range(http.header("range"), size)
            except ValueError:
                raise HttpError(416, "This part is not in the file.", [("Content-Range", f"bytes */{size}")]) from None
            if part is not None:
                (start, end), status = part, 206
                headers = (*headers, ("Content-Range", f"bytes {start}-{end - 1}/{size}"))
        self.sent_bytes += end - start if http.method == "GET" else 0
        return StreamedResponse(
            status,
            content_type=_content_type(info.type),
            headers=headers,
            source=content,
            start=start,
            end=end,
        )

    def _take(self, request: WebRequest, account: Account, size: int) -> FileInfo:
        with self._service.begin_upload(account, size):
            with _disk_errors():
                upload = self._folder.begin_upload()
            with upload:
                file_format = self._receive(request, upload, size)
                file = self._service.add(
                    account.id,
                    upload.digest,
                    name_from_disposition(request.http.header("content-disposition")),
                    file_format.type,
                    upload.size,
                    file_format.width,
                    file_format.height,
                )
                try:
                    with _disk_errors():
                        self._folder.keep(upload)
                except BaseException:
                    self._service.drop(file)
                    raise
        return file

    def _receive(self, request: WebRequest, upload: ContentUpload, size: int) -> FileFormat:
        """Write the body to the disk; return its format."""
        declared = clean_type(request.http.header("content-type"))
        text = TextCheck(may_be_text=declared.startswith("text/") and declared not in MARKUP_TYPES)
        for piece in request.read_body.iter_pieces(size):
            text.feed(piece)
            with _disk_errors():
                upload.write(piece)
        text.feed(b"", is_last=True)
        with _disk_errors():
            upload.finish()
        found = recognize(upload.head)
        if found is not None:
            return found
        if text.is_text:
            return FileFormat(TEXT_TYPE)
        return FileFormat(UNKNOWN_TYPE if declared in SHOWN_TYPES else declared)

    def _authenticate(self, request: WebRequest) -> Account:
        scheme, _, credentials = request.http.header("authorization").partition(" ")
        credentials, address = credentials.strip(), request.remote.address
        if scheme.lower() == "bearer" and credentials:
            return self._service.authenticate_token(credentials, address)
        if scheme.lower() == "basic":
            name, password = _decode_basic(credentials)
            name = name.partition("@")[0]  # IRC clients give `name@device`, as they log in
            is_local = is_loopback(address) and not request.remote.is_proxied
            if not (request.place.scheme == "https" or is_local or self._options().plain_passwords):
                raise InsecureTransport
            return self._service.authenticate_password(name, password, address)
        raise NotLoggedIn

    def _refusal(self, error: WireError, http: HttpRequest) -> HttpError:
        refused = as_http_error(error)
        headers = list(refused.headers)
        if isinstance(error, FileTooLong):
            headers.append(self._limit_header())
        if refused.status == 401:
            # Never Basic unasked, or to a page: a browser would ask for a password by itself, and the page would wait.
            is_basic = http.header("authorization").lower().startswith("basic") and not http.header("origin")
            headers.append(("WWW-Authenticate", 'Basic realm="gmessenger", charset="UTF-8"' if is_basic else "Bearer"))
        return HttpError(refused.status, refused.sentence, headers)

    def _limit_header(self) -> tuple[str, str]:
        return "Upload-Limit", f"maxsize={self._options().max_file}"

    def _file_requests(self, stored: StoredFile) -> tuple[tuple[str, str], ...]:
        is_shown = stored.info.type in SHOWN_TYPES
        named = ("Content-Disposition", disposition(stored.info.name, is_shown=is_shown))
        return (("ETag", self._etag(stored.digest)), named, *FILE_HEADERS)

    def _etag(self, digest: str) -> str:
        return f'"{hashlib.sha256(f"{self._files_id} {digest}".encode()).hexdigest()[:ETAG_DIGITS]}"'


def _content_type(type: str) -> str:
    """Return the type that a file is sent with: what a browser does not show is no more than bytes to it."""
    if type == TEXT_TYPE:
        return PLAIN_TEXT
    return type if type in SHOWN_TYPES else UNKNOWN_TYPE


def _declared_size(request: WebRequest) -> int:
    if not request.http.header("content-length"):
        raise HttpError(411, "The length of the file is needed beforehand.")
    return request.read_body.declared_length


def _decode_basic(credentials: str) -> tuple[str, str]:
    """Return the name and the password of `Authorization: Basic` (RFC 7617). Raises `NotLoggedIn`."""
    try:
        name, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise NotLoggedIn from None
    if not colon or not name or "\0" in name + password:
        raise NotLoggedIn
    return name, password


def _matches(header: str, etag: str) -> bool:
    """Return whether an `If-None-Match` names the file, weakly or not (RFC 9110, section 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return etag in tags or "*" in tags


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn an error of the disk into an answer; one of the connection to the client is none of these."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        log.log_event("file_failed", reason=error.strerror or str(error))
        if error.errno in NO_SPACE:
            raise HttpError(507, "There is no space for the file.") from None
        raise HttpError(503, "The file cannot be kept or read now.", [("Retry-After", "10")]) from None
