"""The log: a fixed vocabulary of events with fields, plain or JSON, to a file (`log_files`) or to stderr.

No field ever holds the body of a message or a password; what may be logged is the table EVENTS and nothing else.
"""

from __future__ import annotations

import datetime
import functools
import importlib
import json
import logging
import logging.config
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeAlias, TypeVar

from gmessenger.errors import FileProblem
from gmessenger.log_files import LOG_MODE, DailyLog, OnError, WatchedLog, open_log_file
from gmessenger.places import STDERR, checkout
from gmessenger.sentences import Sentence
from gmessenger.terminal_text import visible_json, visible_lines

LOGGER: Final = logging.getLogger("gmessenger")
NOWHERE: Final = ""
FileHandler: TypeAlias = Callable[[str, OnError], logging.Handler]
LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("plain", "json")
LONGEST_FIELD: Final = 200
CONTINUED: Final = "  "
"""What a further line of the same event begins with."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the vocabulary: how much it matters, and the fields it may carry."""

    level: int
    fields: frozenset[str]


def _kind(level: int, *fields: str) -> Word:
    return Word(level, frozenset(fields))


EVENTS: Final[dict[str, Word]] = {
    "server_started": _kind(logging.INFO, "version", "address", "port", "tls_port", "pid"),
    "server_stopping": _kind(logging.INFO, "reason", "connections"),
    "server_stopped": _kind(logging.INFO, "exit_code", "seconds", "undelivered"),
    "reloaded": _kind(logging.INFO, "changed"),
    "reload_refused": _kind(logging.ERROR, "reason"),
    "needs_restart": _kind(logging.WARNING, "option"),
    "connection_opened": _kind(logging.DEBUG, "address"),
    "connection_refused": _kind(logging.WARNING, "address", "reason"),
    "handshake_failed": _kind(logging.DEBUG, "address", "reason"),
    "connection_closed": _kind(logging.DEBUG, "address", "name", "reason", "seconds"),
    "login": _kind(logging.INFO, "name", "address", "protocol", "kind", "resumed"),
    "login_refused": _kind(logging.INFO, "name", "address", "protocol", "code"),
    "session_ended": _kind(logging.INFO, "name", "address", "reason"),
    "request_refused": _kind(logging.DEBUG, "name", "code"),
    "frame_refused": _kind(logging.INFO, "address", "name", "code", "count"),
    "health_started": _kind(logging.INFO, "address"),
    "log_file_error": _kind(logging.WARNING, "file", "reason"),
    "cannot_accept": _kind(logging.ERROR, "reason", "limit"),
    "file_limit": _kind(logging.WARNING, "limit", "wanted"),
    "certificate_loaded": _kind(logging.INFO, "file", "names", "expires", "pin"),
    "certificate_refused": _kind(logging.ERROR, "reason"),
    "certificate_expires": _kind(logging.WARNING, "file", "expires", "days"),
    "greenlet_failed": _kind(logging.ERROR, "what", "address"),
    "registered": _kind(logging.INFO, "name", "address", "invite"),
    "invite_made": _kind(logging.INFO, "invite"),
    "forgotten": _kind(logging.INFO, "name", "address"),
    "control": _kind(logging.INFO, "method", "name", "on", "uid", "pid"),
    "control_taken": _kind(logging.WARNING, "socket"),
    "moderated": _kind(logging.INFO, "by", "method", "what", "for", "reason"),
    "pruned": _kind(logging.INFO, "count", "seconds"),
    "prune_failed": _kind(logging.WARNING, "reason"),
    "reindexing": _kind(logging.INFO, "left"),
    "reindexed": _kind(logging.INFO, "count", "seconds"),
    "reindex_failed": _kind(logging.WARNING, "reason"),
    "bus_connected": _kind(logging.INFO, "address", "nodes"),
    "bus_lost": _kind(logging.WARNING, "address", "reason"),
    "store_failed": _kind(logging.ERROR, "reason"),
    "store_refused": _kind(logging.ERROR, "reason"),
    "store_moved": _kind(logging.ERROR, "reason", "advice"),
    "store_in_place": _kind(logging.INFO),
    "store_away": _kind(logging.WARNING, "reason"),
    "store_back": _kind(logging.INFO),
    "compared_with_store": _kind(logging.INFO),
    "leases_lost": _kind(logging.WARNING, "count"),
    "bus_rejected": _kind(logging.WARNING, "count", "what"),
    "bus_missed": _kind(logging.WARNING, "count", "what"),
    "client_connected": _kind(logging.INFO, "host", "port", "name", "server"),
    "client_disconnected": _kind(logging.INFO, "host", "port", "reason", "retry_in"),
    "client_refused": _kind(logging.WARNING, "host", "port", "name", "code"),
    "client_sent": _kind(logging.DEBUG, "id", "code"),
    "client_stopped": _kind(logging.INFO, "exit_code", "unsent"),
    "stray_output": _kind(logging.WARNING, "line"),
    "call": _kind(logging.DEBUG, "function", "called_from", "arguments", "result", "error", "milliseconds"),
}


def event(name: str, /, *, failure: BaseException | None = None, **fields: object) -> None:
    """Log one event of the vocabulary; `failure` adds its traceback. Raises ValueError for a field not in the table."""
    kind = EVENTS[name]
    if not LOGGER.isEnabledFor(kind.level):
        return
    if not kind.fields.issuperset(fields):
        raise ValueError(f"{name} has no field {sorted(set(fields) - kind.fields)}")
    trace = (type(failure), failure, failure.__traceback__) if failure is not None else None
    LOGGER.log(kind.level, name, exc_info=trace, extra={"fields": fields})


def configure(place: str, level: str = "info", style: str = "plain", file_handler: FileHandler | None = None) -> None:
    """Send the log to the file `place`, `-` for stderr, or `NOWHERE`. Raises `FileProblem` if it cannot be written.

    Args:
        file_handler: what writes to a file, which it opens when it is made and may raise OSError then; `handler_of`
            chooses one where none is given. It MUST write somewhere for as long as it can, and call the second of its
            arguments with the file and the reason where it does so otherwise than it should.
    """
    make: Callable[[], logging.Handler] = logging.StreamHandler
    if place == NOWHERE:
        make = logging.NullHandler
    elif place != STDERR:
        prepare(place, getattr(file_handler, "MODE", LOG_MODE))
        make = functools.partial(file_handler or handler_of(place), place, _say_error)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"()": PlainFormatter}, "json": {"()": JsonFormatter}},
            "handlers": {"log": {"()": make, "formatter": style}},
            "loggers": {"gmessenger": {"handlers": ["log"], "level": level.upper(), "propagate": False}},
        }
    )
    logging.raiseExceptions = False  # a log that cannot be written any more must not write over what is on the screen
    show_calls(level == "debug")


def handler_of(place: str) -> FileHandler:
    """What writes the log to a file: rotated daily in `logs/` of a checkout; elsewhere logrotate does that."""
    top = checkout()
    return DailyLog if top is not None and Path(place).resolve().parent == top / "logs" else WatchedLog


def _say_error(file: str, reason: str) -> None:
    event("log_file_error", file=file, reason=reason)


def prepare(place: str, mode: int = LOG_MODE) -> None:
    """Make sure that the log can go to `place`; a file that is not there is made with `mode`. Raises `FileProblem`."""
    if place in (STDERR, NOWHERE):
        return
    try:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        open_log_file(place, mode).close()
    except OSError as error:
        reason = Sentence(error.strerror or str(error))
        raise FileProblem(Sentence("Cannot write the log file {file}: {reason}.", file=place, reason=reason)) from error


class PlainFormatter(logging.Formatter):
    """`2026-11-22 12:00:01.123 INFO login name=hank …`: one line an event, values quoted where they must be."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = getattr(record, "fields", {})
        words = [_moment(record).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], record.levelname, record.getMessage()]
        words += [f"{key}={_quoted(value)}" for key, value in fields.items() if value is not None]
        line = " ".join(words)
        if not record.exc_info:
            return line
        # An exception says what it was given: nothing of that may steer a terminal, or look like a line of the log.
        trace = visible_lines(self.formatException(record.exc_info))
        return "\n".join([line, *(CONTINUED + each for each in trace.split("\n"))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601 with its zone), level, event, its fields, traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _moment(record).isoformat(),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        fields: dict[str, object] = getattr(record, "fields", {})
        line.update({key: _cut(value) if isinstance(value, str) else value for key, value in fields.items()})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return visible_json(json.dumps(line, default=str))


def _cut(text: str) -> str:
    """Whoever chose the text, a log line has an end."""
    return text if len(text) <= LONGEST_FIELD else text[:LONGEST_FIELD] + "…"


def _moment(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created).astimezone()


def _quoted(value: object) -> str:
    text = _cut(str(value))
    # Names and reasons come from strangers: nothing they hold may break the line or steer the terminal it is read in.
    return text if text and text.isprintable() and not set(text) & set(' "=') else visible_json(json.dumps(text))


Function = TypeVar("Function", bound=Callable[..., Any])
_traced: list[tuple[Callable[..., Any], tuple[str, ...]]] = []


def log_calls(*arguments: str) -> Callable[[Function], Function]:
    """Have the calls of a module's function or a class's method logged, with the named `arguments`, at DEBUG.

    The function itself is returned, so while DEBUG is off a call costs nothing more; `show_calls` puts a wrapper where
    it lives. Name only arguments that may be logged: no bodies, no passwords.
    """

    def decorate(function: Function) -> Function:
        if missing := set(arguments) - set(signature(function).parameters):
            raise TypeError(f"{function.__qualname__} has no argument {sorted(missing)}")
        _traced.append((function, arguments))
        return function

    return decorate


def show_calls(on: bool) -> None:
    """Put the logging wrapper around every decorated function, or take it off again."""
    for function, arguments in _traced:
        *path, name = function.__qualname__.split(".")
        owner: Any = functools.reduce(getattr, path, importlib.import_module(function.__module__))
        setattr(owner, name, _wrapped(function, arguments) if on else function)


def _wrapped(function: Callable[..., Any], arguments: tuple[str, ...]) -> Callable[..., Any]:
    bind = signature(function).bind

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = bind(*args, **kwargs).arguments
        fields: dict[str, Any] = {
            "function": function.__qualname__,
            "called_from": _place(sys._getframe(1)),
            "arguments": " ".join(f"{name}={given[name]!r}" for name in arguments if name in given),
        }
        started = time.perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            event("call", **fields, error=type(error).__name__, milliseconds=_since(started))
            raise
        event("call", **fields, result=_brief(result), milliseconds=_since(started))
        return result

    return wrapper


def _brief(result: object) -> str:
    """Numbers as they are; of anything that could hold somebody's words only its kind."""
    return repr(result) if result is None or isinstance(result, int | float) else type(result).__name__


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}:{frame.f_code.co_name}"


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
