"""The options that the server and the client share."""

from __future__ import annotations

from dataclasses import dataclass

from gmessenger import log, paths
from gmessenger.config.options.table import FLAG, option
from gmessenger.config.types import choice, file_path


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The options that the server and the client share: of the log, and --check."""

    log_file: str | None = option(
        None,
        file_path(),
        "where the log goes; - for stderr [default: logs/ of a checkout, else stderr for the server and the XDG state "
        "directory for the client]",
        "to keep the log with the system's other logs",
        needs_restart=True,
    )
    log_level: str = option(
        "info", choice(*log.LEVELS), "how much is logged; debug also logs function calls", "to investigate a fault"
    )
    log_format: str = option(
        "plain", choice(*log.FORMATS), "plain text lines, or one JSON object per line", "when a program reads the log"
    )

    check: bool = option(
        False,
        FLAG,
        "print every option with its value and its source, then exit; the server also checks its store, ports, "
        "certificate, log and limit of open files",
        "before a start or a reload",
        in_files=False,
    )

    def log_destination(self, program: str) -> str:
        """Return the log file, or `-` for stderr."""
        return self.log_file or paths.default_log_file(program)
