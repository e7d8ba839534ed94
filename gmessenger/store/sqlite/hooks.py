"""Hooks and the alerts that they have posted, in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import ALERT_TTL, HOOK_DEVICE, HOOK_ROLE, MAX_ALERTS, MAX_HOOKS, Account, Hook
from gmessenger.errors import NoSuchRoom, NotOwner, TooManyHooks
from gmessenger.store.common import NO_PASSWORD, SELECT_ALL_HOOKS, SELECT_HOOKS, hash_secret
from gmessenger.store.sqlite.accounts import DROP, AccountStore
from gmessenger.store.sqlite.devices import ADD_DEVICE
from gmessenger.store.sqlite.membership import join_room
from gmessenger.store.sqlite.roles import RULES, SET_ROLE, find_role

OF_ROOM: Final = f"{SELECT_HOOKS} WHERE c.key = ? ORDER BY a.key"
FIND_BY_HASH: Final = f"{SELECT_HOOKS} WHERE h.hash = ?"
COUNT: Final = "SELECT count(*) FROM hooks WHERE conversation_id = ?"
ADD: Final = 'INSERT INTO hooks (account_id, conversation_id, hash, creator, "by", created) VALUES (?,?,?,?,?,?)'
ACCOUNTS_OF_ROOM: Final = (
    "SELECT account_id FROM hooks WHERE conversation_id = (SELECT id FROM conversations WHERE key = ?)"
)
FIND_ALERT: Final = (
    "SELECT max(seq) FROM alerts WHERE account_id = ? AND fingerprint IN (SELECT value FROM json_each(?)) AND time >= ?"
)
NOTE_ALERT: Final = "INSERT OR REPLACE INTO alerts (account_id, fingerprint, seq, time) VALUES (?,?,?,?)"
DROP_OLD_ALERTS: Final = "DELETE FROM alerts WHERE account_id = ? AND time < ?"
DROP_EXCESS_ALERTS: Final = (
    "DELETE FROM alerts WHERE account_id = :account AND fingerprint IN (SELECT fingerprint FROM alerts "
    "WHERE account_id = :account ORDER BY time DESC, seq DESC LIMIT -1 OFFSET :most)"
)


class HookStore(AccountStore):
    """The part of the store that has hooks, which are accounts besides."""

    def hooks(self, room: str | None = None) -> Sequence[Hook]:
        query, values = (SELECT_ALL_HOOKS, ()) if room is None else (OF_ROOM, (room,))
        return [Hook(*row) for row in self.read(lambda db: db.execute(query, values).fetchall())]

    def find_hook(self, token: str) -> Hook | None:
        row = self.read(lambda db: db.execute(FIND_BY_HASH, (hash_secret(token),)).fetchone())
        return Hook(*row) if row else None

    def add_hook(
        self, key: str, name: str, room: str, token: str, time: float, by: str, creator: int | None = None
    ) -> Account:
        def change(db: sqlite3.Connection) -> Account:
            conversation = _check_may_add(db, room, creator)
            account = self._insert_account(db, (key, name, NO_PASSWORD, time), None)
            join_room(db, room, account.id, time)
            db.execute(SET_ROLE, (HOOK_ROLE, conversation, account.id))
            db.execute(ADD_DEVICE, (account.id, HOOK_DEVICE, time))
            db.execute(ADD, (account.id, conversation, hash_secret(token), creator, by, time))
            account.is_bot = True
            return account

        return self.writer.execute(change)

    def find_alert(self, hook: int, fingerprints: Sequence[str], time: float) -> int | None:
        values = (hook, json.dumps(list(fingerprints)), time - ALERT_TTL)
        (seq,) = self.read(lambda db: db.execute(FIND_ALERT, values).fetchone())
        return None if seq is None else int(seq)

    def note_alerts(self, hook: int, fingerprints: Sequence[str], seq: int, time: float) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.executemany(NOTE_ALERT, [(hook, fingerprint, seq, time) for fingerprint in fingerprints])
            db.execute(DROP_OLD_ALERTS, (hook, time - ALERT_TTL))
            db.execute(DROP_EXCESS_ALERTS, {"account": hook, "most": MAX_ALERTS})

        self.writer.execute(change)


def _check_may_add(db: sqlite3.Connection, room: str, creator: int | None) -> int:
    """Return the id of a room to which a hook may be added. Raises as `Store.add_hook`."""
    row = db.execute(RULES, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    conversation = int(row[0])
    if creator is not None and find_role(db, conversation, creator) != "owner":
        raise NotOwner
    if db.execute(COUNT, (conversation,)).fetchone()[0] >= MAX_HOOKS:
        raise TooManyHooks(limit=MAX_HOOKS)
    return conversation


def drop_hooks(db: sqlite3.Connection, room: str) -> None:
    """Delete the accounts of all hooks of a room, given by its key."""
    for (account,) in db.execute(ACCOUNTS_OF_ROOM, (room,)).fetchall():
        for statement in DROP:
            db.execute(statement, (account,))
