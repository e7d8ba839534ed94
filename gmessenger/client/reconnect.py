"""The reconnector: serves a connection until it is lost, then reconnects with growing delays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent
from gevent import Greenlet

from gmessenger.backoff import Backoff
from gmessenger.client.config import Timeouts
from gmessenger.client.connection import ServerBusy, ServerConnection, describe_error
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import Disconnected
from gmessenger.client.handshake import Handshake
from gmessenger.client.receiver import Receiver
from gmessenger.client.sender import Sender
from gmessenger.errors import LoggedInElsewhere, NameInUse, Refused, Unreachable, WireError
from gmessenger.text import Fragment, Text
from gmessenger.wire.events import ResponseFrame

SERVER_STOPPING: Final = Text("the server has announced that it is stopping")


class Reconnector:
    """Keeps a client connected, in two greenlets while it is and in one while it is not.

    `on_connected(response, reconnected)` is called after each login; `on_closed(error)` once, with the error that ends
    the client: `Unreachable`, `Refused`, or a defect of this program.
    """

    def __init__(
        self,
        handshake: Handshake,
        timeouts: Timeouts,
        event_queue: EventQueue,
        sender: Sender,
        receiver: Receiver,
        *,
        on_connected: Callable[[ResponseFrame, bool], object],
        on_closed: Callable[[Exception], object],
    ) -> None:
        self._handshake = handshake
        self._timeouts = timeouts
        self._event_queue = event_queue
        self._sender = sender
        self._receiver = receiver
        self._backoff = Backoff(timeouts.initial_backoff, timeouts.max_backoff)
        self._greenlet: Greenlet[..., object] | None = None
        self._connection: ServerConnection | None = None
        self._gave_up_at: float | None = None
        self._on_connected = on_connected
        self._on_closed = on_closed
        self.connected = False

    def start(self) -> None:
        """Log in, and stay connected from then on. Blocks. Raises `Unreachable` or `Refused` if the login fails."""
        try:
            connection, response = self._handshake.connect()
        except WireError as error:
            raise Refused(str(error)) from error
        except OSError as error:
            message = Text(
                "Cannot reach {place}: {reason}.", place=self._handshake.address, reason=Fragment(describe_error(error))
            )
            raise Unreachable(message) from error
        self._attach(connection, response, reconnected=False)
        self._greenlet = gevent.spawn(self._run, connection)

    def stop(self, final_frames: bytes) -> None:
        """Send `final_frames` and log out if connected, and do not reconnect. Does not block."""
        if self._greenlet is not None:
            self._greenlet.kill()
        if self._connection is not None:
            self._connection.say_goodbye(final_frames)

    def _run(self, connection: ServerConnection) -> None:
        try:
            reconnected = False
            while True:
                reason = self._serve(connection, reconnected=reconnected)
                connection = self._reconnect(reason)
                reconnected = True
        except Exception as error:
            self._disconnect()
            self._on_closed(error)

    def _serve(self, connection: ServerConnection, *, reconnected: bool) -> str:
        """Use a connection until it is lost; return the reason. Raises `Refused`."""
        connected_at = time.monotonic()
        sender = gevent.spawn(self._run_sender, connection)
        try:
            self._receiver.run(connection, reconnected=reconnected)
        except OSError as error:
            self._disconnect()
            return SERVER_STOPPING if self._receiver.reconnect_after is not None else Fragment(describe_error(error))
        except Refused as error:
            if not isinstance(error.__cause__, LoggedInElsewhere) or not self._is_own_stale_login():
                raise
            self._disconnect()
            return Fragment(str(error))
        finally:
            self.connected = False
            sender.kill()
            self._sender.reset()
            if time.monotonic() - connected_at >= self._timeouts.stable_after:
                self._backoff.reset()

    def _is_own_stale_login(self) -> bool:
        """Return whether this session was replaced by a login of ours that had timed out; once for each such login."""
        gave_up_at, self._gave_up_at = self._gave_up_at, None
        return gave_up_at is not None and time.monotonic() - gave_up_at < self._timeouts.stale_login

    def _run_sender(self, connection: ServerConnection) -> None:
        try:
            self._sender.run(connection)
        except Exception as error:
            connection.fail(error)

    def _reconnect(self, reason: str) -> ServerConnection:
        """Log in again, with growing delays between the attempts. Blocks. Raises `Unreachable` or `Refused`."""
        lost_at = time.monotonic()
        retry_after = 0.0
        attempt = 0
        while True:
            attempt += 1
            remaining = self._timeouts.retry_for - (time.monotonic() - lost_at)
            self._wait_before_attempt(reason, retry_after, attempt, remaining)
            try:
                connection, response = self._handshake.connect()
            except WireError as error:
                if not isinstance(error, NameInUse) or time.monotonic() - lost_at >= self._timeouts.name_in_use:
                    raise Refused(str(error)) from error
                reason, retry_after = Fragment(str(error)), 0.0
            except OSError as error:
                self._gave_up_at = time.monotonic()
                reason = Fragment(describe_error(error))
                retry_after = error.retry_after if isinstance(error, ServerBusy) else 0.0
            else:
                self._attach(connection, response, reconnected=True)
                return connection

    def _wait_before_attempt(self, reason: str, retry_after: float, attempt: int, remaining: float) -> None:
        """Sleep before an attempt, at least `retry_after` seconds. Raises `Unreachable` if no time is `remaining`."""
        if attempt > 1 and remaining <= 0:
            raise Unreachable(
                Text(
                    "The connection to {place} was lost and could not be restored within {seconds:g} s: {reason}.",
                    place=self._handshake.address,
                    seconds=self._timeouts.retry_for,
                    reason=reason,
                )
            )
        delay = min(self._retry_delay(retry_after, attempt), max(remaining, 0.0))
        if attempt == 1 or self._event_queue.wait_for_room(0):  # a program that does not read misses the repetitions
            self._event_queue.put(Disconnected(reason, delay, attempt))
        gevent.sleep(delay)

    def _retry_delay(self, retry_after: float, attempt: int) -> float:
        """Return the seconds to sleep: the backoff's, or what the server requested if that is longer."""
        if attempt == 1 and self._receiver.reconnect_after is not None:
            return self._backoff.spread_requested(self._cap_retry_after(self._receiver.reconnect_after))
        return self._backoff.next_delay(at_least=self._cap_retry_after(retry_after))

    def _cap_retry_after(self, retry_after: float) -> float:
        return min(max(retry_after, 0.0), self._timeouts.max_retry_after)

    def _attach(self, connection: ServerConnection, response: ResponseFrame, *, reconnected: bool) -> None:
        self._connection = connection
        try:
            self._on_connected(response, reconnected)
        except Refused:
            self._disconnect()
            raise
        self.connected = True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
