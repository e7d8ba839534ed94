"""Run a command for each notification of an absent user: `--notify-command`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Final

import msgspec
from gevent.queue import Empty, Full, Queue
from gevent.subprocess import Popen, TimeoutExpired

from gmessenger import log
from gmessenger.chat.notifier import Notification
from gmessenger.processes import message_variables, start_command, terminate_command

MAX_QUEUED: Final = 1000
"""Notifications that wait for the command; more are dropped, and counted."""
WORKERS: Final = 2
"""Commands that run at one time."""
OWN_PREFIX: Final = "MESSENGER_"
"""Of the server's own variables, which may have passwords; the command has none of them."""
POLL_INTERVAL: Final = 5.0
"""Seconds after which a worker without work looks whether the server has stopped."""


class NotifyCommand:
    """The queue of notifications, and the workers that run the command without a shell.

    `timeout`: seconds after which a command is terminated.
    """

    def __init__(self, command: str, timeout: float) -> None:
        self._arguments = shlex.split(command)
        self._timeout = timeout
        self._queue: Queue[Notification] = Queue(MAX_QUEUED)
        self.dropped = 0

    def put(self, notification: Notification) -> None:
        """Queue a notification; drop it if the queue is full. Never blocks."""
        try:
            self._queue.put_nowait(notification)
        except Full:
            self.dropped += 1
            if self.dropped == 1 or self.dropped % MAX_QUEUED == 0:
                log.log_event("notifications_dropped", count=self.dropped)

    def run(self, wait_stopped: Callable[[float], bool]) -> None:
        """Run the command for one notification after the other until the server stops. Runs in a greenlet."""
        while not wait_stopped(0):
            try:
                notification = self._queue.get(timeout=POLL_INTERVAL)
            except Empty:
                continue
            if (fault := self._run_once(notification)) is not None:
                log.log_event("notification_failed", name=notification.user, reason=fault)

    def _run_once(self, notification: Notification) -> str | None:
        """Run the command; return why it failed, or None."""
        variables = message_variables(
            USER=notification.user,
            FROM=notification.sender,
            CONVERSATION=notification.conversation,
            TEXT=notification.text,
            TIME=f"{notification.time:.6f}",
            SEQ=str(notification.seq),
        )
        secrets = [name for name in os.environ if name.startswith(OWN_PREFIX)]
        try:
            process = start_command(
                self._arguments, variables, msgspec.json.encode(notification) + b"\n", removed=secrets
            )
        except OSError as error:
            return error.strerror or str(error)
        return self._wait(process)

    def _wait(self, process: Popen[bytes]) -> str | None:
        try:
            code = process.wait(self._timeout)
        except TimeoutExpired:
            terminate_command(process)
            return f"it ran longer than {self._timeout:g} s"
        return f"exit code {code}" if code else None
