"""Lines to a Redis: how its URL is read, and one connection as this package uses it.

A connection of redis-py is taken without the client around it: of that client's pools, retries and answers made nice
nothing is needed here, and they cost more than the rest. It speaks RESP3, where what is published comes between the
answers, so that what is asked on a line that listens is answered in the order in which it happened.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from redis.connection import Connection, DefaultParser, UnixDomainSocketConnection, parse_url
from redis.exceptions import ConnectionError as TooMuch
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NothingRead

from gmessenger.errors import ConfigProblem
from gmessenger.hosts import resolver_name
from gmessenger.urls import masked

Command: TypeAlias = Sequence[str | bytes | int]
MAX_ANSWER: Final = 32 * 2**20  # bytes; the largest batch that a node may have waiting is half of that
ANSWER_TIMEOUT: Final = 10.0  # seconds from the first byte of an answer to its last
FAULTS: Final = (RedisError, OSError, ValueError, TypeError, LookupError, AttributeError, MemoryError, RecursionError)
"""Exceptions of redis-py where a server goes away, refuses, or is no Redis: it does not check its input."""


class Parser(DefaultParser):  # type: ignore[misc, valid-type]
    """The library's, within a bound; and it does not make a text of everything published, for a log that is none."""

    _unfinished = 0
    """Bytes of an answer that has begun and not ended yet."""
    _began = 0.0

    def handle_pubsub_push_response(self, response: list[Any]) -> list[Any]:
        return response

    def read_from_socket(self, *given: Any, **named: Any) -> Any:
        """Read the available bytes. Raises redis-py's `ConnectionError` for an answer over a bound of size or time."""
        before = self._reader.len()
        read = super().read_from_socket(*given, **named)
        if not self._unfinished:
            self._began = time.monotonic()
        self._unfinished += self._reader.len() - before
        if self._unfinished > MAX_ANSWER or time.monotonic() - self._began > ANSWER_TIMEOUT:
            raise TooMuch("its reply is too long")
        return read

    def read_response(self, *given: Any, **named: Any) -> Any:
        answer = super().read_response(*given, **named)
        self._unfinished = self._reader.len() if self._reader is not None else 0
        return answer


OURS: Final[dict[str, Any]] = {
    "protocol": 3,
    "driver_info": None,  # two questions less at every beginning
    "decode_responses": False,
    "parser_class": Parser,
    "health_check_interval": 0,
    "retry_on_timeout": False,
    "socket_keepalive": True,
    "socket_read_size": 65_536,
}
"""What a URL does not choose."""
WELL_FORMED: Final = re.compile(
    r"(rediss?://([^@/?#]*@)?[^@/?#]*(/[^@?#]*)?|unix://([^@/?#]*@)?/(?![^?]*:[^?]*@)[^?#]*)(\?[^@]*)?", re.DOTALL
)
"""In any other URL, part of the password may be parsed as the host, and hosts are shown in errors."""
A_HOST: Final = re.compile(r"[\w.-]*|[\dA-Fa-f:.]+(%\w+)?")
LONGEST_VERSION: Final = 40  # characters
LONGEST_REASON: Final = 200  # characters of what a Redis says of itself
FORMS: Final = "redis://HOST:PORT/DATABASE, rediss://HOST:PORT/DATABASE, unix:///PATH"


class Line:
    """One connection, for one greenlet at a time. Whatever goes wrong with it is a `ConnectionError` that says why."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.id = int(connection.handshake_metadata[b"id"])
        self.version = connection.handshake_metadata[b"version"].decode("ascii", "replace")[:LONGEST_VERSION]

    def tell(self, *commands: Command) -> None:
        """Send without waiting for answers, which are heard between everything else."""
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except FAULTS as error:
            raise ConnectionError(_reason(error)) from error

    def ask(self, *commands: Command) -> list[Any]:
        """Send all of them at once, and wait for what each is answered. A refusal of one ends the line."""
        self.tell(*commands)
        try:
            return [self._connection.read_response() for _ in commands]
        except FAULTS as error:
            raise ConnectionError(_reason(error)) from error

    def hear(self, patience: float) -> Any:
        """What comes next, an answer or something published (a list); None where nothing does for so many seconds."""
        try:
            return self._connection.read_response(timeout=patience, disconnect_on_error=False, push_request=True)
        except NothingRead:
            return None
        except FAULTS as error:
            raise ConnectionError(_reason(error)) from error

    def end(self, line: int) -> None:
        """Have Redis drop another line, with all that it has not read of it yet; where we may not, it is not done."""
        try:
            self._connection.send_command("CLIENT", "KILL", "ID", line, check_health=False)
            self._connection.read_response()
        except ResponseError:
            pass  # it has ended already
        except FAULTS as error:
            raise ConnectionError(_reason(error)) from error

    def close(self) -> None:
        self._connection.disconnect()


def _reason(error: Exception) -> str:
    return str(error)[:LONGEST_REASON] or type(error).__name__


class Exchange:
    """The Redis that a URL names. Raises `ConfigProblem` where it names none."""

    def __init__(self, url: str, patience: float) -> None:
        try:
            settings = parse_url(url) | OURS  # type: ignore[no-untyped-call]
            path = urlsplit(url).path.strip("/")
            self._kind = settings.pop("connection_class", Connection)
            is_file = self._kind is UnixDomainSocketConnection
            if is_file:
                del settings["socket_keepalive"]
            if not (path if is_file else path.isdigit() or not path) or not WELL_FORMED.fullmatch(url):
                raise ValueError(path)
            if not (is_file or A_HOST.fullmatch(settings.get("host", ""))):
                raise ValueError(path)
            self._settings = settings | {"socket_timeout": patience, "socket_connect_timeout": patience}
            unused = self._kind(**self._settings)
            if not is_file:
                resolver_name(unused.host)
        except (ValueError, TypeError, RedisError):
            # What was wrong is not told: it may be a piece of a password.
            raise ConfigProblem(f"The bus {masked(url)!r} is none of {FORMS} with settings of redis-py.") from None
        self.address = unused.path if is_file else f"{unused.host}:{unused.port}"

    def dial(self) -> Line:
        """A new line. Raises `ConnectionError`."""
        connection = self._kind(**self._settings)
        try:
            connection.connect()
            return Line(connection)
        except FAULTS as error:
            connection.disconnect()
            raise ConnectionError(_reason(error)) from error
