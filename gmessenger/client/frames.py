"""Requests as bytes, and what the server's answers to them mean."""

from __future__ import annotations

from typing import Any, Final

from gmessenger.errors import WIRE_ERRORS, BadText, WireError
from gmessenger.sentences import Refusal, Sentence
from gmessenger.wire.encoding import encode
from gmessenger.wire.events import Answer, Request

FIRST_REFUSAL: Final = 400
TRY_LATER: Final = frozenset({429, 503})
FORBIDDEN: Final = 403
"""What one may not do, one may not do a little later either, even where the server says when it ends."""


def frame_of(request: Request | dict[str, Any]) -> bytes:
    """The request's frame. Raises `BadText` for what UTF-8 cannot say (a lone surrogate)."""
    try:
        return encode(request)
    except UnicodeEncodeError as error:
        raise BadText from error


def refused(answer: Answer) -> bool:
    return answer.response >= FIRST_REFUSAL


def refusal(answer: Answer) -> WireError:
    """The error an answer tells of; a plain `WireError` where its word is not known here."""
    kind = WIRE_ERRORS.get(answer.code or "", WireError)
    sentence = answer.error or Sentence("The server answered {code}.", code=answer.response)
    if not isinstance(sentence, Sentence):  # one of ours is left as it is
        sentence = Refusal(sentence, answer.code or "", answer.limit, answer.retry_after)
    return kind(sentence, limit=answer.limit, retry_after=answer.retry_after)


def wanted_later(answer: Answer) -> bool:
    """Whether it is a refusal, but the same request may be accepted a little later."""
    later = answer.retry_after is not None or answer.response in TRY_LATER or refusal(answer).retry
    return refused(answer) and later and answer.response != FORBIDDEN
