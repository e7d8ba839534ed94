"""What responses of the web endpoint have in common: headers that keep browsers from harm, and statuses of errors."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import Final

from msgspec.structs import replace

from gmessenger.errors import WireError
from gmessenger.wire.http import HttpError, HttpResponse

SECURITY_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
)
STRICT_TRANSPORT: Final = ("Strict-Transport-Security", "max-age=31536000")
"""For a year, browsers reach this host by https only (RFC 6797)."""
DEFAULT_RETRY_AFTER: Final = 10.0  # seconds
CODE_HEADER: Final = "Gmessenger-Code"
"""Has the code of an error, by which programs tell errors with one status from another."""
HTTP_STATUSES: Final = {402: 401}
"""The HTTP status for a status of JIM that means something else there: wrong credentials are 402 in JIM."""


def as_http_error(error: WireError) -> HttpError:
    """Return how HTTP says an error: its status and sentence, and when to try again."""
    status = HTTP_STATUSES.get(error.status, error.status)
    headers = [(CODE_HEADER, error.code)]
    if error.retryable or error.retry_after is not None:
        headers.append(("Retry-After", str(math.ceil(error.retry_after or DEFAULT_RETRY_AFTER))))
    return HttpError(status, str(error), headers)


def finish_response(response: HttpResponse, *, is_encrypted: bool) -> HttpResponse:
    """Return a response with the headers that all have."""
    strict = (STRICT_TRANSPORT,) if is_encrypted else ()
    date = ("Date", formatdate(usegmt=True))
    return replace(response, headers=(*response.headers, date, *SECURITY_HEADERS, *strict))
