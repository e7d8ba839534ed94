"""Accounts, invites, tokens, devices, sanctions and blocks in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import astuple

from gmessenger.chat.records import Account, Credential, Device, DeviceLogin, Sanction
from gmessenger.errors import InvalidInvite, NameTaken, PasswordRequired, WrongPassword
from gmessenger.store.common import MAX_DEVICES, hash_secret
from gmessenger.store.sqlite import past_ids
from gmessenger.store.sqlite.database import Database

ALL: Final = "SELECT id, key, name, disabled, role, generation FROM accounts"
ADD: Final = "INSERT INTO accounts (key, name, password, created) VALUES (?,?,?,?)"
IS_TAKEN: Final = "SELECT 1 FROM accounts WHERE key = ?"
PASSWORD: Final = "SELECT password FROM accounts WHERE id = ?"  # noqa: S105
GENERATION: Final = "SELECT generation FROM accounts WHERE id = ?"
SET_PASSWORD: Final = "UPDATE accounts SET password = ?, generation = generation + 1 WHERE id = ?"  # noqa: S105
CHANGE_PASSWORD: Final = f"{SET_PASSWORD} AND password = ?"
DISABLE: Final = "UPDATE accounts SET disabled = ? WHERE id = ?"
SET_ROLE: Final = "UPDATE accounts SET role = ? WHERE id = ?"
DROP_TOKENS: Final = "DELETE FROM tokens WHERE account_id = ?"
DROP_OTHER_TOKENS: Final = f"{DROP_TOKENS} AND hash != ?"
DROP: Final = (
    past_ids.DELETE_IDS_OF_ACCOUNT,
    "DELETE FROM cursors WHERE device_id IN (SELECT id FROM devices WHERE account_id = ?)",
    DROP_TOKENS,
    "DELETE FROM devices WHERE account_id = ?",
    "DELETE FROM participants WHERE account_id = ?",
    "DELETE FROM blocks WHERE account_id = ?",
    "DELETE FROM accounts WHERE id = ?",
)
"""Delete all of an account but its messages, in this order."""
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
JOIN_DIRECT: Final = "INSERT INTO participants (account_id, conversation_id, visible) VALUES (?,?,?)"
ADD_MEMBER: Final = (
    "INSERT INTO participants (account_id, conversation_id, visible) "
    "SELECT ?, id, head + 1 FROM conversations WHERE key = ?"
)
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


class AccountStore(Database):
    """The part of the store that has accounts, devices, sanctions and blocks."""

    def accounts(self) -> Sequence[Account]:
        rows = self.read(lambda db: db.execute(ALL).fetchall())
        return [Account(id, key, name, bool(disabled), *rest) for id, key, name, disabled, *rest in rows]

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
            db.executemany(ADD_MEMBER, [(account.id, room) for room in rooms])
            return account, _log_in_device(db, account.id, login, time)

        registered = self.writer.execute(create)
        if invite is not None:
            self.schedule_purge()
        return registered

    def _insert_account(self, db: sqlite3.Connection, row: tuple[str, str, str, float], invite: str | None) -> Account:
        key, name = row[:2]
        if db.execute(IS_TAKEN, (key,)).fetchone():
            raise NameTaken
        if invite is not None and not db.execute(USE_INVITE, (hash_secret(invite),)).rowcount:
            raise InvalidInvite
        added = db.execute(ADD, row)
        account = int(added.lastrowid or 0)
        for conversation, head in db.execute(FIND_DIRECT_CONVERSATIONS, {"key": key}).fetchall():
            db.execute(JOIN_DIRECT, (account, conversation, head + 1))
        self.inserter.reset_cache()
        return Account(account, key, name)

    def password_hash(self, account: int) -> str | None:
        row = self.read(lambda db: db.execute(PASSWORD, (account,)).fetchone())
        return str(row[0]) if row else None

    def set_password(self, account: int, password_hash: str) -> int:
        def change(db: sqlite3.Connection) -> int:
            db.execute(SET_PASSWORD, (password_hash, account))
            db.execute(DROP_TOKENS, (account,))
            return _generation(db, account)

        return self._change_password(change)

    def change_password(self, account: int, old_hash: str, new_hash: str, kept_token: str) -> int:
        def change(db: sqlite3.Connection) -> int:
            if not db.execute(CHANGE_PASSWORD, (new_hash, account, old_hash)).rowcount:
                raise WrongPassword
            db.execute(DROP_OTHER_TOKENS, (account, hash_secret(kept_token)))
            return _generation(db, account)

        return self._change_password(change)

    def _change_password(self, change: Callable[[sqlite3.Connection], int]) -> int:
        generation = self.writer.execute(change)
        self.schedule_purge(now=True)
        return generation

    def set_disabled(self, account: int, disabled: bool) -> None:
        self.writer.execute(lambda db: db.execute(DISABLE, (disabled, account)))

    def set_role(self, account: int, role: str) -> None:
        self.writer.execute(lambda db: db.execute(SET_ROLE, (role, account)))

    def delete_account(self, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
            for statement in DROP:
                db.execute(statement, (account,))
            self.inserter.reset_cache()

        self.writer.execute(change)
        self.schedule_purge()

    def add_invite(self, invite: str, time: float) -> None:
        self.writer.execute(lambda db: db.execute(ADD_INVITE, (hash_secret(invite), time)))

    def find_token(self, token: str) -> tuple[int, str] | None:
        row = self.read(lambda db: db.execute(TOKEN, (hash_secret(token),)).fetchone())
        return (int(row[0]), str(row[1])) if row else None

    def begin_session(self, account: int, login: DeviceLogin, time: float, credential: Credential) -> Device:
        def change(db: sqlite3.Connection) -> Device:
            self.write_cursors(db)
            if not _is_proof_valid(db, account, credential):
                raise PasswordRequired
            return _log_in_device(db, account, login, time)

        device = self.writer.execute(change)
        self.schedule_purge(thorough=bool(device.evicted), now=bool(device.evicted))
        return device

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


def _generation(db: sqlite3.Connection, account: int) -> int:
    row = db.execute(GENERATION, (account,)).fetchone()
    return int(row[0]) if row else 0


def _is_proof_valid(db: sqlite3.Connection, account: int, proof: Credential) -> bool:
    """Return whether a token or password hash that was checked before is still valid in this transaction."""
    if proof.token is not None:
        row = db.execute(TOKEN, (hash_secret(proof.token),)).fetchone()
        return row is not None and row[0] == account
    row = db.execute(PASSWORD, (account,)).fetchone()
    return row is not None and row[0] == proof.password_hash


def _log_in_device(db: sqlite3.Connection, account: int, login: DeviceLogin, time: float) -> Device:
    """Begin a session on a device, created where missing; evict the devices that exceed `MAX_DEVICES`."""
    row = db.execute(DEVICE, (account, login.device)).fetchone()
    device = row[0] if row else _add_device(db, account, login.device, time)
    db.execute(USE_DEVICE, (time, device))
    # One token per device: a new session replaces the one that the device had.
    db.execute(DROP_TOKENS_OF_DEVICE, (device,))
    db.execute(ADD_TOKEN, (hash_secret(login.token), account, device, time))
    evicted = _drop_unused_devices(db, account, {device, *login.live_devices})
    cursors = db.execute(CURSORS, (device, account)).fetchall()
    return Device(device, login.device, dict(cursors), evicted, generation=_generation(db, account))


def _drop_unused_devices(db: sqlite3.Connection, account: int, live: set[int]) -> list[int]:
    by_use = [device for (device,) in db.execute(DEVICES_BY_USE, (account,)).fetchall()]
    dropped = sorted(by_use, key=lambda device: device not in live)[MAX_DEVICES:]
    for device in dropped:
        for statement in DROP_DEVICE:
            db.execute(statement, (device,))
    return dropped


def _add_device(db: sqlite3.Connection, account: int, name: str, time: float) -> int:
    """Add a device whose cursors begin at the furthest of the account's other devices."""
    device = int(db.execute(ADD_DEVICE, (account, name, time)).lastrowid or 0)
    furthest = db.execute(FURTHEST, (account,)).fetchall()
    db.executemany(ADD_CURSOR, [(device, conversation, seq) for conversation, seq in furthest])
    return device
