"""How the program ends: several greenlets may say so, the first one is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult

EXIT_INTERRUPTED: Final = 130
EXIT_HANGUP: Final = 129
HURRY_TIMEOUT: Final = 2.0
"""Seconds that somebody in a hurry gives to answers, and everybody to what is not yet shown."""


class ExitController:
    """The main greenlet waits here, whatever the others are doing."""

    def __init__(self) -> None:
        self._result: AsyncResult[int] = AsyncResult()
        self._exit_hooks: list[Callable[[], object]] = []

    @property
    def is_set(self) -> bool:
        """Whether it was said how."""
        return self._result.ready()

    def exit(self, exit_code: int = 0) -> None:
        if not self._result.ready():
            self._result.set(exit_code)

    def fail(self, error: Exception) -> None:
        if not self._result.ready():
            self._result.set_exception(error)

    def on_exit(self, hook: Callable[[], object]) -> None:
        """Have something done when it was said how the program ends, before it does; it must not take long."""
        self._exit_hooks.append(hook)

    def wait(self) -> int:
        """The exit code; raises what was failed with."""
        self._result.wait()
        for act in self._exit_hooks:
            act()
        code = self._result.get()
        assert code is not None
        return code

    def spawn(self, function: Callable[..., object], *arguments: object) -> Greenlet[..., object]:
        """A greenlet whose failure ends the program."""

        def guarded() -> None:
            try:
                function(*arguments)
            except Exception as error:
                self.fail(error)

        return gevent.spawn(guarded)
