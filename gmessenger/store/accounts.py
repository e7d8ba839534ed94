"""Accounts, their invites, tokens and devices, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import Account, Device, Entry, Proof
from gmessenger.errors import InviteRefused, NameTaken, PasswordNeeded
from gmessenger.store import past
from gmessenger.store.common import MAX_DEVICES, hash_secret
from gmessenger.store.database import Database

ALL: Final = "SELECT id, key, name, disabled, role FROM accounts"
ADD: Final = "INSERT INTO accounts (key, name, password, created) VALUES (?,?,?,?)"
IS_TAKEN: Final = "SELECT 1 FROM accounts WHERE key = ?"
PASSWORD: Final = "SELECT password FROM accounts WHERE id = ?"  # noqa: S105
SET_PASSWORD: Final = "UPDATE accounts SET password = ? WHERE id = ?"  # noqa: S105
DISABLE: Final = "UPDATE accounts SET disabled = ? WHERE id = ?"
SET_ROLE: Final = "UPDATE accounts SET role = ? WHERE id = ?"
DROP_TOKENS: Final = "DELETE FROM tokens WHERE account_id = ?"
DROP: Final = (
    past.FORGET_ACCOUNT,
    "DELETE FROM cursors WHERE device_id IN (SELECT id FROM devices WHERE account_id = ?)",
    DROP_TOKENS,
    "DELETE FROM devices WHERE account_id = ?",
    "DELETE FROM participants WHERE account_id = ?",
    "DELETE FROM blocks WHERE account_id = ?",
    "DELETE FROM accounts WHERE id = ?",
)
"""Everything of an account except its messages, in this order."""
ADD_INVITE: Final = "INSERT INTO invites (hash, created) VALUES (?,?)"
USE_INVITE: Final = "DELETE FROM invites WHERE hash = ?"
TOKEN: Final = "SELECT t.account_id, d.name FROM tokens t JOIN devices d ON d.id = t.device_id WHERE t.hash = ?"  # noqa: S105
ADD_TOKEN: Final = "INSERT INTO tokens (hash, account_id, device_id, created) VALUES (?,?,?,?)"  # noqa: S105
DROP_TOKENS_OF_DEVICE: Final = "DELETE FROM tokens WHERE device_id = ?"
DEVICE: Final = "SELECT id FROM devices WHERE account_id = ? AND name = ?"
DEVICES_BY_USE: Final = "SELECT id FROM devices WHERE account_id = ? ORDER BY used DESC, id DESC"
ADD_DEVICE: Final = "INSERT INTO devices (account_id, name, used) VALUES (?,?,?)"
USE_DEVICE: Final = "UPDATE devices SET used = ? WHERE id = ?"
DROP_DEVICE: Final = (
    "DELETE FROM devices WHERE id = ?",
    "DELETE FROM cursors WHERE device_id = ?",
    DROP_TOKENS_OF_DEVICE,
)
CURSORS: Final = (
    "SELECT c.key, max(coalesce(u.seq, 0), p.visible - 1) FROM participants p "
    "JOIN conversations c ON c.id = p.conversation_id "
    "LEFT JOIN cursors u ON u.conversation_id = p.conversation_id AND u.device_id = ? "
    "WHERE p.account_id = ? AND c.key NOT LIKE '!%'"
)
FURTHEST: Final = (
    "SELECT u.conversation_id, max(u.seq) FROM cursors u JOIN devices d ON d.id = u.device_id "
    "WHERE d.account_id = ? GROUP BY u.conversation_id"
)
ADD_CURSOR: Final = "INSERT INTO cursors VALUES (?,?,?)"
JOIN_DIRECT: Final = "INSERT INTO participants VALUES (?,?,?,0)"
MEMBER: Final = "INSERT INTO participants SELECT ?, id, head + 1, 0 FROM conversations WHERE key = ?"
DIRECT_WITH: Final = (
    # Two ranges of indexes: there may be hundreds of thousands of conversations, and the loop waits.
    "SELECT id, head FROM conversations WHERE key >= :key || ' ' AND key < :key || '!' "
    "UNION SELECT id, head FROM conversations WHERE substr(key, instr(key, ' ') + 1) = :key AND instr(key, ' ') > 0"
)


class Accounts(Database):
    """The part of the contract that is about who may log in, and from where."""

    def accounts(self) -> Sequence[Account]:
        rows = self.read(lambda db: db.execute(ALL).fetchall())
        return [Account(id, key, name, bool(disabled), role) for id, key, name, disabled, role in rows]

    def create_account(self, key: str, name: str, password: str, time: float, invite: str | None = None) -> Account:
        def create(db: sqlite3.Connection) -> Account:
            return self._create(db, (key, name, password, time), invite)

        account = self.commits.change(create)
        if invite is not None:
            self.note_erased()
        return account

    def register(
        self,
        key: str,
        name: str,
        password: str,
        time: float,
        entry: Entry,
        rooms: Sequence[str] = (),
        invite: str | None = None,
    ) -> tuple[Account, Device]:
        def create(db: sqlite3.Connection) -> tuple[Account, Device]:
            account = self._create(db, (key, name, password, time), invite)
            db.executemany(MEMBER, [(account.id, room) for room in rooms])
            return account, _enter(db, account.id, entry, time)

        registered = self.commits.change(create)
        if invite is not None:
            self.note_erased()
        return registered

    def _create(self, db: sqlite3.Connection, row: tuple[str, str, str, float], invite: str | None) -> Account:
        key, name = row[:2]
        if db.execute(IS_TAKEN, (key,)).fetchone():
            raise NameTaken
        if invite is not None and not db.execute(USE_INVITE, (hash_secret(invite),)).rowcount:
            raise InviteRefused
        added = db.execute(ADD, row)
        account = int(added.lastrowid or 0)
        for conversation, head in db.execute(DIRECT_WITH, {"key": key}).fetchall():
            db.execute(JOIN_DIRECT, (account, conversation, head + 1))
        self.posts.forget()
        return Account(account, key, name)

    def password(self, account: int) -> str | None:
        row = self.read(lambda db: db.execute(PASSWORD, (account,)).fetchone())
        return str(row[0]) if row else None

    def set_password(self, account: int, password: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.execute(SET_PASSWORD, (password, account))
            db.execute(DROP_TOKENS, (account,))

        self.commits.change(change)
        self.note_erased(now=True)

    def disable(self, account: int, disabled: bool) -> None:
        self.commits.change(lambda db: db.execute(DISABLE, (disabled, account)))

    def set_role(self, account: int, role: str) -> None:
        self.commits.change(lambda db: db.execute(SET_ROLE, (role, account)))

    def delete_account(self, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
            for statement in DROP:
                db.execute(statement, (account,))
            self.posts.forget()

        self.commits.change(change)
        self.note_erased()

    def add_invite(self, invite: str, time: float) -> None:
        self.commits.change(lambda db: db.execute(ADD_INVITE, (hash_secret(invite), time)))

    def token(self, token: str) -> tuple[int, str] | None:
        row = self.read(lambda db: db.execute(TOKEN, (hash_secret(token),)).fetchone())
        return (int(row[0]), str(row[1])) if row else None

    def enter(self, account: int, entry: Entry, time: float, proof: Proof) -> Device:
        def enter(db: sqlite3.Connection) -> Device:
            self.move_cursors(db)
            if not _still_good(db, account, proof):
                raise PasswordNeeded
            return _enter(db, account, entry, time)

        device = self.commits.change(enter)
        self.note_erased(thorough=bool(device.dropped), now=bool(device.dropped))
        return device


def _still_good(db: sqlite3.Connection, account: int, proof: Proof) -> bool:
    """Whether what was shown a moment ago is good in this transaction, too: a password may have been changed since."""
    if proof.token is not None:
        row = db.execute(TOKEN, (hash_secret(proof.token),)).fetchone()
        return row is not None and row[0] == account
    row = db.execute(PASSWORD, (account,)).fetchone()
    return row is not None and row[0] == proof.password


def _enter(db: sqlite3.Connection, account: int, entry: Entry, time: float) -> Device:
    row = db.execute(DEVICE, (account, entry.device)).fetchone()
    device = row[0] if row else _new_device(db, account, entry.device, time)
    db.execute(USE_DEVICE, (time, device))
    # One line per device: an older token of the same device has been replaced with its session.
    db.execute(DROP_TOKENS_OF_DEVICE, (device,))
    db.execute(ADD_TOKEN, (hash_secret(entry.token), account, device, time))
    dropped = _drop_unused(db, account, {device, *entry.live})
    cursors = db.execute(CURSORS, (device, account)).fetchall()
    return Device(device, entry.device, dict(cursors), dropped)


def _drop_unused(db: sqlite3.Connection, account: int, live: set[int]) -> list[int]:
    by_use = [device for (device,) in db.execute(DEVICES_BY_USE, (account,)).fetchall()]
    dropped = sorted(by_use, key=lambda device: device not in live)[MAX_DEVICES:]
    for device in dropped:
        for statement in DROP_DEVICE:
            db.execute(statement, (device,))
    return dropped


def _new_device(db: sqlite3.Connection, account: int, name: str, time: float) -> int:
    device = int(db.execute(ADD_DEVICE, (account, name, time)).lastrowid or 0)
    furthest = db.execute(FURTHEST, (account,)).fetchall()
    db.executemany(ADD_CURSOR, [(device, conversation, seq) for conversation, seq in furthest])
    return device
