"""Requests that somebody waits for the answer of: users, status, join."""

from __future__ import annotations

import secrets

from gevent.event import AsyncResult

from gmessenger.client.frames import frame_of, refusal, refused
from gmessenger.errors import Unreachable
from gmessenger.sentences import Sentence
from gmessenger.wire.events import Answer, Request


class Questions:
    """Asks, and hands each answer to whoever asked. A question outlives the line: it is asked again on the next."""

    def __init__(self) -> None:
        self._frames: dict[str, bytes] = {}
        self._waiting: dict[str, AsyncResult[Answer]] = {}

    def add(self, request: Request) -> tuple[str, bytes]:
        """Give the request an id; returns it and the frame to send. Raises `BadText`."""
        request.id = secrets.token_urlsafe(12)
        self._frames[request.id] = frame = frame_of(request)
        self._waiting[request.id] = AsyncResult()
        return request.id, frame

    def wait(self, id: str, timeout: float) -> Answer:
        """The answer. Raises the `WireError` it tells of, and `Unreachable` after `timeout` seconds without one."""
        waiting = self._waiting[id]
        try:
            waiting.wait(timeout)  # (a timeout of the caller's own passes through)
        finally:
            del self._waiting[id], self._frames[id]
        if not waiting.ready():
            raise Unreachable(Sentence("The server did not answer within {seconds:g} s.", seconds=timeout))
        answer = waiting.get()
        assert answer is not None
        if refused(answer):
            raise refusal(answer)
        return answer

    def settle(self, answer: Answer) -> bool:
        """Hand an answer over; False where nobody asked."""
        waiting = self._waiting.get(answer.id or "")
        if waiting is not None:
            waiting.set(answer)
        return waiting is not None

    def fail(self, error: Exception) -> None:
        """No answer will come."""
        for waiting in self._waiting.values():
            waiting.set_exception(error)

    def unanswered(self) -> dict[str, bytes]:
        """Ids and frames of what is to be asked again on a new line."""
        return dict(self._frames)
