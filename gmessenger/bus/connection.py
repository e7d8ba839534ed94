"""Connections to Redis: a URL parsed into an endpoint, a connection, and the pair that a bus uses.

redis-py's `Connection` is used without its client: pools, retries and decoded replies are not needed and cost more than
the rest. It speaks RESP3, where published messages arrive between replies on one connection, in the order in which they
happened.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from redis.connection import Connection, DefaultParser, UnixDomainSocketConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gmessenger.errors import ConfigError
from gmessenger.hosts import ascii_host
from gmessenger.urls import redact_url

RedisCommand: TypeAlias = Sequence[str | bytes | int]
MAX_REPLY: Final = 32 * 2**20  # bytes; twice `publisher.MAX_QUEUED`, the most that a node publishes at once
REPLY_TIMEOUT: Final = 10.0  # seconds from the first byte of a reply to its last
REDIS_ERRORS: Final = (
    RedisError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    MemoryError,
    RecursionError,
)
"""What redis-py raises if a server disconnects, refuses or is not a Redis: it does not validate its input."""


class BoundedParser(DefaultParser):  # type: ignore[misc, valid-type]
    """redis-py's parser with a bound on the size and duration of a reply."""

    _unfinished_bytes = 0
    """Bytes received of a reply that is not complete."""
    _began_at = 0.0

    def handle_pubsub_push_response(self, response: list[Any]) -> list[Any]:
        """Return a published message without formatting it for redis-py's debug log, as the base class does."""
        return response

    def read_from_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Read the available bytes into the parser.

        Raises:
            redis.exceptions.ConnectionError: the reply exceeds `MAX_REPLY` or `REPLY_TIMEOUT`.
        """
        before = self._reader.len()
        read = super().read_from_socket(*args, **kwargs)
        if not self._unfinished_bytes:
            self._began_at = time.monotonic()
        self._unfinished_bytes += self._reader.len() - before
        if self._unfinished_bytes > MAX_REPLY or time.monotonic() - self._began_at > REPLY_TIMEOUT:
            raise RedisConnectionError("its reply is too long")
        return read

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        reply = super().read_response(*args, **kwargs)
        # Not the length of the reader: it includes up to a kilobyte of replies already returned.
        self._unfinished_bytes = 0
        return reply


CONNECTION_OPTIONS: Final[dict[str, Any]] = {
    "protocol": 3,
    "driver_info": None,  # saves two commands per connection
    "decode_responses": False,
    "parser_class": BoundedParser,
    "health_check_interval": 0,
    "retry_on_timeout": False,
    "socket_keepalive": True,
    "socket_read_size": 65_536,
}
"""Settings that override those of the URL."""
URL_PATTERN: Final = re.compile(
    r"(rediss?://([^@/?#]*@)?[^@/?#]*(/[^@?#]*)?|unix://([^@/?#]*@)?/(?![^?]*:[^?]*@)[^?#]*)(\?[^@]*)?", re.DOTALL
)
"""URLs of any other form may be split inside the password; what is parsed as the host is shown in errors."""
HOST_PATTERN: Final = re.compile(r"[\w.-]*|[\dA-Fa-f:.]+(%\w+)?")
MAX_VERSION: Final = 40  # characters
MAX_REASON: Final = 200  # characters of an error message from Redis
URL_FORMS: Final = "redis://HOST:PORT/DATABASE, rediss://HOST:PORT/DATABASE, unix:///PATH"


class RedisConnection:
    """A connection for one greenlet at a time. Every failure is a `ConnectionError` with the reason."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.client_id = int(connection.handshake_metadata[b"id"])
        self.version = connection.handshake_metadata[b"version"].decode("ascii", "replace")[:MAX_VERSION]

    def send(self, *commands: RedisCommand) -> None:
        """Send commands without waiting for the replies; `read` returns them among the published messages."""
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def execute(self, *commands: RedisCommand) -> list[Any]:
        """Send commands in one write and return their replies. An error reply is raised, too."""
        self.send(*commands)
        try:
            return [self._connection.read_response() for _ in commands]
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def read(self, timeout: float) -> Any:
        """Return the next reply or published message (a list); None after `timeout` seconds without one."""
        try:
            return self._connection.read_response(timeout=timeout, disconnect_on_error=False, push_request=True)
        except RedisTimeoutError:
            return None
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def kill_client(self, client_id: int) -> None:
        """Have Redis close another connection and drop its unread commands, if that is permitted."""
        try:
            self._connection.send_command("CLIENT", "KILL", "ID", client_id, check_health=False)
            self._connection.read_response()
        except ResponseError:
            pass  # closed already, or not permitted
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def close(self) -> None:
        self._connection.disconnect()


def _reason(error: Exception) -> str:
    return str(error)[:MAX_REASON] or type(error).__name__


class RedisEndpoint:
    """Address and settings of a Redis."""

    def __init__(self, url: str, timeout: float) -> None:
        """Parse a URL.

        Args:
            timeout: seconds for connecting, and for each read or write.

        Raises:
            ConfigError: the URL is invalid.
        """
        try:
            settings = parse_url(url) | CONNECTION_OPTIONS  # type: ignore[no-untyped-call]
            path = urlsplit(url).path.strip("/")
            self._connection_class = settings.pop("connection_class", Connection)
            is_file = self._connection_class is UnixDomainSocketConnection
            if is_file:
                del settings["socket_keepalive"]
            if not (path if is_file else path.isdigit() or not path) or not URL_PATTERN.fullmatch(url):
                raise ValueError(path)
            if not (is_file or HOST_PATTERN.fullmatch(settings.get("host", ""))):
                raise ValueError(path)
            self._settings = settings | {"socket_timeout": timeout, "socket_connect_timeout": timeout}
            unused = self._connection_class(**self._settings)
            if not is_file:
                ascii_host(unused.host)
        except (ValueError, TypeError, RedisError):
            # Without the cause: it may contain part of a password.
            raise ConfigError(
                f"The bus {redact_url(url)!r} is none of {URL_FORMS} with settings of redis-py."
            ) from None
        self.address = unused.path if is_file else f"{unused.host}:{unused.port}"

    def connect(self) -> RedisConnection:
        """Open a connection. Raises `ConnectionError`. Blocks for at most the timeout of each step."""
        connection = self._connection_class(**self._settings)
        try:
            connection.connect()
            return RedisConnection(connection)
        except REDIS_ERRORS as error:
            connection.disconnect()
            raise ConnectionError(_reason(error)) from error


class ConnectionPair:
    """A connection to publish and one to subscribe, one greenlet each. If one fails, both are replaced.

    A greenlet is not interrupted while it waits for Redis: each such wait is short, and it checks `failure` after it.
    """

    def __init__(self, endpoint: RedisEndpoint, on_failed: Callable[[], None]) -> None:
        """Open both connections. Raises `ConnectionError`."""
        self.failure = ""
        self.subscriber_count = 0
        """Subscribers of the broadcast channel at the last heartbeat, as Redis counted them; they may not all be nodes.
        """
        self._on_failed = on_failed
        self.subscribing = endpoint.connect()
        try:
            self.publishing = endpoint.connect()
        except ConnectionError:
            self.subscribing.close()
            raise

    def fail(self, reason: str) -> None:
        """Record the reason of the first failure, and call `on_failed` for it."""
        if not self.failure:
            self.failure = reason
            self._on_failed()

    def close(self) -> None:
        """Close both connections. Both greenlets must have ended."""
        self.publishing.close()
        self.subscribing.close()
