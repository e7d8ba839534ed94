"""Accounts, their invites, tokens and devices, in SQLite."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from gmessenger.chat.contract import Account, Device
from gmessenger.errors import InviteRefused, NameTaken
from gmessenger.store import statements
from gmessenger.store.database import Database

MOST_DEVICES: Final = 20


class Accounts(Database):
    """The part of the contract that is about who may log in, and from where."""

    def accounts(self) -> Sequence[Account]:
        rows = self.read(lambda db: statements.ALL_ACCOUNTS(db).fetchall())
        return [Account(id, key, name, bool(disabled), role) for id, key, name, disabled, role in rows]

    def create_account(self, key: str, name: str, password: str, time: float, invite: str | None = None) -> Account:
        def create(db: sqlite3.Connection) -> Account:
            if db.execute("SELECT 1 FROM accounts WHERE key = ?", (key,)).fetchone():
                raise NameTaken
            if invite is not None and not statements.USE_INVITE(db, hash=_hash(invite)).rowcount:
                raise InviteRefused
            added = statements.ADD_ACCOUNT(db, key=key, name=name, password=password, created=time)
            account = int(added.lastrowid or 0)
            for conversation, head in _direct_with(db, key):
                db.execute("INSERT INTO participants VALUES (?,?,?,0)", (account, conversation, head + 1))
            self.posts.forget()
            return Account(account, key, name)

        return self.commits.change(create)

    def password(self, account: int) -> str:
        row = self.read(lambda db: statements.PASSWORD(db, id=account).fetchone())
        return str(row[0]) if row else ""

    def set_password(self, account: int, password: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            statements.SET_PASSWORD(db, hash=password, account=account)
            statements.DROP_TOKENS(db, account=account)

        self.commits.change(change)

    def disable(self, account: int, disabled: bool) -> None:
        self.commits.change(lambda db: statements.DISABLE(db, off=disabled, account=account))

    def set_role(self, account: int, role: str) -> None:
        self.commits.change(lambda db: statements.SET_ROLE(db, new=role, account=account))

    def delete_account(self, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
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

    def add_invite(self, invite: str, time: float) -> None:
        self.commits.change(lambda db: statements.ADD_INVITE(db, hash=_hash(invite), created=time))

    def add_token(self, token: str, account: int, device: int, time: float) -> None:
        def change(db: sqlite3.Connection) -> None:
            # One line per device: an older token of the same device has been replaced with its session.
            statements.DROP_TOKENS_OF_DEVICE(db, device=device)
            statements.ADD_TOKEN(db, hash=_hash(token), account_id=account, device_id=device, created=time)

        self.commits.change(change)

    def token(self, token: str) -> tuple[int, str] | None:
        row = self.read(lambda db: statements.TOKEN(db, hash=_hash(token)).fetchone())
        return (int(row[0]), str(row[1])) if row else None

    def device(self, account: int, name: str, time: float) -> Device:
        def find(db: sqlite3.Connection) -> Device:
            self.move_cursors(db)
            row = statements.DEVICE(db, account=account, name=name).fetchone()
            device = row[0] if row else _new_device(db, account, name, time)
            statements.USE_DEVICE(db, now=time, device=device)
            for (unused,) in statements.DEVICES_BY_USE(db, account=account).fetchall()[MOST_DEVICES:]:
                for statement in (
                    statements.DROP_DEVICE,
                    statements.DROP_CURSORS_OF_DEVICE,
                    statements.DROP_TOKENS_OF_DEVICE,
                ):
                    statement(db, device=unused)
            return Device(device, name, dict(statements.CURSORS(db, account=account, device=device).fetchall()))

        return self.commits.change(find)


def _hash(secret: str) -> bytes:
    """Random secrets need no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


def _new_device(db: sqlite3.Connection, account: int, name: str, time: float) -> int:
    device = int(statements.ADD_DEVICE(db, account=account, name=name, used=time).lastrowid or 0)
    furthest = statements.FURTHEST(db, account=account).fetchall()
    db.executemany(
        "INSERT INTO cursors VALUES (?,?,?)", [(device, conversation, seq) for conversation, seq in furthest]
    )
    return device


def _direct_with(db: sqlite3.Connection, key: str) -> list[Any]:
    escaped = key.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return statements.DIRECT_WITH(db, first=f"{escaped} %", second=f"% {escaped}").fetchall()
