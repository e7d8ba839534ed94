"""The table of the options of `gmessenger-admin`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gmessenger.config.options.table import default_files_folder, default_store_url, option
from gmessenger.config.types import directory_path, file_path, port_number, text
from gmessenger.constants import DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """The options of `gmessenger-admin`: which store it works on. It reads the server's config file."""

    @property
    def store_url(self) -> str:
        """The option, or the default for the port, as the server has it."""
        return self.store or default_store_url(self.port)

    @property
    def files_folder(self) -> Path | None:
        """The option, or the default for the store, as the server has it; None where there is none."""
        return Path(self.files) if self.files else default_files_folder(self.store_url)

    store: str = option(
        "",
        text("URL"),
        "the server's store [default: the store of the server on --port, started from the same directory]",
        "when the server has its own --store",
    )
    port: int = option(
        DEFAULT_PORT,
        port_number(),
        "the server's port, which determines its default store",
        "when it is not 7777",
        "-p",
    )
    files: str = option(
        "",
        directory_path(),
        "the server's folder for files [default: beside the file of the store]",
        "when the server has its own --files",
    )
    tls_certificate: str = option(
        "", file_path(), "the server's certificate, for `cert show`", "when the server has one"
    )
    password_file: str = option(
        "",
        file_path(),
        "read the password for `user add` and `user passwd` from the first line of this file; without it, the command "
        "asks for the password, or reads it from standard input when that is not a terminal",
        "in scripts",
        in_files=False,
        in_environment=False,  # MESSENGER_PASSWORD_FILE is the client's own
    )
