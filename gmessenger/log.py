"""The log: events with fields from one table, as plain text or JSON, to a file (`log_files`) or to stderr.

What may be logged is in the table EVENTS and nothing else; no field ever holds the text of a message or a password.
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
MAX_FIELD: Final = 200  # characters; longer values are cut
CONTINUATION_INDENT: Final = "  "
"""How the further lines of an event begin, such as those of a traceback."""


@dataclass(frozen=True, slots=True)
class EventSpec:
    """A row of EVENTS: the level of an event, and the fields it may have."""

    level: int
    fields: frozenset[str]


def _spec(level: int, *fields: str) -> EventSpec:
    return EventSpec(level, frozenset(fields))


EVENTS: Final[dict[str, EventSpec]] = {
    "server_started": _spec(
        logging.INFO,
        *("version", "address", "port", "tls_port", "web_port", "irc_port", "irc_tls_port", "irc_websocket", "pid"),
    ),
    "server_stopping": _spec(logging.INFO, "reason", "connections"),
    "server_stopped": _spec(logging.INFO, "exit_code", "seconds", "undelivered"),
    "reloaded": _spec(logging.INFO, "changed"),
    "reload_refused": _spec(logging.ERROR, "reason"),
    "needs_restart": _spec(logging.WARNING, "option"),
    "connection_opened": _spec(logging.DEBUG, "address"),
    "connection_refused": _spec(logging.WARNING, "address", "reason"),
    "web_request_refused": _spec(logging.INFO, "address", "reason"),
    "file_kept": _spec(logging.INFO, "name", "address", "size", "type"),
    "file_dropped": _spec(logging.INFO, "count", "expired"),
    "file_failed": _spec(logging.ERROR, "reason"),
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
    "notification_failed": _spec(logging.WARNING, "name", "reason"),
    "push_failed": _spec(logging.WARNING, "name", "host", "reason", "attempt"),
    "notifications_dropped": _spec(logging.WARNING, "count"),
    "registered": _spec(logging.INFO, "name", "address", "invite"),
    "invite_made": _spec(logging.INFO, "invite"),
    "invite_revoked": _spec(logging.INFO, "invite"),
    "hook_made": _spec(logging.INFO, "name", "room", "by"),
    "hook_revoked": _spec(logging.INFO, "name", "room", "by"),
    "hook_refused": _spec(logging.INFO, "name", "address", "code"),
    "certificate_added": _spec(logging.INFO, "name", "address", "device", "certificate"),
    "certificate_removed": _spec(logging.INFO, "name", "address", "device"),
    "device_dropped": _spec(logging.INFO, "name", "address", "count"),
    "password_changed": _spec(logging.INFO, "name", "address"),
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
    """Log an event of the table EVENTS, with the traceback of an `exception` if one is given.

    Fields that are None are left out of plain lines. Blocks while the line is written. Raises ValueError for a field
    that is not in the table.
    """
    spec = EVENTS[name]
    if not LOGGER.isEnabledFor(spec.level):
        return
    if not spec.fields.issuperset(fields):
        raise ValueError(f"{name} has no field {sorted(set(fields) - spec.fields)}")
    exc_info = (type(exception), exception, exception.__traceback__) if exception is not None else None
    LOGGER.log(spec.level, name, exc_info=exc_info, extra={"fields": fields})


def configure(
    destination: str, level: str = "info", log_format: str = "plain", file_handler: FileHandlerFactory | None = None
) -> None:
    """Set up logging to a file, to stderr (`-`), or nowhere (`NO_LOG`); replaces an earlier set-up.

    Args:
        file_handler: makes the handler for a file, from its path and a callback for errors; by default
            `file_handler_for` chooses. It may raise OSError. The handler MUST go on writing for as long as it can, and
            call the callback with the file and the reason when it cannot write as it should.

    Raises:
        FileError: the file cannot be written.
    """
    make_handler: Callable[[], logging.Handler] = logging.StreamHandler
    if destination == NO_LOG:
        make_handler = logging.NullHandler
    elif destination != STDERR:
        ensure_writable(destination, getattr(file_handler, "MODE", LOG_MODE))
        make_handler = functools.partial(file_handler or file_handler_for(destination), destination, _log_file_error)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"()": PlainFormatter}, "json": {"()": JsonFormatter}},
            "handlers": {"log": {"()": make_handler, "formatter": log_format}},
            "loggers": {"gmessenger": {"handlers": ["log"], "level": level.upper(), "propagate": False}},
        }
    )
    logging.raiseExceptions = False  # a log that cannot be written must not write to the screen
    trace_calls(level == "debug")


def file_handler_for(file: str) -> FileHandlerFactory:
    """Return the handler class for a log file: one that rotates daily in `logs/` of a checkout, else for logrotate."""
    top = checkout_root()
    return DailyLog if top is not None and Path(file).resolve().parent == top / "logs" else WatchedLog


def _log_file_error(file: str, reason: str) -> None:
    log_event("log_file_error", file=file, reason=reason)


def ensure_writable(destination: str, mode: int = LOG_MODE) -> None:
    """Check that a log file can be written, and create it with `mode` if it is missing.

    Raises:
        FileError: it cannot be written; the message says why.
    """
    if destination in (STDERR, NO_LOG):
        return
    try:
        Path(destination).parent.mkdir(parents=True, exist_ok=True)
        open_log_file(destination, mode).close()
    except OSError as error:
        reason = Text(error.strerror or str(error))
        raise FileError(Text("Cannot write the log file {file}: {reason}.", file=destination, reason=reason)) from error


class PlainFormatter(logging.Formatter):
    """Format an event as `2026-11-22 12:00:01.123 INFO login name=hank …`, with values quoted if necessary."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = getattr(record, "fields", {})
        words = [_record_time(record).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], record.levelname, record.getMessage()]
        words += [f"{key}={_quote(value)}" for key, value in fields.items() if value is not None]
        line = " ".join(words)
        if not record.exc_info:
            return line
        # Exceptions quote foreign text: it must not control a terminal, or look like a line of the log.
        trace = sanitize_lines(self.formatException(record.exc_info))
        return "\n".join([line, *(CONTINUATION_INDENT + row for row in trace.split("\n"))])


class JsonFormatter(logging.Formatter):
    """Format an event as a JSON object: time (ISO 8601 with zone), level, event, its fields, and any traceback."""

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
    """Bound the length of a value, which may be chosen by a client."""
    return text if len(text) <= MAX_FIELD else text[:MAX_FIELD] + "…"


def _record_time(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created).astimezone()


def _quote(value: object) -> str:
    text = _truncate(str(value))
    # Names and reasons are chosen by clients: they must not break the line, or control the terminal it is read in.
    return text if text and text.isprintable() and not set(text) & set(' "=') else sanitize_json(json.dumps(text))


FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_traced_functions: list[tuple[Callable[..., Any], tuple[str, ...]]] = []


def traced(*arguments: str) -> Callable[[FunctionT], FunctionT]:
    """Decorate a module's function or a method so that its calls can be logged, with the named `arguments`.

    It returns the function itself, so calls cost nothing more while they are not logged; `trace_calls` replaces it in
    its module or class by a wrapper. Name no arguments that hold texts of messages or passwords.
    """

    def decorate(function: FunctionT) -> FunctionT:
        if missing := set(arguments) - set(signature(function).parameters):
            raise TypeError(f"{function.__qualname__} has no argument {sorted(missing)}")
        _traced_functions.append((function, arguments))
        return function

    return decorate


def trace_calls(enabled: bool) -> None:
    """Have the calls of all `traced` functions logged at DEBUG, or no longer."""
    for function, arguments in _traced_functions:
        *path, name = function.__qualname__.split(".")
        owner: Any = functools.reduce(getattr, path, importlib.import_module(function.__module__))
        setattr(owner, name, _trace_wrapper(function, arguments) if enabled else function)


def _trace_wrapper(function: Callable[..., Any], arguments: tuple[str, ...]) -> Callable[..., Any]:
    bind = signature(function).bind

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = bind(*args, **kwargs).arguments
        fields: dict[str, Any] = {
            "function": function.__qualname__,
            "called_from": _caller(sys._getframe(1)),
            "arguments": " ".join(f"{name}={bound[name]!r}" for name in arguments if name in bound),
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
    """Describe a result: None and numbers by their value, anything that may hold a user's text by its type."""
    return repr(result) if result is None or isinstance(result, int | float) else type(result).__name__


def _caller(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}:{frame.f_code.co_name}"


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
