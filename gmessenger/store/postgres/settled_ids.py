"""Ids up to which no further message will appear.

Ids are given before their messages are committed, so messages become visible out of order: the highest id that is
visible says nothing about those below it. But a transaction that is given an id has the table locked for writing
before, and until it has ended; what it has committed is visible before it releases the lock. So an id that was found to
be the last one given is settled when those transactions have ended that were seen with the lock *after* it was found.
A transaction that writes nothing to the table, in another database of the server above all, holds nothing up.
"""

from __future__ import annotations

from typing import Final

from gmessenger.store.postgres.pool import PgConnection

SELECT_LAST_ID: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM messages_id_seq"
SELECT_OPEN_WRITES: Final = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted "
    "AND relation = 'messages'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def find_last_id(db: PgConnection) -> int:
    """Return the last id that was given to a message, which may not be committed; 0 where none was."""
    ((last,),) = db.execute(SELECT_LAST_ID).fetchall()
    return int(last)


def find_open_writes(db: PgConnection) -> set[str]:
    """Return the transactions that may have been given ids."""
    return {transaction for (transaction,) in db.execute(SELECT_OPEN_WRITES).fetchall()}


class SettledIds:
    """Finds settled ids by looking again and again, instead of waiting for the transactions that are open."""

    def __init__(self) -> None:
        self._settled = 0
        self._last = 0
        self._open_writes: set[str] = set()
        """Transactions that may have been given ids up to `_last`, and were still open at the last look."""

    def find_settled(self, db: PgConnection) -> int:
        """Return an id up to which every message is visible to the statements that follow, or never will be.

        Blocks. Not for a connection with one snapshot for all of a transaction.
        """
        last = find_last_id(db)
        open_writes = find_open_writes(db)  # MUST be a later statement
        self._open_writes &= open_writes
        if not self._open_writes:
            self._settled, self._last, self._open_writes = self._last, last, open_writes
        if not self._open_writes:
            self._settled = self._last
        return self._settled
