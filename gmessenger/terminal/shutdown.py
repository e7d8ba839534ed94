"""The end of the program: several greenlets may end it, and the first exit code or error counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult

EXIT_INTERRUPTED: Final = 130
EXIT_HANGUP: Final = 129
HURRY_TIMEOUT: Final = 2.0
"""Seconds to wait for responses after Ctrl-C, and for output that is not yet shown."""


class ExitController:
    """Take the first exit code or error of any greenlet, and end the main greenlet's wait."""

    def __init__(self) -> None:
        self._result: AsyncResult[int] = AsyncResult()
        self._exit_hooks: list[Callable[[], object]] = []

    @property
    def is_set(self) -> bool:
        """Whether there is an exit code or an error."""
        return self._result.ready()

    def exit(self, exit_code: int = 0) -> None:
        """End the program with an exit code, unless it is ending already."""
        if not self._result.ready():
            self._result.set(exit_code)

    def fail(self, error: Exception) -> None:
        """End the program with an error, unless it is ending already."""
        if not self._result.ready():
            self._result.set_exception(error)

    def on_exit(self, hook: Callable[[], object]) -> None:
        """Add a hook that the main greenlet calls before `wait` returns. It must not take long."""
        self._exit_hooks.append(hook)

    def wait(self) -> int:
        """Wait for the end. Return the exit code, or raise the error. Call it in the main greenlet."""
        self._result.wait()
        for hook in self._exit_hooks:
            hook()
        code = self._result.get()
        assert code is not None
        return code

    def spawn(self, function: Callable[..., object], *arguments: object) -> Greenlet[..., object]:
        """Spawn a greenlet whose error ends the program."""

        def guarded() -> None:
            try:
                function(*arguments)
            except Exception as error:
                self.fail(error)

        return gevent.spawn(guarded)
