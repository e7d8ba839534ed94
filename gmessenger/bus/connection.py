"""Lines to a Redis: how its URL is read, and one connection as this package uses it.

A connection of redis-py is taken without the client around it: of that client's pools, retries and answers made nice
nothing is needed here, and they cost more than the rest. It speaks RESP3, where what is published comes between the
answers, so that what is asked on a line that listens is answered in the order in which it happened.

A link: the two lines to Redis for as long as both are well. When one is lost, both are made anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from redis.connection import Connection, DefaultParser, UnixDomainSocketConnection, parse_url
from redis.exceptions import ConnectionError as TooMuch
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NothingRead

from gmessenger.errors import ConfigError
from gmessenger.hosts import ascii_host
from gmessenger.urls import redact_url

RedisCommand: TypeAlias = Sequence[str | bytes | int]
MAX_REPLY: Final = 32 * 2**20  # bytes; the largest batch that a node may have waiting is half of that
REPLY_TIMEOUT: Final = 10.0  # seconds from the first byte of an answer to its last
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
"""Exceptions of redis-py where a server goes away, refuses, or is no Redis: it does not check its input."""


class BoundedParser(DefaultParser):  # type: ignore[misc, valid-type]
    """The library's, within a bound; and it does not make a text of everything published, for a log that is none."""

    _unfinished_bytes = 0
    """Bytes of an answer that has begun and not ended yet."""
    _began_at = 0.0

    def handle_pubsub_push_response(self, response: list[Any]) -> list[Any]:
        return response

    def read_from_socket(self, *given: Any, **named: Any) -> Any:
        """Read the available bytes. Raises redis-py's `ConnectionError` for an answer over a bound of size or time."""
        before = self._reader.len()
        read = super().read_from_socket(*given, **named)
        if not self._unfinished_bytes:
            self._began_at = time.monotonic()
        self._unfinished_bytes += self._reader.len() - before
        if self._unfinished_bytes > MAX_REPLY or time.monotonic() - self._began_at > REPLY_TIMEOUT:
            raise TooMuch("its reply is too long")
        return read

    def read_response(self, *given: Any, **named: Any) -> Any:
        answer = super().read_response(*given, **named)
        self._unfinished_bytes = self._reader.len() if self._reader is not None else 0
        return answer


CONNECTION_OPTIONS: Final[dict[str, Any]] = {
    "protocol": 3,
    "driver_info": None,  # two questions less at every beginning
    "decode_responses": False,
    "parser_class": BoundedParser,
    "health_check_interval": 0,
    "retry_on_timeout": False,
    "socket_keepalive": True,
    "socket_read_size": 65_536,
}
"""What a URL does not choose."""
URL_PATTERN: Final = re.compile(
    r"(rediss?://([^@/?#]*@)?[^@/?#]*(/[^@?#]*)?|unix://([^@/?#]*@)?/(?![^?]*:[^?]*@)[^?#]*)(\?[^@]*)?", re.DOTALL
)
"""In any other URL, part of the password may be parsed as the host, and hosts are shown in errors."""
HOST_PATTERN: Final = re.compile(r"[\w.-]*|[\dA-Fa-f:.]+(%\w+)?")
MAX_VERSION: Final = 40  # characters
MAX_REASON: Final = 200  # characters of what a Redis says of itself
URL_FORMS: Final = "redis://HOST:PORT/DATABASE, rediss://HOST:PORT/DATABASE, unix:///PATH"


class RedisConnection:
    """One connection, for one greenlet at a time. Whatever goes wrong with it is a `ConnectionError` that says why."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.client_id = int(connection.handshake_metadata[b"id"])
        self.version = connection.handshake_metadata[b"version"].decode("ascii", "replace")[:MAX_VERSION]

    def send(self, *commands: RedisCommand) -> None:
        """Send without waiting for answers, which are heard between everything else."""
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def execute(self, *commands: RedisCommand) -> list[Any]:
        """Send all of them at once, and wait for what each is answered. A refusal of one ends the line."""
        self.send(*commands)
        try:
            return [self._connection.read_response() for _ in commands]
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def read(self, timeout: float) -> Any:
        """What comes next, an answer or something published (a list); None where nothing does for so many seconds."""
        try:
            return self._connection.read_response(timeout=timeout, disconnect_on_error=False, push_request=True)
        except NothingRead:
            return None
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def kill_client(self, client_id: int) -> None:
        """Have Redis drop another line, with all that it has not read of it yet; where we may not, it is not done."""
        try:
            self._connection.send_command("CLIENT", "KILL", "ID", client_id, check_health=False)
            self._connection.read_response()
        except ResponseError:
            pass  # it has ended already
        except REDIS_ERRORS as error:
            raise ConnectionError(_reason(error)) from error

    def close(self) -> None:
        self._connection.disconnect()


def _reason(error: Exception) -> str:
    return str(error)[:MAX_REASON] or type(error).__name__


class RedisEndpoint:
    """The Redis that a URL names. Raises `ConfigError` where it names none."""

    def __init__(self, url: str, timeout: float) -> None:
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
            # What was wrong is not told: it may be a piece of a password.
            raise ConfigError(
                f"The bus {redact_url(url)!r} is none of {URL_FORMS} with settings of redis-py."
            ) from None
        self.address = unused.path if is_file else f"{unused.host}:{unused.port}"

    def connect(self) -> RedisConnection:
        """A new line. Raises `ConnectionError`."""
        connection = self._connection_class(**self._settings)
        try:
            connection.connect()
            return RedisConnection(connection)
        except REDIS_ERRORS as error:
            connection.disconnect()
            raise ConnectionError(_reason(error)) from error


class ConnectionPair:
    """One line to speak on and one to listen on, each used by one greenlet, which ends when the link is lost.

    Nobody is interrupted while he waits for Redis: every such wait is a short one.
    """

    def __init__(self, endpoint: RedisEndpoint, on_failed: Callable[[], None]) -> None:
        """Raises `ConnectionError`."""
        self.failure = ""
        self.subscriber_count = 0
        """How many listened to all when this node said first that it is there; strangers may be among them."""
        self._on_failed = on_failed
        self.subscribing = endpoint.connect()
        try:
            self.publishing = endpoint.connect()
        except ConnectionError:
            self.subscribing.close()
            raise

    def fail(self, reason: str) -> None:
        """The link is not well any more, which is told once."""
        if not self.failure:
            self.failure = reason
            self._on_failed()

    def close(self) -> None:
        """When nobody uses it any more."""
        self.publishing.close()
        self.subscribing.close()
