"""Accounts, invites, sanctions and blocks in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import astuple

from gmessenger.chat.records import Account, Device, DeviceLogin, InviteInfo, Sanction
from gmessenger.errors import InvalidInvite, NameTaken, WrongPassword
from gmessenger.store.common import hash_secret, invite_id
from gmessenger.store.sqlite import past_ids
from gmessenger.store.sqlite.devices import (
    DROP_CERTIFICATES,
    DROP_PUSH_SUBSCRIPTIONS,
    PASSWORD,
    DeviceStore,
    log_in_device,
)
from gmessenger.store.sqlite.membership import join_room
from gmessenger.store.sqlite.roles import OWNED, replace_owners

ALL: Final = (
    "SELECT id, key, name, disabled, role, generation, settings, "
    "EXISTS (SELECT 1 FROM hooks WHERE account_id = id), profile FROM accounts"
)
ADD: Final = "INSERT INTO accounts (key, name, password, created) VALUES (?,?,?,?)"
IS_TAKEN: Final = "SELECT 1 FROM accounts WHERE key = ?"
HAS_ONE_TIME_PASSWORD: Final = "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ? AND password_until IS NOT NULL)"  # noqa: S105
SET_PASSWORD: Final = (
    "UPDATE accounts SET password = ?, password_until = ?, password_by = ?, generation = generation + 1 "  # noqa: S105
    "WHERE id = ?"
)
CHANGE_PASSWORD: Final = f"{SET_PASSWORD} AND password = ?"
IS_PASSWORD_OF: Final = "SELECT 1 FROM accounts WHERE id = ? AND password_by = ?"  # noqa: S105
GENERATION: Final = "SELECT generation FROM accounts WHERE id = ?"
DISABLE: Final = "UPDATE accounts SET disabled = ? WHERE id = ?"
SET_ROLE: Final = "UPDATE accounts SET role = ? WHERE id = ?"
SETTINGS: Final = "SELECT settings FROM accounts WHERE id = ?"
SET_SETTINGS: Final = "UPDATE accounts SET settings = ? WHERE id = ?"
PROFILE: Final = "SELECT profile FROM accounts WHERE id = ?"
SET_PROFILE: Final = "UPDATE accounts SET profile = ? WHERE id = ?"
DROP_TOKENS: Final = "DELETE FROM tokens WHERE account_id = ?"
DROP_OTHER_TOKENS: Final = f"{DROP_TOKENS} AND hash != ?"
DROP: Final = (
    past_ids.DELETE_IDS_OF_ACCOUNT,
    "DELETE FROM cursors WHERE device_id IN (SELECT id FROM devices WHERE account_id = ?)",
    DROP_TOKENS,
    "DELETE FROM devices WHERE account_id = ?",
    "DELETE FROM participants WHERE account_id = ?",
    "DELETE FROM absences WHERE account_id = ?",
    "DELETE FROM invitations WHERE key = (SELECT key FROM accounts WHERE id = ?)",
    "DELETE FROM room_sanctions WHERE kind <> 'network' AND target = (SELECT key FROM accounts WHERE id = ?)",
    "DELETE FROM blocks WHERE account_id = ?",
    "DELETE FROM reactions WHERE account_id = ?",
    "DELETE FROM files WHERE account_id = ? AND seq IS NULL",
    "DELETE FROM hooks WHERE account_id = ?",
    "DELETE FROM alerts WHERE account_id = ?",
    "DELETE FROM accounts WHERE id = ?",
)
"""Delete all of an account but its messages, in this order."""
ADD_INVITE: Final = 'INSERT INTO invites (hash, created, id, "by", expires, uses) VALUES (?,?,?,?,?,?)'
DROP_EXPIRED_INVITES: Final = "DELETE FROM invites WHERE expires <= ?"
INVITES: Final = 'SELECT id, "by", created, expires, uses FROM invites ORDER BY created, id'
REMOVE_INVITE: Final = "DELETE FROM invites WHERE id = ?"
USE_INVITE: Final = "UPDATE invites SET uses = uses - 1 WHERE hash = ? AND (expires IS NULL OR expires > ?)"
DROP_USED_INVITE: Final = "DELETE FROM invites WHERE hash = ? AND uses <= 0"
JOIN_DIRECT: Final = "INSERT INTO participants (account_id, conversation_id, visible) VALUES (?,?,?)"
FIND_DIRECT_CONVERSATIONS: Final = (
    # Two ranges of indexes: there may be hundreds of thousands of conversations, and this runs on the loop.
    "SELECT id, head FROM conversations WHERE key >= :key || ' ' AND key < :key || '!' "
    "UNION SELECT id, head FROM conversations WHERE substr(key, instr(key, ' ') + 1) = :key AND instr(key, ' ') > 0"
)

# The columns of sanctions are in the order of the record's fields.
SANCTIONS: Final = 'SELECT kind, target, "by", reason, since, until FROM sanctions'
IMPOSE: Final = 'INSERT OR REPLACE INTO sanctions (kind, target, "by", reason, since, until) VALUES (?,?,?,?,?,?)'
LIFT: Final = "DELETE FROM sanctions WHERE kind = ? AND target = ?"
BLOCKS: Final = "SELECT account_id, key, name FROM blocks"
BLOCK: Final = "INSERT OR REPLACE INTO blocks (account_id, key, name) VALUES (?,?,?)"
UNBLOCK: Final = "DELETE FROM blocks WHERE account_id = ? AND key = ?"


class AccountStore(DeviceStore):
    """The part of the store that has accounts, sanctions and blocks."""

    def accounts(self) -> Sequence[Account]:
        rows = self.read(lambda db: db.execute(ALL).fetchall())
        return [
            Account(id, key, name, bool(disabled), role, generation, settings, bool(is_bot), profile)
            for id, key, name, disabled, role, generation, settings, is_bot, profile in rows
        ]

    def create_account(
        self, key: str, name: str, password_hash: str, time: float, invite: str | None = None
    ) -> Account:
        def create(db: sqlite3.Connection) -> Account:
            return self._insert_account(db, (key, name, password_hash, time), invite)

        account = self.writer.execute(create)
        if invite is not None:
            self.schedule_purge()
        return account

    def register(
        self,
        key: str,
        name: str,
        password_hash: str,
        time: float,
        login: DeviceLogin,
        rooms: Sequence[str] = (),
        invite: str | None = None,
    ) -> tuple[Account, Device]:
        def create(db: sqlite3.Connection) -> tuple[Account, Device]:
            account = self._insert_account(db, (key, name, password_hash, time), invite)
            for room in rooms:
                join_room(db, room, account.id, time)
            return account, log_in_device(db, account.id, login, time)

        registered = self.writer.execute(create)
        if invite is not None:
            self.schedule_purge()
        return registered

    def _insert_account(self, db: sqlite3.Connection, row: tuple[str, str, str, float], invite: str | None) -> Account:
        key, name, _, time = row
        if db.execute(IS_TAKEN, (key,)).fetchone():
            raise NameTaken
        if invite is not None:
            _use_invite(db, hash_secret(invite), time)
        added = db.execute(ADD, row)
        account = int(added.lastrowid or 0)
        for conversation, head in db.execute(FIND_DIRECT_CONVERSATIONS, {"key": key}).fetchall():
            db.execute(JOIN_DIRECT, (account, conversation, head + 1))
        self.inserter.reset_cache()
        return Account(account, key, name)

    def password_hash(self, account: int) -> str | None:
        row = self.read(lambda db: db.execute(PASSWORD, (account,)).fetchone())
        return str(row[0]) if row else None

    def is_password_set_by(self, account: int, token: str) -> bool:
        row = self.read(lambda db: db.execute(IS_PASSWORD_OF, (account, hash_secret(token))).fetchone())
        return row is not None

    def has_one_time_password(self, account: int) -> bool:
        return bool(self.read(lambda db: db.execute(HAS_ONE_TIME_PASSWORD, (account,)).fetchone()[0]))

    def set_password(self, account: int, password_hash: str, until: float | None = None) -> int:
        def change(db: sqlite3.Connection) -> int:
            db.execute(SET_PASSWORD, (password_hash, until, None, account))
            db.execute(DROP_TOKENS, (account,))
            db.execute(DROP_CERTIFICATES, (account,))
            db.execute(DROP_PUSH_SUBSCRIPTIONS, (account,))
            return _generation(db, account)

        return self._change_password(change)

    def change_password(self, account: int, old_hash: str, new_hash: str, kept_token: str) -> int:
        def change(db: sqlite3.Connection) -> int:
            token = hash_secret(kept_token)
            if not db.execute(CHANGE_PASSWORD, (new_hash, None, token, account, old_hash)).rowcount:
                raise WrongPassword
            db.execute(DROP_OTHER_TOKENS, (account, token))
            db.execute(DROP_CERTIFICATES, (account,))
            db.execute(DROP_PUSH_SUBSCRIPTIONS, (account,))
            return _generation(db, account)

        return self._change_password(change)

    def _change_password(self, change: Callable[[sqlite3.Connection], int]) -> int:
        changed = self.writer.execute(change)
        self.schedule_purge(now=True)
        return changed

    def set_disabled(self, account: int, disabled: bool) -> None:
        self.writer.execute(lambda db: db.execute(DISABLE, (disabled, account)))

    def set_role(self, account: int, role: str) -> None:
        self.writer.execute(lambda db: db.execute(SET_ROLE, (role, account)))

    def change_settings(self, account: int, change: Callable[[str], str]) -> str:
        return self.writer.execute(lambda db: _replace(db, SETTINGS, SET_SETTINGS, account, change))

    def change_profile(self, account: int, change: Callable[[str], str]) -> str:
        changed = self.writer.execute(lambda db: _replace(db, PROFILE, SET_PROFILE, account, change))
        self.schedule_purge()
        return changed

    def delete_account(self, account: int) -> Mapping[str, int]:
        def change(db: sqlite3.Connection) -> Mapping[str, int]:
            owned = db.execute(OWNED, (account,)).fetchall()
            for statement in DROP:
                db.execute(statement, (account,))
            self.inserter.reset_cache()
            return replace_owners(db, owned)

        new_owners = self.writer.execute(change)
        self.schedule_purge()
        return new_owners

    def add_invite(self, invite: str, time: float, by: str = "", expires: float | None = None, uses: int = 1) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.execute(DROP_EXPIRED_INVITES, (time,))
            db.execute(ADD_INVITE, (hash_secret(invite), time, invite_id(invite), by, expires, uses))

        self.writer.execute(change)

    def invites(self) -> Sequence[InviteInfo]:
        return [InviteInfo(*row) for row in self.read(lambda db: db.execute(INVITES).fetchall())]

    def remove_invite(self, id: str) -> bool:
        count = self.writer.execute(lambda db: db.execute(REMOVE_INVITE, (id,)).rowcount)
        self.schedule_purge()
        return count > 0

    def sanctions(self) -> Sequence[Sanction]:
        return [Sanction(*row) for row in self.read(lambda db: db.execute(SANCTIONS).fetchall())]

    def add_sanction(self, sanction: Sanction) -> None:
        self.writer.execute(lambda db: db.execute(IMPOSE, astuple(sanction)))

    def remove_sanctions(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        def change(db: sqlite3.Connection) -> None:
            db.executemany(LIFT, [(kind, target) for target in targets])

        self.writer.execute(change)
        self.schedule_purge()

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        return self.read(lambda db: db.execute(BLOCKS).fetchall())

    def block(self, account: int, names: Mapping[str, str]) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.executemany(BLOCK, [(account, key, name) for key, name in names.items()])

        self.writer.execute(change)

    def unblock(self, account: int, key: str) -> None:
        self.writer.execute(lambda db: db.execute(UNBLOCK, (account, key)))
        self.schedule_purge()


def _replace(db: sqlite3.Connection, find: str, replace: str, account: int, change: Callable[[str], str]) -> str:
    """Replace a value of an account by what `change` makes of it; return the new one."""
    row = db.execute(find, (account,)).fetchone()
    db.execute(replace, (changed := change(str(row[0]) if row else ""), account))
    return changed


def _use_invite(db: sqlite3.Connection, digest: bytes, time: float) -> None:
    """Use an invite once. Raises `InvalidInvite`."""
    if not db.execute(USE_INVITE, (digest, time)).rowcount:
        raise InvalidInvite
    db.execute(DROP_USED_INVITE, (digest,))


def _generation(db: sqlite3.Connection, account: int) -> int:
    row = db.execute(GENERATION, (account,)).fetchone()
    return int(row[0]) if row else 0
