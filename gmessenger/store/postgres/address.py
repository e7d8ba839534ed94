"""Where the database is, and how one gets a connection to it."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any, Final, LiteralString

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from gmessenger.errors import ConfigProblem, ExitError, FileProblem
from gmessenger.hosts import resolver_name
from gmessenger.urls import masked

CONNECTING_TAKES: Final = 5
"""Seconds after which a server that does not answer is not there."""
TOLD: Final = re.compile("FATAL:|no password supplied")
"""What a server's own refusal begins with, or ours to go on with it; anything else is about the way there."""
FOR_NOW: Final = re.compile("starting up|shutting down|recovery|too many|remaining connection slots")
"""Refusals that pass by themselves."""
WELL_FORMED: Final = re.compile(r"postgres(ql)?://([^:@/]*(:[^@/]*)?@)?[^@/?]*(/[^@/?]*)?(\?[^@]*)?", re.DOTALL)
"""libpq takes more, and then looks for a host by a piece of the password, and says so."""
NOTHING_GIVEN: Final = ("postgresql://", "postgres://", "postgresql:///", "postgres:///")
A_HOST: Final = re.compile(r"/[^@]*|@[\w.-]+|[\w.-]*|[\dA-Fa-f:.]+(%\w+)?")
LEAST_SERVER: Final = 13_00_00
USUAL: Final = {
    "application_name": "gmessenger",
    # A network that is cut says nothing: what was sent and is not answered for so long is lost.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
SESSION: Final[LiteralString] = (
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


class Address:
    """What a URL names; `shown` is the URL with its password masked."""

    def __init__(self, url: str, timeout: float) -> None:
        """Raises `ConfigProblem` for a URL that libpq does not understand."""
        self.shown = masked(url)
        self._timeout = timeout
        try:
            self._given = conninfo_to_dict(url) if WELL_FORMED.fullmatch(url) else {}
        except psycopg.ProgrammingError:
            self._given = {}
        if (not self._given and url not in NOTHING_GIVEN) or not _is_plausible(self._given):
            raise ConfigProblem(f"The store {self.shown} is not a valid URL{self._fault()}.") from None
        self._hosts = [host for host in str(self._given.get("host") or "").split(",") if host]
        try:
            self._names = {host: resolver_name(host) for host in self._hosts if not host.startswith(("/", "@"))}
        except ValueError:
            raise ConfigProblem(f"The store {self.shown} has an invalid host name.") from None

    def _fault(self) -> str:
        """What libpq says of it, unless that is about the password."""
        try:
            conninfo_to_dict(self.shown)
        except psycopg.ProgrammingError as error:
            return f": {str(error).strip()}"
        return ": in its password, write characters other than letters and digits as %XX"

    def connect(self) -> Connection[Any]:
        """A connection, as the store needs it. Raises psycopg's errors."""
        found = self._resolved()
        timeout = int(found.pop("connect_timeout", None) or CONNECTING_TAKES)
        db = psycopg.connect(**{**USUAL, **found}, connect_timeout=timeout, autocommit=True)
        try:
            self._begin(db)
        except BaseException:
            db.close()
            raise
        return db

    def first(self) -> Connection[Any]:
        """The first connection. Raises `ConfigProblem` or `FileProblem` where there cannot be one."""
        try:
            return self.connect()
        except (psycopg.Error, OSError) as error:
            raise self.problem(error) from None

    def problem(self, error: Exception) -> ExitError:
        """Why a program has to end."""
        sentence = f"Cannot open the store {self.shown}: {said(error)}."
        lasts = TOLD.search(str(error)) and not FOR_NOW.search(str(error))
        return ConfigProblem(sentence) if lasts else FileProblem(sentence)

    def _begin(self, db: Connection[Any]) -> None:
        if db.info.server_version < LEAST_SERVER:
            raise ConfigProblem(f"The store {self.shown} needs PostgreSQL of at least version {LEAST_SERVER // 10000}.")
        row = db.execute(SESSION, {"timeout": f"{int(self._timeout * 1000)}ms"}).fetchone()
        if row is not None and row[-1] != "UTF8":
            raise ConfigProblem(
                f"The store {self.shown} is encoded as {row[-1]}: it must be created with the encoding UTF8."
            )

    def _resolved(self) -> dict[str, Any]:
        """What was given, with addresses for the names: libpq would look them up itself, and everybody would wait."""
        hosts = self._hosts
        if not hosts or "hostaddr" in self._given or len(self._names) < len(set(hosts)):
            return dict(self._given)
        ports = str(self._given.get("port") or "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        found = [
            (host, port, str(where[4][0]))
            for host, port in zip(hosts, ports, strict=True)
            for where in socket.getaddrinfo(self._names[host], None, type=socket.SOCK_STREAM)
        ]
        names, numbers, addresses = (",".join(each) for each in zip(*found, strict=True))
        return {**self._given, "host": names, "port": numbers, "hostaddr": addresses}


def _is_plausible(given: Mapping[str, Any]) -> bool:
    """Whether what libpq takes for hosts, ports and a user can be some: it tells of them where they are none."""
    hosts = f"{given.get('host') or ''},{given.get('hostaddr') or ''}".split(",")
    ports = str(given.get("port") or "").split(",")
    are_ports = all(port.isdecimal() or not port for port in ports)
    return all(map(A_HOST.fullmatch, hosts)) and are_ports and ":" not in str(given.get("user") or "")


def said(error: Exception) -> str:
    """What a database or a system said, in one line without its end."""
    line = str(error).strip().partition("\n")[0]
    return line.removeprefix("connection failed: ").rstrip(". ") or type(error).__name__
