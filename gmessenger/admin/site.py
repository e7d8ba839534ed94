"""Which store is meant, and where the server is to be found that has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gmessenger.errors import ConfigProblem, FileProblem
from gmessenger.options import AdminOptions
from gmessenger.places import control_socket
from gmessenger.store import MEMORY, file_of, taking_a_library
from gmessenger.urls import masked


@dataclass(frozen=True, slots=True)
class Site:
    """`file` is None for a store that is in none, and that several servers may share; `shown` is what people may see of
    where it is, and `served` the same of the server that is asked.
    """

    url: str
    file: Path | None
    port: int
    socket: Path

    @property
    def shown(self) -> str:
        return masked(self.url) if self.file is None else str(self.file)

    @property
    def served(self) -> str:
        return f"port {self.port} of this machine with {self.shown}" if self.file is None else self.shown

    def check_it_is_there(self) -> None:
        """Raises `FileProblem` where there is no store, and as `open_store`."""
        if self.file is None:
            with taking_a_library():
                from gmessenger.store.postgres.inspecting import inspect_database
            there = inspect_database(self.url).schema is not None
        else:
            there = self.file.exists()
        if not there:
            # Made here, it would most likely not be the one that was meant.
            raise FileProblem(
                f"There is no gmessenger store at {self.shown}. The server creates it at its first start; "
                "--store names another."
            )


def site_of(options: AdminOptions) -> Site:
    """The store of the options. Raises as `site_at`."""
    return site_at(options.store_url, options.port)


def site_at(url: str, port: int) -> Site:
    """The store of a URL. Raises `ConfigProblem` for one that nobody can reach from outside, or that is none."""
    if url == MEMORY:
        raise ConfigProblem("A store in memory can be used by its own server only.")
    file = file_of(url)
    return Site(url, file, port, control_socket(file, port))
