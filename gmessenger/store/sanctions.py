"""What operators have imposed, and who does not want to hear from whom, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from msgspec.structs import asdict

from gmessenger.chat.records import Sanction
from gmessenger.store import statements
from gmessenger.store.database import Database


class Sanctions(Database):
    """The part of the contract that is about keeping the peace."""

    def sanctions(self) -> Sequence[Sanction]:
        return [Sanction(*row) for row in self.read(lambda db: statements.SANCTIONS(db).fetchall())]

    def impose(self, sanction: Sanction) -> None:
        self.commits.change(lambda db: statements.IMPOSE(db, **asdict(sanction)))

    def lift(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        def change(db: sqlite3.Connection) -> None:
            for target in targets:
                statements.LIFT(db, kind=kind, target=target)

        self.commits.change(change)
        self.note_erased()

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        return self.read(lambda db: statements.BLOCKS(db).fetchall())

    def block(self, account: int, names: Mapping[str, str]) -> None:
        def change(db: sqlite3.Connection) -> None:
            for key, name in names.items():
                statements.BLOCK(db, account=account, key=key, name=name)

        self.commits.change(change)

    def unblock(self, account: int, key: str) -> None:
        self.commits.change(lambda db: statements.UNBLOCK(db, account=account, key=key))
        self.note_erased()
