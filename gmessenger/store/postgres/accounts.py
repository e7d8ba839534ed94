"""Accounts, invites, sanctions and blocks in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, LiteralString

from msgspec.structs import asdict

from gmessenger.chat.records import Account, Device, DeviceLogin, InviteInfo, Sanction
from gmessenger.errors import InvalidInvite, NameTaken, WrongPassword
from gmessenger.store.common import hash_secret, invite_id
from gmessenger.store.postgres.devices import (
    DROP_CERTIFICATES,
    DROP_PUSH_SUBSCRIPTIONS,
    LOCK_DEVICES,
    DeviceStore,
    log_in_device,
)
from gmessenger.store.postgres.inserter import NAME_LOCK_BASE, NAME_LOCK_COUNT
from gmessenger.store.postgres.membership import join_room
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.roles import lock_owned_rooms, replace_owner, require_upgraded

SELECT_ACCOUNTS: Final = (
    "SELECT id, key, name, disabled, role, generation, settings, "
    "EXISTS (SELECT FROM hooks WHERE account_id = id), profile FROM accounts"
)
FIND_ACCOUNT_BY_ID: Final = f"{SELECT_ACCOUNTS} WHERE id = %s"
FIND_ACCOUNT_BY_KEY: Final = f"{SELECT_ACCOUNTS} WHERE key = %s"
LOCK_NAME: Final = f"SELECT pg_advisory_xact_lock({NAME_LOCK_BASE} + abs(hashtext(%s) %% {NAME_LOCK_COUNT}))"
LOCK_ROOMS: Final = (
    # Before direct conversations, whose keys come later: the writers of messages lock them in this order, too.
    "SELECT FROM conversations WHERE key = ANY(%s) ORDER BY key FOR NO KEY UPDATE"
)
USE_INVITE: Final = "UPDATE invites SET uses = uses - 1 WHERE hash = %s AND (expires IS NULL OR expires > %s)"
DROP_USED_INVITE: Final = "DELETE FROM invites WHERE hash = %s AND uses <= 0"
INSERT_ACCOUNT: Final = "INSERT INTO accounts (key, name, password, created) VALUES (%s, %s, %s, %s) RETURNING id"
FIND_DIRECT_CONVERSATIONS: Final = (
    # Two ranges of indexes, as there may be hundreds of thousands of conversations.
    "SELECT id FROM conversations WHERE key >= %(key)s || ' ' AND key < %(key)s || '!' "
    "UNION SELECT id FROM conversations WHERE split_part(key, ' ', 2) = %(key)s AND strpos(key, ' ') > 0"
)
ADD_DIRECT_PARTICIPANT: Final = (
    # Locked, as by the writers of messages: those that are being written now are from before the account.
    f"WITH mine AS (SELECT id, head FROM conversations WHERE id IN ({FIND_DIRECT_CONVERSATIONS}) "  # noqa: S608
    "ORDER BY key FOR NO KEY UPDATE) "
    "INSERT INTO participants (account_id, conversation_id, visible) SELECT %(account)s, id, head + 1 FROM mine"
)
HAS_ONE_TIME_PASSWORD: Final = "SELECT EXISTS (SELECT FROM accounts WHERE id = %s AND password_until IS NOT NULL)"  # noqa: S105
SET_PASSWORD: Final = (
    "UPDATE accounts SET password = %s, password_until = %s, password_by = NULL, "  # noqa: S105
    "generation = generation + 1 WHERE id = %s RETURNING generation"
)
CHANGE_PASSWORD: Final = (
    "UPDATE accounts SET password = %s, password_until = NULL, password_by = %s, "  # noqa: S105
    "generation = generation + 1 WHERE id = %s AND password = %s RETURNING generation"
)
IS_PASSWORD_OF: Final = "SELECT 1 FROM accounts WHERE id = %s AND password_by = %s"  # noqa: S105
DISABLE: Final = "UPDATE accounts SET disabled = %s WHERE id = %s"
SET_ROLE: Final = "UPDATE accounts SET role = %s WHERE id = %s"
DROP_TOKENS: Final = "DELETE FROM tokens WHERE account_id = %s"
DROP_OTHER_TOKENS: Final = "DELETE FROM tokens WHERE account_id = %s AND hash <> %s"
FIND_KEY: Final = "SELECT key FROM accounts WHERE id = %s"
DELETE_ACCOUNT: Final = (
    "DELETE FROM accounts WHERE id = %s",  # first: it is what a login has locked
    LOCK_DEVICES,
    "DELETE FROM past_ids WHERE device_id IN (SELECT id FROM devices WHERE account_id = %s)",
    "DELETE FROM cursors WHERE device_id IN (SELECT id FROM devices WHERE account_id = %s)",
    DROP_TOKENS,
    "DELETE FROM devices WHERE account_id = %s",
    "DELETE FROM absences WHERE account_id = %s",
    "DELETE FROM blocks WHERE account_id = %s",
    "DELETE FROM reactions WHERE account_id = %s",
    "DELETE FROM files WHERE account_id = %s AND seq IS NULL",
    "DELETE FROM hooks WHERE account_id = %s",
    "DELETE FROM alerts WHERE account_id = %s",
)
DELETE_MEMBERSHIPS: Final = "DELETE FROM participants WHERE account_id = %s"
LOCK_SETTINGS: Final = "SELECT settings FROM accounts WHERE id = %s FOR NO KEY UPDATE"
SET_SETTINGS: Final = "UPDATE accounts SET settings = %s WHERE id = %s"
LOCK_PROFILE: Final = "SELECT profile FROM accounts WHERE id = %s FOR NO KEY UPDATE"
SET_PROFILE: Final = "UPDATE accounts SET profile = %s WHERE id = %s"
DELETE_ROOM_ACCESS: Final = (
    "DELETE FROM invitations WHERE key = %s",
    "DELETE FROM room_sanctions WHERE kind <> 'network' AND target = %s",
)
ADD_INVITE: Final = "INSERT INTO invites (hash, created, id, by, expires, uses) VALUES (%s, %s, %s, %s, %s, %s)"
DROP_EXPIRED_INVITES: Final = "DELETE FROM invites WHERE expires <= %s"
SELECT_INVITES: Final = "SELECT id, by, created, expires, uses FROM invites ORDER BY created, id"
REMOVE_INVITE: Final = "DELETE FROM invites WHERE id = %s"
PASSWORD: Final = "SELECT password FROM accounts WHERE id = %s"  # noqa: S105

SELECT_SANCTIONS: Final = "SELECT kind, target, by, reason, since, until FROM sanctions"
FIND_SANCTION: Final = f"{SELECT_SANCTIONS} WHERE kind = %s AND target = %s"
IMPOSE: Final = (
    "INSERT INTO sanctions (kind, target, by, reason, since, until) "
    "VALUES (%(kind)s, %(target)s, %(by)s, %(reason)s, %(since)s, %(until)s) "
    "ON CONFLICT (kind, target) DO UPDATE SET by = excluded.by, reason = excluded.reason, since = excluded.since, "
    "until = excluded.until"
)
LIFT: Final = "DELETE FROM sanctions WHERE kind = %s AND target = %s"
BLOCKS: Final = "SELECT account_id, key, name FROM blocks"
BLOCKED_BY: Final = "SELECT key, name FROM blocks WHERE account_id = %s"
BLOCK: Final = (
    # Locked: nothing must be added to an account that is being deleted.
    "INSERT INTO blocks (account_id, key, name) SELECT id, %s, %s FROM accounts WHERE id = %s FOR KEY SHARE "
    "ON CONFLICT (account_id, key) DO UPDATE SET name = excluded.name"
)
UNBLOCK: Final = "DELETE FROM blocks WHERE account_id = %s AND key = %s"


class AccountStore(DeviceStore):
    """The part of the store that has accounts, sanctions and blocks."""

    def accounts(self) -> Sequence[Account]:
        return [Account(*row) for row in self.read(lambda db: db.execute(SELECT_ACCOUNTS).fetchall())]

    def account(self, id: int) -> Account | None:
        row = self.read(lambda db: db.execute(FIND_ACCOUNT_BY_ID, (id,)).fetchone())
        return Account(*row) if row else None

    def account_by_name(self, key: str) -> Account | None:
        row = self.read(lambda db: db.execute(FIND_ACCOUNT_BY_KEY, (key,)).fetchone())
        return Account(*row) if row else None

    def create_account(
        self, key: str, name: str, password_hash: str, time: float, invite: str | None = None
    ) -> Account:
        self.flush()
        return self.change(lambda db: self._insert_account(db, (key, name, password_hash, time), invite))

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
        def change(db: PgConnection) -> tuple[Account, Device]:
            db.execute(LOCK_NAME, (key,))
            db.execute(LOCK_ROOMS, (list(rooms),))
            account = self._insert_account(db, (key, name, password_hash, time), invite)
            for room in sorted(rooms):
                if join_room(db, room, account.id, time):
                    self.record_change(db, "member", room, account.id)
            device = log_in_device(db, account.id, login, time)
            self.record_change(db, "device", device.id)
            return account, device

        self.flush()
        return self.change(change)

    def _insert_account(self, db: PgConnection, row: tuple[str, str, str, float], invite: str | None) -> Account:
        key, name, password, created = row
        db.execute(LOCK_NAME, (key,))
        if db.execute(FIND_ACCOUNT_BY_KEY, (key,)).fetchone():
            raise NameTaken
        if invite is not None:
            _use_invite(db, hash_secret(invite), created)
        ((id,),) = db.execute(INSERT_ACCOUNT, (key, name, password, created)).fetchall()
        db.execute(ADD_DIRECT_PARTICIPANT, {"key": key, "account": id})
        self.record_change(db, "account", id)
        return Account(id, key, name)

    def password_hash(self, account: int) -> str | None:
        row = self.read(lambda db: db.execute(PASSWORD, (account,)).fetchone())
        return str(row[0]) if row else None

    def is_password_set_by(self, account: int, token: str) -> bool:
        row = self.read(lambda db: db.execute(IS_PASSWORD_OF, (account, hash_secret(token))).fetchone())
        return row is not None

    def has_one_time_password(self, account: int) -> bool:
        ((has_one,),) = self.read(lambda db: db.execute(HAS_ONE_TIME_PASSWORD, (account,)).fetchall())
        return bool(has_one)

    def set_password(self, account: int, password_hash: str, until: float | None = None) -> int:
        def change(db: PgConnection) -> int:
            row = db.execute(SET_PASSWORD, (password_hash, until, account)).fetchone()
            db.execute(DROP_TOKENS, (account,))
            db.execute(DROP_CERTIFICATES, (account,))
            db.execute(DROP_PUSH_SUBSCRIPTIONS, (account,))
            if until is not None:
                require_upgraded(db)
            self.record_change(db, "account", account)
            return int(row[0]) if row else 0

        return self.change(change)

    def change_password(self, account: int, old_hash: str, new_hash: str, kept_token: str) -> int:
        def change(db: PgConnection) -> int:
            token = hash_secret(kept_token)
            row = db.execute(CHANGE_PASSWORD, (new_hash, token, account, old_hash)).fetchone()
            if row is None:
                raise WrongPassword
            db.execute(DROP_OTHER_TOKENS, (account, token))
            db.execute(DROP_CERTIFICATES, (account,))
            db.execute(DROP_PUSH_SUBSCRIPTIONS, (account,))
            self.record_change(db, "account", account)
            return int(row[0])

        return self.change(change)

    def set_disabled(self, account: int, disabled: bool) -> None:
        self.change(lambda db: self._update_account(db, DISABLE, disabled, account))

    def set_role(self, account: int, role: str) -> None:
        self.change(lambda db: self._update_account(db, SET_ROLE, role, account))

    def _update_account(self, db: PgConnection, statement: LiteralString, value: object, account: int) -> None:
        db.execute(statement, (value, account))
        self.record_change(db, "account", account)

    def change_settings(self, account: int, change: Callable[[str], str]) -> str:
        return self.change(lambda db: self._replace(db, LOCK_SETTINGS, SET_SETTINGS, account, change))

    def change_profile(self, account: int, change: Callable[[str], str]) -> str:
        return self.change(lambda db: self._replace(db, LOCK_PROFILE, SET_PROFILE, account, change))

    def _replace(
        self, db: PgConnection, find: LiteralString, replace: LiteralString, account: int, change: Callable[[str], str]
    ) -> str:
        """Replace a value of an account by what `change` makes of it; return the new one."""
        row = db.execute(find, (account,)).fetchone()
        db.execute(replace, (changed := change(str(row[0]) if row else ""), account))
        self.record_change(db, "account", account)
        return changed

    def delete_account(self, account: int) -> Mapping[str, int]:
        def change(db: PgConnection) -> Mapping[str, int]:
            for (key,) in db.execute(FIND_KEY, (account,)).fetchall():
                db.execute(LOCK_NAME, (key,))  # a conversation begun with it meanwhile is from before or after
                for statement in DELETE_ROOM_ACCESS:
                    db.execute(statement, (key,))
            for statement in DELETE_ACCOUNT:
                db.execute(statement, (account,))
            self.record_change(db, "account", account)
            return self._delete_memberships(db, account)

        return self.change(change)

    def _delete_memberships(self, db: PgConnection, account: int) -> Mapping[str, int]:
        """Take an account that is locked out of its rooms. Returns the new owners of those it has owned, by key.

        The last statements of a transaction: until it ends, no message to these rooms is stored.
        """
        owned = lock_owned_rooms(db, account)
        db.execute(DELETE_MEMBERSHIPS, (account,))
        new_owners = {key: owner for id, key in owned if (owner := replace_owner(db, id)) is not None}
        for room, owner in new_owners.items():
            self.record_change(db, "member", room, owner)
        return new_owners

    def add_invite(self, invite: str, time: float, by: str = "", expires: float | None = None, uses: int = 1) -> None:
        def change(db: PgConnection) -> None:
            db.execute(DROP_EXPIRED_INVITES, (time,))
            db.execute(ADD_INVITE, (hash_secret(invite), time, invite_id(invite), by, expires, uses))

        self.write(change)

    def invites(self) -> Sequence[InviteInfo]:
        return [InviteInfo(*row) for row in self.read(lambda db: db.execute(SELECT_INVITES).fetchall())]

    def remove_invite(self, id: str) -> bool:
        return self.write(lambda db: db.execute(REMOVE_INVITE, (id,)).rowcount) > 0

    def sanctions(self) -> Sequence[Sanction]:
        return [Sanction(*row) for row in self.read(lambda db: db.execute(SELECT_SANCTIONS).fetchall())]

    def sanction(self, kind: str, target: str) -> Sanction | None:
        row = self.read(lambda db: db.execute(FIND_SANCTION, (kind, target)).fetchone())
        return Sanction(*row) if row else None

    def add_sanction(self, sanction: Sanction) -> None:
        def change(db: PgConnection) -> None:
            db.execute(IMPOSE, asdict(sanction))
            self.record_change(db, "sanction", sanction.kind, sanction.target, by=sanction.by)

        self.change(change)

    def remove_sanctions(self, kind: str, targets: Sequence[str], by: str = "") -> None:
        def change(db: PgConnection) -> None:
            for target in sorted(targets):
                if db.execute(LIFT, (kind, target)).rowcount:
                    self.record_change(db, "sanction", kind, target, by=by)

        self.change(change)

    def blocks(self) -> Sequence[tuple[int, str, str]]:
        return self.read(lambda db: db.execute(BLOCKS).fetchall())

    def blocked_by(self, account: int) -> Mapping[str, str]:
        return dict(self.read(lambda db: db.execute(BLOCKED_BY, (account,)).fetchall()))

    def block(self, account: int, names: Mapping[str, str]) -> None:
        def change(db: PgConnection) -> None:
            for key, name in sorted(names.items()):
                db.execute(BLOCK, (key, name, account))
            self.record_change(db, "blocks", account)

        self.change(change)

    def unblock(self, account: int, key: str) -> None:
        def change(db: PgConnection) -> None:
            db.execute(UNBLOCK, (account, key))
            self.record_change(db, "blocks", account)

        self.change(change)


def _use_invite(db: PgConnection, digest: bytes, time: float) -> None:
    """Use an invite once, in the transaction that registers; others wait for it. Raises `InvalidInvite`."""
    if not db.execute(USE_INVITE, (digest, time)).rowcount:
        raise InvalidInvite
    db.execute(DROP_USED_INVITE, (digest,))
