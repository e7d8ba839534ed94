"""Which node has which guest: a lease that ends with the node. The database's clock is the only one that counts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gmessenger.cluster.contract import LEASE
from gmessenger.cluster.records import Claim
from gmessenger.errors import NameInUse, NameTaken
from gmessenger.store.common import hash_secret
from gmessenger.store.postgres.accounts import DIRECT_WITH, LOCK_NAME
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.lines import Line

LIVE: Final = "INSERT INTO nodes VALUES (%s, clock_timestamp()) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen"
BURY: Final = "DELETE FROM nodes WHERE seen < clock_timestamp() - %s * interval '1 second' RETURNING name"
# By the names of those nodes: a guest may be moving to one that cannot be seen to live yet.
FREE: Final = "DELETE FROM guests WHERE node = ANY(%s)"
HELD: Final = "SELECT key FROM guests WHERE node = %s"
IS_ACCOUNT: Final = "SELECT FROM accounts WHERE key = %s"
WHERE: Final = (
    "SELECT node FROM guests JOIN nodes ON nodes.name = guests.node "
    "WHERE key = %s AND node != %s AND seen >= clock_timestamp() - %s * interval '1 second'"
)
SAID: Final = f"SELECT key, head FROM conversations WHERE id IN ({DIRECT_WITH})"  # noqa: S608
HOLDER: Final = "SELECT node, token FROM guests WHERE key = %s FOR UPDATE"
HOLD: Final = (
    "INSERT INTO guests (key, node, token) VALUES (%(key)s, %(node)s, %(token)s) "
    "ON CONFLICT (key) DO UPDATE SET node = excluded.node, token = excluded.token"
)
MOVE: Final = "UPDATE guests SET node = %s WHERE key = %s"
RELEASE: Final = "DELETE FROM guests WHERE key = ANY(%s) AND node = %s"
PART: Final = ("DELETE FROM guests WHERE node = %s", "DELETE FROM nodes WHERE name = %s")


class Guests(Database):
    """The part of the contract that is about the names of guests."""

    def beat(self) -> Collection[str]:
        def change(db: Line) -> list[str]:
            db.execute(LIVE, (self.node,))
            _bury(db)
            return [key for (key,) in db.execute(HELD, (self.node,)).fetchall()]

        return self.write(change, self.own_lines)

    def claim(self, key: str, token: str, resumed: str | None) -> Claim:
        def change(db: Line) -> bool:
            db.execute(LOCK_NAME, (key,))
            if db.execute(IS_ACCOUNT, (key,)).fetchone() is not None:
                raise NameTaken
            db.execute(LIVE, (self.node,))
            _bury(db)
            row = db.execute(HOLDER, (key,)).fetchone()
            if row is None or row[0] == self.node:
                db.execute(HOLD, {"key": key, "node": self.node, "token": hash_secret(token)})
                return False
            if resumed is None or row[1] != hash_secret(resumed):
                raise NameInUse
            db.execute(MOVE, (self.node, key))
            self.leave_word(db, "guest", key)
            return True

        taken = self.change(change, self.own_lines)
        return Claim(taken, dict(self.own_lines.use(lambda db: db.execute(SAID, {"key": key}).fetchall())))

    def holder(self, key: str) -> str | None:
        row = self.own_lines.use(lambda db: db.execute(WHERE, (key, self.node, LEASE)).fetchone())
        return str(row[0]) if row else None

    def release(self, keys: Collection[str]) -> None:
        self.write(lambda db: db.execute(RELEASE, (list(keys), self.node)), self.own_lines)

    def part(self) -> None:
        def change(db: Line) -> None:
            for statement in PART:
                db.execute(statement, (self.node,))

        self.write(change, self.own_lines)


def _bury(db: Line) -> None:
    """What dead nodes held is free again."""
    if dead := [name for (name,) in db.execute(BURY, (LEASE,)).fetchall()]:
        db.execute(FREE, (dead,))
