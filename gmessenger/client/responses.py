"""Responses of the server: errors, pages of history and search, and conversation lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from gmessenger.errors import WIRE_ERRORS, BadText, WireError
from gmessenger.text import ServerText, Text
from gmessenger.wire.events import (
    BansRequest,
    BlocksRequest,
    ConversationsRequest,
    MembersRequest,
    MessageEvent,
    MutesRequest,
    Request,
    ResponseFrame,
    RoomsRequest,
    Seq,
    UsersRequest,
)
from gmessenger.wire.jim import encode

MIN_ERROR_STATUS: Final = 400
RETRYABLE_STATUSES: Final = frozenset({429, 503})
FORBIDDEN_STATUS: Final = 403
"""What one may not do, one may not do a little later either, even where the server says when it ends."""


def encode_request(request: Request | dict[str, Any]) -> bytes:
    """The request's frame. Raises `BadText` for what UTF-8 cannot say (a lone surrogate)."""
    try:
        return encode(request)
    except UnicodeEncodeError as error:
        raise BadText from error


def is_error(response: ResponseFrame) -> bool:
    return response.response >= MIN_ERROR_STATUS


def error_from_response(response: ResponseFrame) -> WireError:
    """The error an answer tells of; a plain `WireError` where its word is not known here."""
    kind = WIRE_ERRORS.get(response.code or "", WireError)
    sentence = response.error or Text("The server answered {code}.", code=response.response)
    if not isinstance(sentence, Text):  # one of ours is left as it is
        sentence = ServerText(sentence, response.code or "", response.limit, response.retry_after)
    return kind(sentence, limit=response.limit, retry_after=response.retry_after)


def is_retryable(response: ResponseFrame) -> bool:
    """Whether it is a refusal, but the same request may be accepted a little later."""
    later = (
        response.retry_after is not None
        or response.response in RETRYABLE_STATUSES
        or error_from_response(response).retryable
    )
    return is_error(response) and later and response.response != FORBIDDEN_STATUS


ItemT = TypeVar("ItemT")
ListRequest: TypeAlias = (
    UsersRequest | MembersRequest | RoomsRequest | ConversationsRequest | BlocksRequest | BansRequest | MutesRequest
)
MAX_LIST_ITEMS: Final = 100_000
"""Entries after which a list is taken for endless."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message that search found, and the conversation it is from."""

    conversation: str
    delivery: MessageEvent


class SearchResults(list[SearchHit]):
    """What a search found, the newest first. `incomplete` where the server did not look through everything."""

    is_incomplete = False


class ConversationInfo(Struct, frozen=True):
    """A conversation one takes part in: the newest message there is `seq`, of that `time` (None where it is not known).

    `first` is the oldest one may read, `read` how far one has read, on whichever device.
    """

    name: str = field(name="with")
    seq: Seq = 0
    first: Seq = 1
    read: Seq = 0
    time: float | None = None

    @property
    def unread(self) -> int:
        """How many messages are new; one's own count, where one has not said `read` of them."""
        return max(0, self.seq - max(self.read, self.first - 1))


def fetch_all(
    send_request: Callable[[ListRequest], ResponseFrame],
    request: ListRequest,
    get_items: Callable[[ResponseFrame], Sequence[ItemT]],
    get_cursor: Callable[[ItemT], object],
) -> list[ItemT]:
    """All pages of a list, each asked for behind the name that the last one ends with."""
    found: list[ItemT] = []
    while len(found) < MAX_LIST_ITEMS:
        answer = send_request(request)
        found += get_items(answer)
        after = str(get_cursor(found[-1]) or "") if found else ""
        if not answer.more or after in ("", request.after):
            break
        request.after = after
    return found


def parse_conversations(entries: Sequence[dict[str, Any]]) -> Iterator[ConversationInfo]:
    """The conversations that were listed."""
    for entry in entries:
        try:
            yield msgspec.convert(entry, ConversationInfo)
        except msgspec.ValidationError:
            continue  # of a later version


def parse_messages(response: ResponseFrame, conversation: str = "") -> Iterator[tuple[dict[str, Any], MessageEvent]]:
    """What an answer holds, each as it came and as the message it was.

    Of an erased message only its place is left: it is from nobody, at no time.
    """
    for entry in response.messages or ():
        whole = {"action": "msg", "from": "", "to": conversation, "time": 0.0, "message": "", **entry}
        try:
            yield whole, msgspec.convert(whole, MessageEvent)
        except msgspec.ValidationError:
            continue  # of a later version
