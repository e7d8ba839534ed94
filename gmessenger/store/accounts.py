"""Accounts, their invites, tokens and devices, in SQLite."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import Account, Device, Entry, Proof
from gmessenger.errors import InviteRefused, NameTaken, PasswordNeeded
from gmessenger.store import past, statements
from gmessenger.store.database import Database

MOST_DEVICES: Final = 20
MEMBER: Final = "INSERT INTO participants SELECT ?, id, head + 1, 0 FROM conversations WHERE key = ?"
DIRECT_WITH: Final = (
    # Two ranges of indexes: there may be hundreds of thousands of conversations, and the loop waits.
    "SELECT id, head FROM conversations WHERE key >= :key || ' ' AND key < :key || '!' "
    "UNION SELECT id, head FROM conversations WHERE substr(key, instr(key, ' ') + 1) = :key AND instr(key, ' ') > 0"
)


class Accounts(Database):
    """The part of the contract that is about who may log in, and from where."""

    def accounts(self) -> Sequence[Account]:
        rows = self.read(lambda db: statements.ALL_ACCOUNTS(db).fetchall())
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
        key, name, password, created = row
        if db.execute("SELECT 1 FROM accounts WHERE key = ?", (key,)).fetchone():
            raise NameTaken
        if invite is not None and not statements.USE_INVITE(db, hash=hashed(invite)).rowcount:
            raise InviteRefused
        added = statements.ADD_ACCOUNT(db, key=key, name=name, password=password, created=created)
        account = int(added.lastrowid or 0)
        for conversation, head in db.execute(DIRECT_WITH, {"key": key}).fetchall():
            db.execute("INSERT INTO participants VALUES (?,?,?,0)", (account, conversation, head + 1))
        self.posts.forget()
        return Account(account, key, name)

    def password(self, account: int) -> str | None:
        row = self.read(lambda db: statements.PASSWORD(db, id=account).fetchone())
        return str(row[0]) if row else None

    def set_password(self, account: int, password: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            statements.SET_PASSWORD(db, hash=password, account=account)
            statements.DROP_TOKENS(db, account=account)

        self.commits.change(change)
        self.note_erased(now=True)

    def disable(self, account: int, disabled: bool) -> None:
        self.commits.change(lambda db: statements.DISABLE(db, off=disabled, account=account))

    def set_role(self, account: int, role: str) -> None:
        self.commits.change(lambda db: statements.SET_ROLE(db, new=role, account=account))

    def delete_account(self, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
            db.execute(past.FORGET_ACCOUNT, (account,))
            for statement in (
                statements.DROP_CURSORS,
                statements.DROP_TOKENS,
                statements.DROP_DEVICES,
                statements.DROP_PARTICIPANT,
                statements.DROP_BLOCKS,
                statements.DROP_ACCOUNT,
            ):
                statement(db, account=account)
            self.posts.forget()

        self.commits.change(change)
        self.note_erased()

    def add_invite(self, invite: str, time: float) -> None:
        self.commits.change(lambda db: statements.ADD_INVITE(db, hash=hashed(invite), created=time))

    def token(self, token: str) -> tuple[int, str] | None:
        row = self.read(lambda db: statements.TOKEN(db, hash=hashed(token)).fetchone())
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


def hashed(secret: str) -> bytes:
    """Random secrets need no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


def _still_good(db: sqlite3.Connection, account: int, proof: Proof) -> bool:
    """Whether what was shown a moment ago is good in this transaction, too: a password may have been changed since."""
    if proof.token is not None:
        row = statements.TOKEN(db, hash=hashed(proof.token)).fetchone()
        return row is not None and row[0] == account
    row = statements.PASSWORD(db, id=account).fetchone()
    return row is not None and row[0] == proof.password


def _enter(db: sqlite3.Connection, account: int, entry: Entry, time: float) -> Device:
    row = statements.DEVICE(db, account=account, name=entry.device).fetchone()
    device = row[0] if row else _new_device(db, account, entry.device, time)
    statements.USE_DEVICE(db, now=time, device=device)
    # One line per device: an older token of the same device has been replaced with its session.
    statements.DROP_TOKENS_OF_DEVICE(db, device=device)
    statements.ADD_TOKEN(db, hash=hashed(entry.token), account_id=account, device_id=device, created=time)
    dropped = _drop_unused(db, account, {device, *entry.live})
    cursors = statements.CURSORS(db, account=account, device=device).fetchall()
    return Device(device, entry.device, dict(cursors), dropped)


def _drop_unused(db: sqlite3.Connection, account: int, live: set[int]) -> list[int]:
    by_use = [device for (device,) in statements.DEVICES_BY_USE(db, account=account).fetchall()]
    dropped = sorted(by_use, key=lambda device: device not in live)[MOST_DEVICES:]
    for device in dropped:
        for statement in (statements.DROP_DEVICE, statements.DROP_CURSORS_OF_DEVICE, statements.DROP_TOKENS_OF_DEVICE):
            statement(db, device=device)
    return dropped


def _new_device(db: sqlite3.Connection, account: int, name: str, time: float) -> int:
    device = int(statements.ADD_DEVICE(db, account=account, name=name, used=time).lastrowid or 0)
    furthest = statements.FURTHEST(db, account=account).fetchall()
    db.executemany(
        "INSERT INTO cursors VALUES (?,?,?)", [(device, conversation, seq) for conversation, seq in furthest]
    )
    return device
