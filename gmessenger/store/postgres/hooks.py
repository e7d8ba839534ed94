"""Hooks and the alerts that they have posted, in PostgreSQL.

Locks are taken as for roles: accounts first, then the room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gmessenger.chat.records import ALERT_TTL, HOOK_DEVICE, HOOK_ROLE, MAX_ALERTS, MAX_HOOKS, Account, Hook
from gmessenger.errors import NoSuchRoom, NotOwner, TooManyHooks
from gmessenger.store.common import NO_PASSWORD, SELECT_ALL_HOOKS, SELECT_HOOKS, hash_secret
from gmessenger.store.postgres.accounts import DELETE_ACCOUNT, DELETE_MEMBERSHIPS, AccountStore
from gmessenger.store.postgres.membership import join_room
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.roles import LOCK_ACCOUNT, LOCK_ROOM, SET_ROLE, find_role, require_upgraded
from gmessenger.store.postgres.schema import FIRST_WITH_HOOKS

OF_ROOM: Final = f"{SELECT_HOOKS} WHERE c.key = %s ORDER BY a.key"
FIND_BY_HASH: Final = f"{SELECT_HOOKS} WHERE h.hash = %s"
COUNT_HOOKS: Final = "SELECT count(*) FROM hooks WHERE conversation_id = %s"
ADD_DEVICE: Final = "INSERT INTO devices (account_id, name, used) VALUES (%s, %s, %s)"
ADD_HOOK: Final = (
    "INSERT INTO hooks (account_id, conversation_id, hash, creator, by, created) VALUES (%s, %s, %s, %s, %s, %s)"
)
ACCOUNTS_OF_ROOM: Final = (
    "SELECT account_id FROM hooks WHERE conversation_id = (SELECT id FROM conversations WHERE key = %s) "
    "ORDER BY account_id"
)
FIND_ALERT: Final = "SELECT max(seq) FROM alerts WHERE account_id = %s AND fingerprint = ANY(%s) AND time >= %s"
NOTE_ALERTS: Final = (
    # Locked: nothing must be added to an account that is being deleted.
    "INSERT INTO alerts (account_id, fingerprint, seq, time) SELECT a.id, f.fingerprint, %s, %s FROM accounts a, "
    "(SELECT DISTINCT fingerprint FROM unnest(%s::text[]) AS u(fingerprint) ORDER BY fingerprint) AS f "
    "WHERE a.id = %s FOR KEY SHARE OF a "
    "ON CONFLICT (account_id, fingerprint) DO UPDATE SET seq = excluded.seq, time = excluded.time"
)
DROP_OLD_ALERTS: Final = "DELETE FROM alerts WHERE account_id = %s AND time < %s"
DROP_EXCESS_ALERTS: Final = (
    "DELETE FROM alerts WHERE account_id = %s AND fingerprint IN (SELECT fingerprint FROM alerts "
    "WHERE account_id = %s ORDER BY time DESC, seq DESC OFFSET %s)"
)


class HookStore(AccountStore):
    """The part of the store that has hooks, which are accounts besides."""

    def hooks(self, room: str | None = None) -> Sequence[Hook]:
        def select(db: PgConnection) -> Sequence[Hook]:
            rows = db.execute(SELECT_ALL_HOOKS) if room is None else db.execute(OF_ROOM, (room,))
            return [Hook(*row) for row in rows.fetchall()]

        return self.read(select)

    def find_hook(self, token: str) -> Hook | None:
        row = self.read(lambda db: db.execute(FIND_BY_HASH, (hash_secret(token),)).fetchone())
        return Hook(*row) if row else None

    def add_hook(
        self, key: str, name: str, room: str, token: str, time: float, by: str, creator: int | None = None
    ) -> Account:
        def change(db: PgConnection) -> Account:
            require_upgraded(db, FIRST_WITH_HOOKS)
            account = self._insert_account(db, (key, name, NO_PASSWORD, time), None)
            conversation = _lock_room(db, room, creator)
            join_room(db, room, account.id, time)
            db.execute(SET_ROLE, (HOOK_ROLE, conversation, account.id))
            db.execute(ADD_DEVICE, (account.id, HOOK_DEVICE, time))
            db.execute(ADD_HOOK, (account.id, conversation, hash_secret(token), creator, by, time))
            self.record_change(db, "member", room, account.id, by=by, reason=HOOK_ROLE)
            account.is_bot = True
            return account

        self.flush()
        return self.change(change)

    def find_alert(self, hook: int, fingerprints: Sequence[str], time: float) -> int | None:
        values = (hook, list(fingerprints), time - ALERT_TTL)
        row = self.read(lambda db: db.execute(FIND_ALERT, values).fetchone())
        return None if row is None or row[0] is None else int(row[0])

    def note_alerts(self, hook: int, fingerprints: Sequence[str], seq: int, time: float) -> None:
        def change(db: PgConnection) -> None:
            db.execute(NOTE_ALERTS, (seq, time, list(fingerprints), hook))
            db.execute(DROP_OLD_ALERTS, (hook, time - ALERT_TTL))
            db.execute(DROP_EXCESS_ALERTS, (hook, hook, MAX_ALERTS))

        self.write(change)


def _lock_room(db: PgConnection, room: str, creator: int | None) -> int:
    """Lock a room to which a hook may be added, and return its id. Raises as `Store.add_hook`."""
    if creator is not None and db.execute(LOCK_ACCOUNT, (creator,)).fetchone() is None:
        raise NotOwner
    row = db.execute(LOCK_ROOM, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    conversation = int(row[0])
    if creator is not None and find_role(db, conversation, creator) != "owner":
        raise NotOwner
    ((count,),) = db.execute(COUNT_HOOKS, (conversation,)).fetchall()
    if count >= MAX_HOOKS:
        raise TooManyHooks(limit=MAX_HOOKS)
    return conversation


def drop_hooks(db: PgConnection, room: str) -> Iterator[int]:
    """Delete the accounts of all hooks of a room, given by its key; yield their ids."""
    for (account,) in db.execute(ACCOUNTS_OF_ROOM, (room,)).fetchall():
        for statement in (*DELETE_ACCOUNT, DELETE_MEMBERSHIPS):
            db.execute(statement, (account,))
        yield account
