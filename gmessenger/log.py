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

from gmessenger.errors import FileError
from gmessenger.log_files import LOG_MODE, DailyLog, OnError, WatchedLog, open_log_file
from gmessenger.paths import STDERR, checkout_root
from gmessenger.sanitize import sanitize_json, sanitize_lines
from gmessenger.text import Text

LOGGER: Final = logging.getLogger("gmessenger")
NO_LOG: Final = ""
FileHandlerFactory: TypeAlias = Callable[[str, OnError], logging.Handler]
LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("plain", "json")
MAX_FIELD: Final = 200
CONTINUATION_INDENT: Final = "  "
"""What a further line of the same event begins with."""


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One word of the vocabulary: how much it matters, and the fields it may carry."""

    level: int
    fields: frozenset[str]


def _spec(level: int, *fields: str) -> EventSpec:
    return EventSpec(level, frozenset(fields))


EVENTS: Final[dict[str, EventSpec]] = {
    "server_started": _spec(logging.INFO, "version", "address", "port", "tls_port", "pid"),
    "server_stopping": _spec(logging.INFO, "reason", "connections"),
    "server_stopped": _spec(logging.INFO, "exit_code", "seconds", "undelivered"),
    "reloaded": _spec(logging.INFO, "changed"),
    "reload_refused": _spec(logging.ERROR, "reason"),
    "needs_restart": _spec(logging.WARNING, "option"),
    "connection_opened": _spec(logging.DEBUG, "address"),
    "connection_refused": _spec(logging.WARNING, "address", "reason"),
    "handshake_failed": _spec(logging.DEBUG, "address", "reason"),
    "connection_closed": _spec(logging.DEBUG, "address", "name", "reason", "seconds"),
    "login": _spec(logging.INFO, "name", "address", "protocol", "kind", "resumed"),
    "login_refused": _spec(logging.INFO, "name", "address", "protocol", "code"),
    "session_ended": _spec(logging.INFO, "name", "address", "reason"),
    "request_refused": _spec(logging.DEBUG, "name", "code"),
    "frame_refused": _spec(logging.INFO, "address", "name", "code", "count"),
    "health_started": _spec(logging.INFO, "address"),
    "log_file_error": _spec(logging.WARNING, "file", "reason"),
    "cannot_accept": _spec(logging.ERROR, "reason", "limit"),
    "file_limit": _spec(logging.WARNING, "limit", "wanted"),
    "certificate_loaded": _spec(logging.INFO, "file", "names", "expires", "pin"),
    "certificate_refused": _spec(logging.ERROR, "reason"),
    "certificate_expires": _spec(logging.WARNING, "file", "expires", "days"),
    "greenlet_failed": _spec(logging.ERROR, "what", "address"),
    "registered": _spec(logging.INFO, "name", "address", "invite"),
    "invite_made": _spec(logging.INFO, "invite"),
    "forgotten": _spec(logging.INFO, "name", "address"),
    "control": _spec(logging.INFO, "method", "name", "on", "uid", "pid"),
    "control_taken": _spec(logging.WARNING, "socket"),
    "moderated": _spec(logging.INFO, "by", "method", "what", "for", "reason"),
    "pruned": _spec(logging.INFO, "count", "seconds"),
    "prune_failed": _spec(logging.WARNING, "reason"),
    "reindexing": _spec(logging.INFO, "left"),
    "reindexed": _spec(logging.INFO, "count", "seconds"),
    "reindex_failed": _spec(logging.WARNING, "reason"),
    "bus_connected": _spec(logging.INFO, "address", "nodes"),
    "bus_lost": _spec(logging.WARNING, "address", "reason"),
    "store_failed": _spec(logging.ERROR, "reason"),
    "store_refused": _spec(logging.ERROR, "reason"),
    "store_moved": _spec(logging.ERROR, "reason", "advice"),
    "store_in_place": _spec(logging.INFO),
    "store_away": _spec(logging.WARNING, "reason"),
    "store_back": _spec(logging.INFO),
    "compared_with_store": _spec(logging.INFO),
    "leases_lost": _spec(logging.WARNING, "count"),
    "bus_rejected": _spec(logging.WARNING, "count", "what"),
    "bus_missed": _spec(logging.WARNING, "count", "what"),
    "client_connected": _spec(logging.INFO, "host", "port", "name", "server"),
    "client_disconnected": _spec(logging.INFO, "host", "port", "reason", "retry_in"),
    "client_refused": _spec(logging.WARNING, "host", "port", "name", "code"),
    "client_sent": _spec(logging.DEBUG, "id", "code"),
    "client_stopped": _spec(logging.INFO, "exit_code", "unsent"),
    "stray_output": _spec(logging.WARNING, "line"),
    "call": _spec(logging.DEBUG, "function", "called_from", "arguments", "result", "error", "milliseconds"),
}


def log_event(name: str, /, *, exception: BaseException | None = None, **fields: object) -> None:
    """Log one event of the vocabulary; `failure` adds its traceback. Raises ValueError for a field not in the table."""
    kind = EVENTS[name]
    if not LOGGER.isEnabledFor(kind.level):
        return
    if not kind.fields.issuperset(fields):
        raise ValueError(f"{name} has no field {sorted(set(fields) - kind.fields)}")
    trace = (type(exception), exception, exception.__traceback__) if exception is not None else None
    LOGGER.log(kind.level, name, exc_info=trace, extra={"fields": fields})


def configure(
    destination: str, level: str = "info", log_format: str = "plain", file_handler: FileHandlerFactory | None = None
) -> None:
    """Send the log to the file `place`, `-` for stderr, or `NO_LOG`. Raises `FileError` if it cannot be written.

    Args:
        file_handler: what writes to a file, which it opens when it is made and may raise OSError then;
            `file_handler_for` chooses one where none is given. It MUST write somewhere for as long as it can, and call
            the second of its arguments with the file and the reason where it does so otherwise than it should.
    """
    make: Callable[[], logging.Handler] = logging.StreamHandler
    if destination == NO_LOG:
        make = logging.NullHandler
    elif destination != STDERR:
        ensure_writable(destination, getattr(file_handler, "MODE", LOG_MODE))
        make = functools.partial(file_handler or file_handler_for(destination), destination, _log_file_error)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"()": PlainFormatter}, "json": {"()": JsonFormatter}},
            "handlers": {"log": {"()": make, "formatter": log_format}},
            "loggers": {"gmessenger": {"handlers": ["log"], "level": level.upper(), "propagate": False}},
        }
    )
    logging.raiseExceptions = False  # a log that cannot be written any more must not write over what is on the screen
    trace_calls(level == "debug")


def file_handler_for(file: str) -> FileHandlerFactory:
    """What writes the log to a file: rotated daily in `logs/` of a checkout; elsewhere logrotate does that."""
    top = checkout_root()
    return DailyLog if top is not None and Path(file).resolve().parent == top / "logs" else WatchedLog


def _log_file_error(file: str, reason: str) -> None:
    log_event("log_file_error", file=file, reason=reason)


def ensure_writable(destination: str, mode: int = LOG_MODE) -> None:
    """Make sure that the log can go to `place`; a file that is not there is made with `mode`. Raises `FileError`."""
    if destination in (STDERR, NO_LOG):
        return
    try:
        Path(destination).parent.mkdir(parents=True, exist_ok=True)
        open_log_file(destination, mode).close()
    except OSError as error:
        reason = Text(error.strerror or str(error))
        raise FileError(Text("Cannot write the log file {file}: {reason}.", file=destination, reason=reason)) from error


class PlainFormatter(logging.Formatter):
    """`2026-11-22 12:00:01.123 INFO login name=hank …`: one line an event, values quoted where they must be."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = getattr(record, "fields", {})
        words = [_record_time(record).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], record.levelname, record.getMessage()]
        words += [f"{key}={_quote(value)}" for key, value in fields.items() if value is not None]
        line = " ".join(words)
        if not record.exc_info:
            return line
        # An exception says what it was given: nothing of that may steer a terminal, or look like a line of the log.
        trace = sanitize_lines(self.formatException(record.exc_info))
        return "\n".join([line, *(CONTINUATION_INDENT + each for each in trace.split("\n"))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601 with its zone), level, event, its fields, traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _record_time(record).isoformat(),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        fields: dict[str, object] = getattr(record, "fields", {})
        line.update({key: _truncate(value) if isinstance(value, str) else value for key, value in fields.items()})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return sanitize_json(json.dumps(line, default=str))


def _truncate(text: str) -> str:
    """Whoever chose the text, a log line has an end."""
    return text if len(text) <= MAX_FIELD else text[:MAX_FIELD] + "…"


def _record_time(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created).astimezone()


def _quote(value: object) -> str:
    text = _truncate(str(value))
    # Names and reasons come from strangers: nothing they hold may break the line or steer the terminal it is read in.
    return text if text and text.isprintable() and not set(text) & set(' "=') else sanitize_json(json.dumps(text))


FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_traced_functions: list[tuple[Callable[..., Any], tuple[str, ...]]] = []


def traced(*arguments: str) -> Callable[[FunctionT], FunctionT]:
    """Have the calls of a module's function or a class's method logged, with the named `arguments`, at DEBUG.

    The function itself is returned, so while DEBUG is off a call costs nothing more; `trace_calls` puts a wrapper where
    it lives. Name only arguments that may be logged: no bodies, no passwords.
    """

    def decorate(function: FunctionT) -> FunctionT:
        if missing := set(arguments) - set(signature(function).parameters):
            raise TypeError(f"{function.__qualname__} has no argument {sorted(missing)}")
        _traced_functions.append((function, arguments))
        return function

    return decorate


def trace_calls(enabled: bool) -> None:
    """Put the logging wrapper around every decorated function, or take it off again."""
    for function, arguments in _traced_functions:
        *path, name = function.__qualname__.split(".")
        owner: Any = functools.reduce(getattr, path, importlib.import_module(function.__module__))
        setattr(owner, name, _trace_wrapper(function, arguments) if enabled else function)


def _trace_wrapper(function: Callable[..., Any], arguments: tuple[str, ...]) -> Callable[..., Any]:
    bind = signature(function).bind

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = bind(*args, **kwargs).arguments
        fields: dict[str, Any] = {
            "function": function.__qualname__,
            "called_from": _caller(sys._getframe(1)),
            "arguments": " ".join(f"{name}={given[name]!r}" for name in arguments if name in given),
        }
        started = time.perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            log_event("call", **fields, error=type(error).__name__, milliseconds=_elapsed_ms(started))
            raise
        log_event("call", **fields, result=_summarize(result), milliseconds=_elapsed_ms(started))
        return result

    return wrapper


def _summarize(result: object) -> str:
    """Numbers as they are; of anything that could hold somebody's words only its kind."""
    return repr(result) if result is None or isinstance(result, int | float) else type(result).__name__


def _caller(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}:{frame.f_code.co_name}"


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
