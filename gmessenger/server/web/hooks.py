"""The route of hooks: other programs post to `/hook/<token>`, and what they say becomes a message of the hook's room.

Answers are those of Slack's incoming webhooks, which such programs know: Grafana and Alertmanager take any body but
`ok` for a failure, and post again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from gevent.lock import BoundedSemaphore

from gmessenger import log
from gmessenger.chat.hook_posts import HookPost, HookPoster, OpenedHook
from gmessenger.chat.hooks import HOOK_PATH
from gmessenger.errors import Forbidden, NoSuchHook, NoSuchRoom, NotMember, RateLimited, RoomClosed, WireError
from gmessenger.server.web.responses import as_http_error
from gmessenger.server.web.routes import Route, WebRequest
from gmessenger.threads import run_in_thread
from gmessenger.wire.hook_payloads.translation import MAX_BODY, NoTextError, Translation
from gmessenger.wire.http import HttpError, HttpResponse

OK: Final = HttpResponse(200, b"ok")
NO_TEXT: Final = HttpError(400, "no_text")
REFUSALS: Final[tuple[tuple[type[WireError], int, str], ...]] = (
    (NoSuchHook, 404, "no_service"),
    (NoSuchRoom, 404, "no_service"),
    (NotMember, 404, "no_service"),
    (RoomClosed, 410, "channel_is_archived"),
    (Forbidden, 403, "action_prohibited"),
    (RateLimited, 429, "rate_limited"),
)
"""Status and word of an error: the first row of which it is one. Others are answered with their own."""
LARGE_BODY: Final = 16_384
"""Bytes above which a body is translated in a thread: that may take a tenth of a second."""


class HookRoute:
    """Answers posts to hooks. Blocks until the message is on disk."""

    def __init__(self, poster: HookPoster, max_text: Callable[[], int], outcomes: Counter[str]) -> None:
        """`max_text` returns the characters that a message may have; `outcomes` counts what becomes of posts."""
        self._poster = poster
        self._max_text = max_text
        self._outcomes = outcomes
        self._large_body_turn = BoundedSemaphore()  # one at a time: each may take tens of megabytes
        self.route = Route(HOOK_PATH, {"POST": self.post}, origins="none")

    def post(self, request: WebRequest) -> HttpResponse:
        """Post what a program says. Raises `HttpError` where its body cannot be read."""
        name: str | None = None
        try:
            opened = self._poster.open(request.rest.rstrip("/"), request.remote.address)
            name = opened.hook.name
            outcome = self._post(opened, request)
        except (WireError, NoTextError) as error:
            refused, code = _refusal(error)
            self._outcomes[code] += 1
            log.log_event("hook_refused", name=name, address=request.remote.address, code=code)
            return refused.response()
        self._outcomes[outcome] += 1
        return OK

    def _post(self, opened: OpenedHook, request: WebRequest) -> str:
        """Post the message of a body, if it has one; return the outcome. Raises `WireError` or `NoTextError`."""
        body = request.read_body(MAX_BODY)
        self._poster.charge(opened, len(body))
        translation = self._translate(request, body)
        if translation is None:
            raise NoTextError
        if not translation.text:
            return "silent"
        self._poster.post(opened, HookPost(translation.text, translation.key, translation.firing, translation.resolved))
        return "stored"

    def _translate(self, request: WebRequest, body: bytes) -> Translation | None:
        """Return what a body says; None where it says nothing that is understood."""
        from gmessenger.wire.hook_payloads.senders import translate  # loads slowly, and few servers have hooks

        headers, max_text = request.http.headers, self._max_text()

        def run() -> Translation | None:
            try:
                return translate(headers, body, max_text)
            except NoTextError:
                return None

        if len(body) <= LARGE_BODY:
            return run()
        with self._large_body_turn:
            return run_in_thread(run)


def _refusal(error: WireError | NoTextError) -> tuple[HttpError, str]:
    """Return how an error is answered, and its code."""
    if isinstance(error, NoTextError):
        return NO_TEXT, NO_TEXT.sentence
    answer = as_http_error(error)
    for kind, status, word in REFUSALS:
        if isinstance(error, kind):
            return HttpError(status, word, answer.headers), error.code
    return HttpError(answer.status, error.code, answer.headers), error.code
