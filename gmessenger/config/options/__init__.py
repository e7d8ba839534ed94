"""The tables of options: the fields of `ServerOptions`, `ClientOptions` and `AdminOptions`.

Command lines, environment variables, config files with their comments, manual pages and the tables of
docs/operations/configuration.md are all made from these rows.
"""

from __future__ import annotations

from gmessenger.config.options.admin import AdminOptions
from gmessenger.config.options.client import ClientOptions
from gmessenger.config.options.log import LogOptions
from gmessenger.config.options.server import ServerOptions
from gmessenger.config.options.table import (
    ENVIRONMENT_PREFIX,
    FLAG,
    Option,
    default_store_url,
    format_value,
    option,
    option_rows,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "FLAG",
    "AdminOptions",
    "ClientOptions",
    "LogOptions",
    "Option",
    "ServerOptions",
    "default_store_url",
    "format_value",
    "option",
    "option_rows",
]
