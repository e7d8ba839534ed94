"""Connection settings and the connection pool of PostgreSQL; a connection that failed is discarded."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, LiteralString, TypeAlias, TypeVar

import gevent
import psycopg
from gevent.lock import BoundedSemaphore
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from gmessenger.errors import ConfigError, ExitError, FileError, NotStorable, StoreUnavailable
from gmessenger.hosts import ascii_host
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.urls import redact_url

CONNECT_TIMEOUT: Final = 5
"""Seconds after which a server that does not answer is not there."""
SERVER_REFUSAL: Final = re.compile("FATAL:|no password supplied")
"""What a server's own refusal begins with, or ours to go on with it; anything else is about the way there."""
TRANSIENT_REFUSAL: Final = re.compile("starting up|shutting down|recovery|too many|remaining connection slots")
"""Refusals that pass by themselves."""
URL_FORM: Final = re.compile(r"postgres(ql)?://([^:@/]*(:[^@/]*)?@)?[^@/?]*(/[^@/?]*)?(\?[^@]*)?", re.DOTALL)
"""libpq takes more, and then looks for a host by a piece of the password, and says so."""
EMPTY_URLS: Final = ("postgresql://", "postgres://", "postgresql:///", "postgres:///")
HOST_FORM: Final = re.compile(r"/[^@]*|@[\w.-]+|[\w.-]*|[\dA-Fa-f:.]+(%\w+)?")
MIN_SERVER_VERSION: Final = 13_00_00
DEFAULT_PARAMETERS: Final = {
    "application_name": "gmessenger",
    # A network that is cut says nothing: what was sent and is not answered for so long is lost.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
SESSION_SETTINGS: Final[LiteralString] = (
    "SELECT set_config('statement_timeout', %(timeout)s, false), set_config('lock_timeout', '0', false), "
    # A node that stands still in the middle of a transaction must not hold up the others.
    "set_config('idle_in_transaction_session_timeout', '5s', false), "
    # Nor one whose network is cut, and in the middle of a pipeline the server knows no other limit.
    "set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false), "
    "set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10000', false), "
    "set_config('default_transaction_isolation', 'read committed', false), "
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') "
    "THEN 'on' ELSE current_setting('synchronous_commit') END, false), "
    "current_setting('server_encoding')"
)


class ConnectionSettings:
    """What a URL names; `shown` is the URL with its password masked."""

    def __init__(self, url: str, timeout: float) -> None:
        """Raises `ConfigError` for a URL that libpq does not understand."""
        self.shown_url = redact_url(url)
        self._timeout = timeout
        try:
            self._parameters = conninfo_to_dict(url) if URL_FORM.fullmatch(url) else {}
        except psycopg.ProgrammingError:
            self._parameters = {}
        if (not self._parameters and url not in EMPTY_URLS) or not _is_plausible(self._parameters):
            raise ConfigError(f"The store {self.shown_url} is not a valid URL{self._explain_url()}.") from None
        self._hosts = [host for host in str(self._parameters.get("host") or "").split(",") if host]
        try:
            self._resolver_names = {host: ascii_host(host) for host in self._hosts if not host.startswith(("/", "@"))}
        except ValueError:
            raise ConfigError(f"The store {self.shown_url} has an invalid host name.") from None

    def _explain_url(self) -> str:
        """What libpq says of it, unless that is about the password."""
        try:
            conninfo_to_dict(self.shown_url)
        except psycopg.ProgrammingError as error:
            return f": {str(error).strip()}"
        return ": in its password, write characters other than letters and digits as %XX"

    def connect(self) -> Connection[Any]:
        """A connection, as the store needs it. Raises psycopg's errors."""
        found = self._resolve_hosts()
        timeout = int(found.pop("connect_timeout", None) or CONNECT_TIMEOUT)
        db = psycopg.connect(**{**DEFAULT_PARAMETERS, **found}, connect_timeout=timeout, autocommit=True)
        try:
            self._set_up_session(db)
        except BaseException:
            db.close()
            raise
        return db

    def connect_first(self) -> Connection[Any]:
        """The first connection. Raises `ConfigError` or `FileError` where there cannot be one."""
        try:
            return self.connect()
        except (psycopg.Error, OSError) as error:
            raise self.to_error(error) from None

    def to_error(self, error: Exception) -> ExitError:
        """Why a program has to end."""
        sentence = f"Cannot open the store {self.shown_url}: {describe_error(error)}."
        lasts = SERVER_REFUSAL.search(str(error)) and not TRANSIENT_REFUSAL.search(str(error))
        return ConfigError(sentence) if lasts else FileError(sentence)

    def _set_up_session(self, db: Connection[Any]) -> None:
        if db.info.server_version < MIN_SERVER_VERSION:
            raise ConfigError(
                f"The store {self.shown_url} needs PostgreSQL of at least version {MIN_SERVER_VERSION // 10000}."
            )
        row = db.execute(SESSION_SETTINGS, {"timeout": f"{int(self._timeout * 1000)}ms"}).fetchone()
        if row is not None and row[-1] != "UTF8":
            raise ConfigError(
                f"The store {self.shown_url} is encoded as {row[-1]}: it must be created with the encoding UTF8."
            )

    def _resolve_hosts(self) -> dict[str, Any]:
        """What was given, with addresses for the names: libpq would look them up itself, and everybody would wait."""
        hosts = self._hosts
        if not hosts or "hostaddr" in self._parameters or len(self._resolver_names) < len(set(hosts)):
            return dict(self._parameters)
        ports = str(self._parameters.get("port") or "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        found = [
            (host, port, str(where[4][0]))
            for host, port in zip(hosts, ports, strict=True)
            for where in socket.getaddrinfo(self._resolver_names[host], None, type=socket.SOCK_STREAM)
        ]
        names, numbers, addresses = (",".join(each) for each in zip(*found, strict=True))
        return {**self._parameters, "host": names, "port": numbers, "hostaddr": addresses}


def _is_plausible(parameters: Mapping[str, Any]) -> bool:
    """Whether what libpq takes for hosts, ports and a user can be some: it tells of them where they are none."""
    hosts = f"{parameters.get('host') or ''},{parameters.get('hostaddr') or ''}".split(",")
    ports = str(parameters.get("port") or "").split(",")
    are_ports = all(port.isdecimal() or not port for port in ports)
    return all(map(HOST_FORM.fullmatch, hosts)) and are_ports and ":" not in str(parameters.get("user") or "")


def describe_error(error: Exception) -> str:
    """What a database or a system said, in one line without its end."""
    line = str(error).strip().partition("\n")[0]
    return line.removeprefix("connection failed: ").rstrip(". ") or type(error).__name__


ResultT = TypeVar("ResultT")
PgConnection: TypeAlias = Connection[tuple[Any, ...]]
# What becomes of a connection is told by the errors it raises; psycopg would tell it on stderr as well.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
RETRYABLE: Final = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)
"""What happens to one who was not alone, and is well the next time."""
BAD_DATA_ERRORS: Final = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeError)
"""What is wrong with what is to be kept itself, whatever is tried, and however often."""
MAX_ATTEMPTS: Final = 5
RETRY_DELAY: Final = 0.02
RECONNECT_DELAY: Final = 0.2
"""Seconds after a failure to connect in which nobody tries: they are refused at once."""
FAILED_MARK: Final = " failed: "
"""What libpq says between an address and what is wrong with it."""
SERVER_GRACE: Final = 1.0
"""Seconds that a server has, beyond the time it was given itself, to say that something took too long."""


class ConnectionPool:
    """Connections, at most so many at a time. What goes wrong with one is `StoreUnavailable`, and it is not used again.

    A server that does not answer is waited for `timeout` seconds.
    """

    def __init__(self, settings: ConnectionSettings, size: int, timeout: float) -> None:
        self.settings = settings
        self.timeout = timeout
        self._slots = BoundedSemaphore(size)
        self._idle: list[PgConnection] = []
        self._no_connect_before = 0.0
        self._closed = False

    def connect(self) -> PgConnection:
        """One more connection, its caller's own. Raises `StoreUnavailable`."""
        if self._closed or time.monotonic() < self._no_connect_before:
            raise StoreUnavailable
        try:
            return self.settings.connect()
        except (psycopg.Error, OSError) as error:
            self._no_connect_before = time.monotonic() + RECONNECT_DELAY
            raise to_store_unavailable(error) from error

    def close(self) -> None:
        """Close those that nobody uses; the others are closed when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def run(self, function: Callable[[PgConnection], ResultT]) -> ResultT:
        """Do something with a connection; again where it was not alone.

        So `work` may run more than once: what it does is one transaction, or changes nothing.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                with self.connection() as line:
                    return function(line)
            except RETRYABLE as error:
                failure: psycopg.Error = error
                gevent.sleep(RETRY_DELAY * attempt)
            except BAD_DATA_ERRORS as error:
                FAILURE_LOG.log("store_refused", error)
                raise NotStorable from error
            except psycopg.Error as error:
                raise to_store_unavailable(error) from error
        raise to_store_unavailable(failure) from failure

    @contextmanager
    def connection(self) -> Iterator[PgConnection]:
        with self._slot():
            line = self._pop_idle() or self.connect()
            try:
                with self.deadline(line):
                    yield line
            except psycopg.Error:
                line.close()  # of a pipeline that failed psycopg believes that all of it was prepared
                raise
            finally:
                if self._closed or line.closed or line.info.transaction_status != TransactionStatus.IDLE:
                    line.close()
                else:
                    self._idle.append(line)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=self.timeout):
            raise StoreUnavailable(f"The store has been busy with other requests for {self.timeout:g} s.")
        try:
            yield
        finally:
            self._slots.release()

    def _pop_idle(self) -> PgConnection | None:
        while self._idle:
            line = self._idle.pop()
            if is_alive(line):
                return line
            line.close()
        return None

    @contextmanager
    def deadline(self, connection: PgConnection) -> Iterator[None]:
        """Hang up where the server does not answer in time: whoever waits for it hears that the connection is gone."""
        timer = gevent.get_hub().loop.timer(self.timeout + SERVER_GRACE)
        timer.start(_shut_down_socket, connection)
        try:
            yield
        finally:
            timer.stop()
            timer.close()


def to_store_unavailable(error: Exception) -> StoreUnavailable:
    """What is answered where the database failed. What it said to us, and where it is, is for operators."""
    return StoreUnavailable(detail=describe_error(error).rpartition(FAILED_MARK)[2])


def is_alive(connection: PgConnection) -> bool:
    """Whether a connection that nobody uses is there still, as far as its server has told us."""
    try:
        for _ in range(2):  # its last words, and the end
            connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _shut_down_socket(connection: PgConnection) -> None:
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as beside:
            beside.shutdown(socket.SHUT_RDWR)
