"""Rows of the tables of options, and how a field of a dataclass is made one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from gmessenger import paths
from gmessenger.config.types import OptionType
from gmessenger.constants import MEMORY_URL

ENVIRONMENT_PREFIX: Final = "MESSENGER_"
FLAG: Final = OptionType("", bool)
"""A switch: without a value on the command line, yes or no in a file or the environment."""


@dataclass(frozen=True, slots=True)
class Option:
    """A row of a table.

    A running server applies a new value at a reload, unless the option `needs_restart`.
    `aliases`: short or further names on the command line. `secret`: the value is never shown.
    """

    key: str
    default: Any
    description: str
    when_to_change: str
    value_type: OptionType
    aliases: tuple[str, ...]
    secret: bool
    active_in_file: bool  # the shipped config file sets it instead of mentioning it
    in_files: bool
    needs_restart: bool
    in_environment: bool

    @property
    def long_name(self) -> str:
        """The name on the command line, such as `--tls-port`."""
        return "--" + self.key.replace("_", "-")

    @property
    def default_text(self) -> str:
        """The default as in a config file; empty if there is none."""
        return "" if self.value_type is FLAG else format_value(self.default)

    @property
    def env_var(self) -> str:
        """The environment variable; empty if it has none."""
        return ENVIRONMENT_PREFIX + self.key.upper() if self.in_environment else ""


def format_value(value: Any) -> str:
    """Return a value as in a config file; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("\n", "\\n")


def option(
    default: Any,
    value_type: OptionType,
    description: str,
    when_to_change: str,
    *aliases: str,
    secret: bool = False,
    active_in_file: bool = False,
    in_files: bool = True,
    needs_restart: bool = False,
    in_environment: bool = True,
) -> Any:
    """Return a dataclass field that is a row of the table."""
    row = (
        description,
        when_to_change,
        value_type,
        aliases,
        secret,
        active_in_file,
        in_files,
        needs_restart,
        in_environment,
    )
    return field(default=default, metadata={"row": row})


def option_rows(options_class: type[Any]) -> tuple[Option, ...]:
    """Return the rows of a table in the order of its fields, but for those that it inherits, which come last."""
    rows = [Option(column.name, column.default, *column.metadata["row"]) for column in fields(options_class)]
    inherited = ("push", "irc", "log_")
    return tuple(sorted(rows, key=lambda row: [row.key.startswith(prefix) for prefix in reversed(inherited)]))


def default_files_folder(store_url: str) -> Path | None:
    """Return the default folder for the files of a store: beside its file; None where it is no file."""
    prefix = "sqlite:///"
    if not store_url.startswith(prefix):
        return None
    return Path(store_url.removeprefix(prefix)).expanduser().with_suffix(".files")


def default_store_url(port: int) -> str:
    """Return the URL of the default store for a port; for port 0, which is for trials, a store in memory."""
    if port == 0:
        return MEMORY_URL
    return f"sqlite:///{paths.state_directory() / paths.file_stem(port)}.db"
