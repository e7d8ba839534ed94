"""Connection settings and the connection pool of PostgreSQL; connections that failed are closed."""

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

CONNECT_TIMEOUT: Final = 5  # seconds, for each address of the server
SERVER_REFUSAL: Final = re.compile("FATAL:|no password supplied")
"""In libpq's message: the server refused the login, or no password is known; all else is about the network."""
TRANSIENT_REFUSAL: Final = re.compile("starting up|shutting down|recovery|too many|remaining connection slots")
"""Refusals that pass by themselves."""
URL_FORM: Final = re.compile(r"postgres(ql)?://([^:@/]*(:[^@/]*)?@)?[^@/?]*(/[^@/?]*)?(\?[^@]*)?", re.DOTALL)
"""libpq accepts more: it may take a piece of the password for a host, and print it."""
EMPTY_URLS: Final = ("postgresql://", "postgres://", "postgresql:///", "postgres:///")
HOST_FORM: Final = re.compile(r"/[^@]*|@[\w.-]+|[\w.-]*|[\dA-Fa-f:.]+(%\w+)?")
MIN_SERVER_VERSION: Final = 14_00_00
DEFAULT_PARAMETERS: Final = {
    "application_name": "gmessenger",
    # A cut network is silent: what is not acknowledged for so long counts as lost.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
SESSION_SETTINGS: Final[LiteralString] = (
    "SELECT set_config('statement_timeout', %(timeout)s, false), set_config('lock_timeout', '0', false), "
    # A node that hangs within a transaction must not hold up the others.
    "set_config('idle_in_transaction_session_timeout', '5s', false), "
    # Nor one whose network is cut: within a pipeline the server has no other limit.
    "set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false), "
    "set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10000', false), "
    "set_config('default_transaction_isolation', 'read committed', false), "
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') "
    "THEN 'on' ELSE current_setting('synchronous_commit') END, false), "
    "current_setting('server_encoding')"
)


class ConnectionSettings:
    """How to connect to the database of a URL; `shown_url` is the URL without its password."""

    def __init__(self, url: str, timeout: float) -> None:
        """Parse a URL; `timeout` is that of statements, in seconds. Raises `ConfigError` for an invalid URL."""
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
        """Return why the URL is invalid, as the end of a sentence; never with a piece of the password."""
        try:
            conninfo_to_dict(self.shown_url)
        except psycopg.ProgrammingError as error:
            return f": {str(error).strip()}"
        return ": in its password, write characters other than letters and digits as %XX"

    def connect(self) -> Connection[Any]:
        """Open a connection with the session settings of a store. Blocks. Raises psycopg's errors or OSError."""
        parameters = self._resolve_hosts()
        timeout = int(parameters.pop("connect_timeout", None) or CONNECT_TIMEOUT)
        db = psycopg.connect(**{**DEFAULT_PARAMETERS, **parameters}, connect_timeout=timeout, autocommit=True)
        try:
            self._set_up_session(db)
        except BaseException:
            db.close()
            raise
        return db

    def connect_first(self) -> Connection[Any]:
        """Open a connection at start. Blocks. Raises `ConfigError` or `FileError`, see `to_error`."""
        try:
            return self.connect()
        except (psycopg.Error, OSError) as error:
            raise self.to_error(error) from None

    def to_error(self, error: Exception) -> ExitError:
        """Convert an error to that of a program: `ConfigError` where trying again is no use, else `FileError`."""
        sentence = f"Cannot open the store {self.shown_url}: {describe_error(error)}."
        is_permanent = SERVER_REFUSAL.search(str(error)) and not TRANSIENT_REFUSAL.search(str(error))
        return ConfigError(sentence) if is_permanent else FileError(sentence)

    def _set_up_session(self, db: Connection[Any]) -> None:
        """Apply `SESSION_SETTINGS`. Raises `ConfigError` for an old server or an encoding other than UTF-8."""
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
        """Return the parameters with addresses of the hosts: libpq would resolve names and block the loop."""
        hosts = self._hosts
        if not hosts or "hostaddr" in self._parameters or len(self._resolver_names) < len(set(hosts)):
            return dict(self._parameters)
        ports = str(self._parameters.get("port") or "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        endpoints = [
            (host, port, str(info[4][0]))
            for host, port in zip(hosts, ports, strict=True)
            for info in socket.getaddrinfo(self._resolver_names[host], None, type=socket.SOCK_STREAM)
        ]
        host, port, hostaddr = (",".join(values) for values in zip(*endpoints, strict=True))
        return {**self._parameters, "host": host, "port": port, "hostaddr": hostaddr}


def _is_plausible(parameters: Mapping[str, Any]) -> bool:
    """Return whether hosts, ports and user are well-formed: libpq's errors might print a password."""
    hosts = f"{parameters.get('host') or ''},{parameters.get('hostaddr') or ''}".split(",")
    ports = str(parameters.get("port") or "").split(",")
    are_ports = all(port.isdecimal() or not port for port in ports)
    return all(map(HOST_FORM.fullmatch, hosts)) and are_ports and ":" not in str(parameters.get("user") or "")


def describe_error(error: Exception) -> str:
    """Return the first line of an error's message, without its full stop."""
    line = str(error).strip().partition("\n")[0]
    return line.removeprefix("connection failed: ").rstrip(". ") or type(error).__name__


ResultT = TypeVar("ResultT")
PgConnection: TypeAlias = Connection[tuple[Any, ...]]
# Failures of connections raise errors; psycopg would print them on stderr as well.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
RETRYABLE: Final = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)
"""Conflicts with other transactions: trying again helps."""
BAD_DATA_ERRORS: Final = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeError)
"""Errors of the data itself: trying again does not help."""
MAX_ATTEMPTS: Final = 5
RETRY_DELAY: Final = 0.02  # seconds, times the number of the attempt
RECONNECT_DELAY: Final = 0.2  # seconds after a failure to connect in which requests are refused at once
FAILED_MARK: Final = " failed: "  # what libpq writes between an address and the error
SERVER_GRACE: Final = 1.0
"""Seconds that a server has, beyond its own timeout, to answer that a statement took too long."""


class ConnectionPool:
    """Lends up to `size` connections at a time; closes those that failed.

    A server that does not answer fails after `timeout` seconds and `SERVER_GRACE`. All methods block the greenlet.
    """

    def __init__(self, settings: ConnectionSettings, size: int, timeout: float) -> None:
        self.settings = settings
        self.timeout = timeout
        self._slots = BoundedSemaphore(size)
        self._idle: list[PgConnection] = []
        self._no_connect_before = 0.0
        self._closed = False

    def connect(self) -> PgConnection:
        """Open a connection beside the pool, which its caller owns. Raises `StoreUnavailable`."""
        if self._closed or time.monotonic() < self._no_connect_before:
            raise StoreUnavailable
        try:
            return self.settings.connect()
        except (psycopg.Error, OSError) as error:
            self._no_connect_before = time.monotonic() + RECONNECT_DELAY
            raise to_store_unavailable(error) from error

    def close(self) -> None:
        """Close idle connections; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def run(self, function: Callable[[PgConnection], ResultT]) -> ResultT:
        """Run a function with a connection and return its result; run it again after a conflict.

        It may run more than once, so it MUST be one transaction, or change nothing.

        Raises:
            NotStorable: the database cannot hold the data.
            StoreUnavailable: any other failure of the database.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                with self.connection() as db:
                    return function(db)
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
        """Lend a connection. Raises psycopg's errors, and `StoreUnavailable` where none is free in time."""
        with self._slot():
            db = self._pop_idle() or self.connect()
            try:
                with self.deadline(db):
                    yield db
            except psycopg.Error:
                db.close()  # after a pipeline that failed psycopg believes that all its statements were prepared
                raise
            finally:
                if self._closed or db.closed or db.info.transaction_status != TransactionStatus.IDLE:
                    db.close()
                else:
                    self._idle.append(db)

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
            db = self._idle.pop()
            if is_alive(db):
                return db
            db.close()
        return None

    @contextmanager
    def deadline(self, connection: PgConnection) -> Iterator[None]:
        """Shut the socket down where the block takes too long: what waits for the server gets an error then."""
        timer = gevent.get_hub().loop.timer(self.timeout + SERVER_GRACE)
        timer.start(_shut_down_socket, connection)
        try:
            yield
        finally:
            timer.stop()
            timer.close()


def to_store_unavailable(error: Exception) -> StoreUnavailable:
    """Convert an error of the database; its text goes to the log only, without the server's address."""
    return StoreUnavailable(detail=describe_error(error).rpartition(FAILED_MARK)[2])


def is_alive(connection: PgConnection) -> bool:
    """Return whether an idle connection is usable, as far as its server has told."""
    try:
        for _ in range(2):  # a last message, and the end of the stream
            connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _shut_down_socket(connection: PgConnection) -> None:
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)
