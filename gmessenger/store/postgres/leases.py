"""Leases of guests' names, which end with their node. Times are those of the database's clock only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gmessenger.cluster.interfaces import LeaseClaim
from gmessenger.constants import LEASE_TTL
from gmessenger.errors import NameInUse, NameTaken
from gmessenger.store.common import hash_secret
from gmessenger.store.postgres.accounts import FIND_DIRECT_CONVERSATIONS, LOCK_NAME
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.schema import VERSION

HEARTBEAT_NODE: Final = (
    "INSERT INTO nodes (name, seen, schema) VALUES (%s, clock_timestamp(), %s) "
    "ON CONFLICT (name) DO UPDATE SET seen = excluded.seen"
)
EXPIRE_NODES: Final = "DELETE FROM nodes WHERE seen < clock_timestamp() - %s * interval '1 second' RETURNING name"
# By the names of those nodes: a guest may be moving to a node whose heartbeat is not visible yet.
RELEASE_OF_NODES: Final = "DELETE FROM guests WHERE node = ANY(%s)"
SELECT_HELD: Final = "SELECT key FROM guests WHERE node = %s"
IS_ACCOUNT: Final = "SELECT FROM accounts WHERE key = %s"
FIND_REMOTE_HOLDER: Final = (
    "SELECT node FROM guests JOIN nodes ON nodes.name = guests.node "
    "WHERE key = %s AND node != %s AND seen >= clock_timestamp() - %s * interval '1 second'"
)
SELECT_DIRECT_HEADS: Final = f"SELECT key, head FROM conversations WHERE id IN ({FIND_DIRECT_CONVERSATIONS})"  # noqa: S608
LOCK_LEASE: Final = "SELECT node, token FROM guests WHERE key = %s FOR UPDATE"
SET_LEASE: Final = (
    "INSERT INTO guests (key, node, token) VALUES (%(key)s, %(node)s, %(token)s) "
    "ON CONFLICT (key) DO UPDATE SET node = excluded.node, token = excluded.token"
)
TAKE_OVER_LEASE: Final = "UPDATE guests SET node = %s WHERE key = %s"
RELEASE_LEASES: Final = "DELETE FROM guests WHERE key = ANY(%s) AND node = %s"
REMOVE_NODE: Final = ("DELETE FROM guests WHERE node = %s", "DELETE FROM nodes WHERE name = %s")


class NameLeases(Database):
    """The part of the store that leases the names of guests to nodes."""

    def renew_leases(self) -> Collection[str]:
        def change(db: PgConnection) -> list[str]:
            db.execute(HEARTBEAT_NODE, (self.node, VERSION))
            _expire_nodes(db)
            return [key for (key,) in db.execute(SELECT_HELD, (self.node,)).fetchall()]

        return self.write(change, self.node_pool)

    def claim_name(self, key: str, token: str, resumed_token: str | None) -> LeaseClaim:
        def change(db: PgConnection) -> bool:
            db.execute(LOCK_NAME, (key,))
            if db.execute(IS_ACCOUNT, (key,)).fetchone() is not None:
                raise NameTaken
            db.execute(HEARTBEAT_NODE, (self.node, VERSION))
            _expire_nodes(db)
            row = db.execute(LOCK_LEASE, (key,)).fetchone()
            if row is None or row[0] == self.node:
                db.execute(SET_LEASE, {"key": key, "node": self.node, "token": hash_secret(token)})
                return False
            if resumed_token is None or row[1] != hash_secret(resumed_token):
                raise NameInUse
            db.execute(TAKE_OVER_LEASE, (self.node, key))
            self.record_change(db, "guest", key)
            return True

        was_taken_over = self.change(change, self.node_pool)
        return LeaseClaim(
            was_taken_over,
            dict(self.node_pool.run(lambda db: db.execute(SELECT_DIRECT_HEADS, {"key": key}).fetchall())),
        )

    def name_holder(self, key: str) -> str | None:
        row = self.node_pool.run(lambda db: db.execute(FIND_REMOTE_HOLDER, (key, self.node, LEASE_TTL)).fetchone())
        return str(row[0]) if row else None

    def release_names(self, keys: Collection[str]) -> None:
        self.write(lambda db: db.execute(RELEASE_LEASES, (list(keys), self.node)), self.node_pool)

    def release_node(self) -> None:
        def change(db: PgConnection) -> None:
            for statement in REMOVE_NODE:
                db.execute(statement, (self.node,))

        self.write(change, self.node_pool)


def _expire_nodes(db: PgConnection) -> None:
    """Delete nodes without a heartbeat for `LEASE_TTL`, and the leases that they held."""
    if dead := [name for (name,) in db.execute(EXPIRE_NODES, (LEASE_TTL,)).fetchall()]:
        db.execute(RELEASE_OF_NODES, (dead,))
