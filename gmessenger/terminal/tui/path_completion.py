"""Completion of paths. Folders are read in threads, as a network mount may not answer: no key waits for that."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Final

from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool
from prompt_toolkit.completion import Completion

from gmessenger.sanitize import sanitize
from gmessenger.terminal.local_paths import HOME, FoundName, PathDraft, find_names, parse_beginning, quote_path

MAX_READING: Final = 2
"""Folders that may be read at a time; while so many hang, no path is completed."""
READ_TIMEOUT: Final = 1.0
"""Seconds after which a folder is given up. In half of that a large one is read as far as it goes."""
MAX_PATHS: Final = 50
"""Paths that are offered at once; with more, the user types on."""


class PathCompleter:
    """Completes paths with files and folders. Used in the screen's greenlet."""

    def __init__(self) -> None:
        self._pool = ThreadPool(MAX_READING)  # of its own: a thread that hangs must not hold up what others wait for
        self._reading_count = 0

    async def complete(self, typed: str) -> list[Completion]:
        """Return the completions of a path, of which so much was typed."""
        beginning = parse_beginning(typed)
        if beginning is None:
            return []
        if beginning.path == HOME:
            return [_completion(FoundName(HOME, is_folder=True), beginning, -len(typed))]
        return [_completion(found, beginning, -len(typed)) for found in await self._find(beginning)]

    async def _find(self, beginning: PathDraft) -> list[FoundName]:
        """Return what the folder has; nothing if that is not known within READ_TIMEOUT seconds."""
        if self._reading_count >= MAX_READING:
            return []
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[FoundName]] = loop.create_future()
        self._reading_count += 1
        result = self._pool.spawn(find_names, beginning, MAX_PATHS, time.monotonic() + READ_TIMEOUT / 2)
        result.rawlink(partial(self._on_read, loop, found))
        try:
            return await asyncio.wait_for(found, READ_TIMEOUT)
        except TimeoutError:
            return []

    def _on_read(
        self,
        loop: asyncio.AbstractEventLoop,
        found: asyncio.Future[list[FoundName]],
        result: AsyncResult[list[FoundName]],
    ) -> None:
        """Hand over what a thread has read; called in the hub."""
        self._reading_count -= 1
        names = (result.value or []) if result.successful() else []
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if found.done() else found.set_result(names))


def _completion(found: FoundName, beginning: PathDraft, start: int) -> Completion:
    folder, slash = beginning.folder, "/" if found.is_folder else ""
    if not folder and found.name.startswith(HOME) and beginning.path != HOME:
        folder = "./"  # else it would be somebody's home folder
    text = quote_path(f"{folder}{found.name}{slash}", beginning.quote, is_whole=not found.is_folder)
    return Completion(text, start, display=f"{sanitize(found.name)}{slash}")
