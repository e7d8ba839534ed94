"""Accounts and their invites, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gmessenger.chat.records import Account, Device, Entry
from gmessenger.errors import InviteRefused, NameTaken
from gmessenger.store.common import hash_secret
from gmessenger.store.postgres.batches import NAME_LOCKS, NAMES
from gmessenger.store.postgres.entering import Entering, enter
from gmessenger.store.postgres.lines import Line

ALL: Final = "SELECT id, key, name, disabled, role, generation FROM accounts"
BY_ID: Final = f"{ALL} WHERE id = %s"
BY_KEY: Final = f"{ALL} WHERE key = %s"
LOCK_NAME: Final = f"SELECT pg_advisory_xact_lock({NAME_LOCKS} + abs(hashtext(%s) %% {NAMES}))"
USE_INVITE: Final = "DELETE FROM invites WHERE hash = %s"
ADD: Final = "INSERT INTO accounts (key, name, password, created) VALUES (%s, %s, %s, %s) RETURNING id"
DIRECT_WITH: Final = (
    # Two ranges of indexes, as there may be hundreds of thousands of conversations.
    "SELECT id FROM conversations WHERE key >= %(key)s || ' ' AND key < %(key)s || '!' "
    "UNION SELECT id FROM conversations WHERE split_part(key, ' ', 2) = %(key)s AND strpos(key, ' ') > 0"
)
ADMIT: Final = (
    # Locked, as by who writes to them: what is being said just now is from before.
    f"WITH mine AS (SELECT id, head FROM conversations WHERE id IN ({DIRECT_WITH}) ORDER BY key FOR NO KEY UPDATE) "  # noqa: S608
    "INSERT INTO participants (account_id, conversation_id, visible) SELECT %(account)s, id, head + 1 FROM mine"
)
MEMBER: Final = (
    "INSERT INTO participants (account_id, conversation_id, visible) SELECT %s, id, head + 1 FROM conversations "
    "WHERE key = %s FOR KEY SHARE ON CONFLICT DO NOTHING"  # no room that is being deleted
)
SET_PASSWORD: Final = "UPDATE accounts SET password = %s, generation = generation + 1 WHERE id = %s"  # noqa: S105
DISABLE: Final = "UPDATE accounts SET disabled = %s WHERE id = %s"
SET_ROLE: Final = "UPDATE accounts SET role = %s WHERE id = %s"
DROP_TOKENS: Final = "DELETE FROM tokens WHERE account_id = %s"
KEY: Final = "SELECT key FROM accounts WHERE id = %s"
DROP: Final = (
    "DELETE FROM accounts WHERE id = %s",  # first: it is what an entering session has locked
    "DELETE FROM past_ids WHERE device_id IN (SELECT id FROM devices WHERE account_id = %s)",
    "DELETE FROM cursors WHERE device_id IN (SELECT id FROM devices WHERE account_id = %s)",
    DROP_TOKENS,
    "DELETE FROM devices WHERE account_id = %s",
    "DELETE FROM participants WHERE account_id = %s",
    "DELETE FROM blocks WHERE account_id = %s",
)
ADD_INVITE: Final = "INSERT INTO invites (hash, created) VALUES (%s, %s)"
PASSWORD: Final = "SELECT password FROM accounts WHERE id = %s"  # noqa: S105


class Accounts(Entering):
    """The part of the contract that is about who there is."""

    def accounts(self) -> Sequence[Account]:
        return [Account(*row) for row in self.read(lambda db: db.execute(ALL).fetchall())]

    def account(self, id: int) -> Account | None:
        row = self.read(lambda db: db.execute(BY_ID, (id,)).fetchone())
        return Account(*row) if row else None

    def account_of(self, key: str) -> Account | None:
        row = self.read(lambda db: db.execute(BY_KEY, (key,)).fetchone())
        return Account(*row) if row else None

    def create_account(self, key: str, name: str, password: str, time: float, invite: str | None = None) -> Account:
        self.flush()
        return self.change(lambda db: self._create(db, (key, name, password, time), invite))

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
        def change(db: Line) -> tuple[Account, Device]:
            account = self._create(db, (key, name, password, time), invite)
            for room in sorted(rooms):
                if db.execute(MEMBER, (account.id, room)).rowcount:
                    self.leave_word(db, "member", room, account.id)
            device = enter(db, account.id, entry, time)
            self.leave_word(db, "device", device.id)
            return account, device

        self.flush()
        return self.change(change)

    def _create(self, db: Line, row: tuple[str, str, str, float], invite: str | None) -> Account:
        key, name, password, created = row
        db.execute(LOCK_NAME, (key,))
        if db.execute(BY_KEY, (key,)).fetchone():
            raise NameTaken
        if invite is not None and not db.execute(USE_INVITE, (hash_secret(invite),)).rowcount:
            raise InviteRefused
        ((id,),) = db.execute(ADD, (key, name, password, created)).fetchall()
        db.execute(ADMIT, {"key": key, "account": id})
        self.leave_word(db, "account", id)
        return Account(id, key, name)

    def password(self, account: int) -> str | None:
        row = self.read(lambda db: db.execute(PASSWORD, (account,)).fetchone())
        return str(row[0]) if row else None

    def set_password(self, account: int, password: str) -> None:
        def change(db: Line) -> None:
            self._set(db, SET_PASSWORD, password, account)
            db.execute(DROP_TOKENS, (account,))

        self.change(change)

    def disable(self, account: int, disabled: bool) -> None:
        self.change(lambda db: self._set(db, DISABLE, disabled, account))

    def set_role(self, account: int, role: str) -> None:
        self.change(lambda db: self._set(db, SET_ROLE, role, account))

    def _set(self, db: Line, statement: Any, value: object, account: int) -> None:
        db.execute(statement, (value, account))
        self.leave_word(db, "account", account)

    def delete_account(self, account: int) -> None:
        def change(db: Line) -> None:
            for (key,) in db.execute(KEY, (account,)).fetchall():
                db.execute(LOCK_NAME, (key,))  # whoever begins a conversation with it has it, or finds it gone
            for statement in DROP:
                db.execute(statement, (account,))
            self.leave_word(db, "account", account)

        self.change(change)

    def add_invite(self, invite: str, time: float) -> None:
        self.write(lambda db: db.execute(ADD_INVITE, (hash_secret(invite), time)))
