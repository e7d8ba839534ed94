"""A database that a dump was read into: another store, though it may look like the one that was there before."""

from __future__ import annotations

import psycopg

from gmessenger.errors import FileProblem
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.address import Address, said
from gmessenger.store.postgres.rows import need_nobody

PATIENCE = 30.0


def restored(url: str) -> None:
    """Give it another identity: clients have to hear that what was said after the dump is gone, and its numbers will be
    given again. Raises `ServerRunning`, `FileProblem` or `ConfigProblem`.
    """
    address = Address(url, PATIENCE)
    with address.first() as db:
        try:
            with db.transaction():
                schema.migrate(db, address.shown)
                need_nobody(db, address)
                schema.become_another(db)
        except psycopg.Error as error:
            raise FileProblem(f"The store {address.shown} cannot be written: {said(error)}.") from error
