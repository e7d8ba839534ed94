"""What operators have imposed, and who does not want to hear from whom, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import astuple

from gmessenger.chat.records import Sanction
from gmessenger.store.database import Database

# The columns are in the order of the record's fields.
SANCTIONS: Final = 'SELECT kind, target, "by", reason, since, until FROM sanctions'
IMPOSE: Final = 'INSERT OR REPLACE INTO sanctions (kind, target, "by", reason, since, until) VALUES (?,?,?,?,?,?)'
LIFT: Final = "DELETE FROM sanctions WHERE kind = ? AND target = ?"
BLOCKS: Final = "SELECT account_id, key, name FROM blocks"
BLOCK: Final = "INSERT OR REPLACE INTO blocks (account_id, key, name) VALUES (?,?,?)"
UNBLOCK: Final = "DELETE FROM blocks WHERE account_id = ? AND key = ?"


class Sanctions(Database):
    """The part of the contract that is about keeping the peace."""

    def sanctions(self) -> Sequence[Sanction]:
        return [Sanction(*row) for row in self.read(lambda db: db.execute(SANCTIONS).fetchall())]

    def impose(self, sanction: Sanction) -> None:
        self.commits.change(lambda db: db.execute(IMPOSE, astuple(sanction)))

    def lift(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        def change(db: sqlite3.Connection) -> None:
            db.executemany(LIFT, [(kind, target) for target in targets])

        self.commits.change(change)
        self.note_erased()

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        return self.read(lambda db: db.execute(BLOCKS).fetchall())

    def block(self, account: int, names: Mapping[str, str]) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.executemany(BLOCK, [(account, key, name) for key, name in names.items()])

        self.commits.change(change)

    def unblock(self, account: int, key: str) -> None:
        self.commits.change(lambda db: db.execute(UNBLOCK, (account, key)))
        self.note_erased()
