"""What operators have imposed, and who does not want to hear from whom, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import asdict

from gmessenger.chat.records import Sanction
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.lines import Line

ALL: Final = "SELECT kind, target, by, reason, since, until FROM sanctions"
ONE: Final = f"{ALL} WHERE kind = %s AND target = %s"
IMPOSE: Final = (
    "INSERT INTO sanctions (kind, target, by, reason, since, until) "
    "VALUES (%(kind)s, %(target)s, %(by)s, %(reason)s, %(since)s, %(until)s) "
    "ON CONFLICT (kind, target) DO UPDATE SET by = excluded.by, reason = excluded.reason, since = excluded.since, "
    "until = excluded.until"
)
LIFT: Final = "DELETE FROM sanctions WHERE kind = %s AND target = %s"
BLOCKS: Final = "SELECT account_id, key, name FROM blocks"
BLOCKED_BY: Final = "SELECT key, name FROM blocks WHERE account_id = %s"
BLOCK: Final = (
    # Of an account that is being deleted nothing must come to stay.
    "INSERT INTO blocks (account_id, key, name) SELECT id, %s, %s FROM accounts WHERE id = %s FOR KEY SHARE "
    "ON CONFLICT (account_id, key) DO UPDATE SET name = excluded.name"
)
UNBLOCK: Final = "DELETE FROM blocks WHERE account_id = %s AND key = %s"


class Sanctions(Database):
    """The part of the contract that is about keeping the peace."""

    def sanctions(self) -> Sequence[Sanction]:
        return [Sanction(*row) for row in self.read(lambda db: db.execute(ALL).fetchall())]

    def sanction(self, kind: str, target: str) -> Sanction | None:
        row = self.read(lambda db: db.execute(ONE, (kind, target)).fetchone())
        return Sanction(*row) if row else None

    def impose(self, sanction: Sanction) -> None:
        def change(db: Line) -> None:
            db.execute(IMPOSE, asdict(sanction))
            self.leave_word(db, "sanction", sanction.kind, sanction.target, by=sanction.by)

        self.change(change)

    def lift(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        def change(db: Line) -> None:
            for target in sorted(targets):
                if db.execute(LIFT, (kind, target)).rowcount:
                    self.leave_word(db, "sanction", kind, target, by=by)

        self.change(change)

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        return self.read(lambda db: db.execute(BLOCKS).fetchall())

    def blocked_by(self, account: int) -> Mapping[str, str]:
        return dict(self.read(lambda db: db.execute(BLOCKED_BY, (account,)).fetchall()))

    def block(self, account: int, names: Mapping[str, str]) -> None:
        def change(db: Line) -> None:
            for key, name in sorted(names.items()):
                db.execute(BLOCK, (key, name, account))
            self.leave_word(db, "blocks", account)

        self.change(change)

    def unblock(self, account: int, key: str) -> None:
        def change(db: Line) -> None:
            db.execute(UNBLOCK, (account, key))
            self.leave_word(db, "blocks", account)

        self.change(change)
