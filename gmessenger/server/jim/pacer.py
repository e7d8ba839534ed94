"""The pace of frames to a course client: no faster than it reads them, and each by itself.

Most course clients take what one `recv` returns for one object. Frames are written from a timer of the loop, so that a
connection needs no greenlet besides its reading one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from gmessenger.server.net.connection import Connection
from gmessenger.wire.dialects import FRAME_INTERVAL

MAX_ANSWERS: Final = 4
"""Answers that wait. A client that waits for each has one at most; one that does not is not sent the rest."""
MAX_AHEAD: Final = 4
"""Answers, one after the other, that go ahead of a message that waits."""


class CoursePacer:
    """Writes the frames of one connection: answers first, then messages, as far apart as the client needs.

    Args:
        interval: returns the seconds between frames.
        pull: removes the next frame of a message from where it waits and returns it; None if there is none.
    """

    __slots__ = (
        "_answers",
        "_answers_ahead",
        "_connection",
        "_interval",
        "_next_allowed_at",
        "_pull",
        "_timer",
        "_written_at",
    )

    def __init__(self, connection: Connection, interval: Callable[[], float], pull: Callable[[], bytes | None]) -> None:
        self._connection = connection
        self._interval = interval
        self._pull = pull
        self._answers: list[bytes] = []  # no deque: an empty one takes more than half a kilobyte
        self._answers_ahead = 0
        self._next_allowed_at = 0.0  # monotonic seconds, after the latest response
        self._written_at = 0.0  # monotonic seconds
        self._timer: Any = None

    def respond(self, frame: bytes, gap: float = FRAME_INTERVAL) -> None:
        """Write a response at once, and nothing else for `gap` seconds: every client waits for it and reads."""
        self._connection.writer.write(frame)
        self._next_allowed_at = time.monotonic() + gap

    def answer(self, frame: bytes) -> None:
        """Write an answer ahead of the messages that wait, unless `MAX_ANSWERS` wait already."""
        if len(self._answers) < MAX_ANSWERS:
            self._answers.append(frame)
            self.schedule()

    def schedule(self) -> None:
        """Start the timer that writes what waits, unless it runs. Never blocks."""
        if self._timer is None:
            self._timer = self._connection.context.hub.loop.timer(max(0.0, self._next_at - time.monotonic()))
            self._timer.start(self._connection.context.supervisor.guard("course pacing", self._on_timer))

    def close(self) -> None:
        """Write nothing more, and let go of the handler."""
        self._stop_timer()
        self._answers.clear()
        self._pull = lambda: None

    @property
    def _next_at(self) -> float:
        """When the next frame may be written, in monotonic seconds."""
        return max(self._next_allowed_at, self._written_at + self._interval())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _on_timer(self) -> None:
        self._stop_timer()
        if self._connection.is_closing:
            return
        writer = self._connection.writer
        if writer.is_blocked:  # the client reads nothing: the write timeout ends the connection
            self._next_allowed_at = time.monotonic() + FRAME_INTERVAL
        elif time.monotonic() < self._next_at:
            pass
        elif (frame := self._next_frame()) is not None:
            writer.write(frame)
            self._written_at = time.monotonic()
        else:
            return
        self.schedule()

    def _next_frame(self) -> bytes | None:
        """Remove the next frame. If several answers wait, the client does not wait for them: messages take turns."""
        most_ahead = MAX_AHEAD if len(self._answers) == 1 else 1
        if self._answers and self._answers_ahead < most_ahead:
            self._answers_ahead += 1
            return self._answers.pop(0)
        self._answers_ahead = 0
        frame = self._pull()
        return self._answers.pop(0) if frame is None and self._answers else frame
