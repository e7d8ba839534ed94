"""Devices, their tokens and their cursors, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gmessenger.chat.records import MAX_DEVICES, Credential, Device, DeviceInfo, DeviceLogin, DeviceTaken
from gmessenger.cluster.interfaces import DROPPED
from gmessenger.errors import AccountDisabled, PasswordRequired, WrongPassword
from gmessenger.store.common import ONCE_EXPIRED, hash_secret
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.tsvector import replace_nul

LOCK_ACCOUNT: Final = (
    "SELECT password, disabled, generation, password_until FROM accounts WHERE id = %s FOR NO KEY UPDATE"
)
LAST_USES: Final = "SELECT account_id, max(used) FROM devices GROUP BY account_id"
FIND_BY_HASH: Final = (
    # A node of an earlier release does not set `used`.
    "SELECT t.account_id, d.name FROM tokens t JOIN devices d ON d.id = t.device_id "
    "WHERE t.hash = %s AND greatest(t.used, t.created) >= %s"
)
FIND_CERTIFICATE: Final = (
    "SELECT d.name FROM certificates c JOIN devices d ON d.id = c.device_id "
    "WHERE d.account_id = %s AND c.fingerprint = %s AND greatest(d.used, c.added) >= %s"
)
SELECT_LOGGED_IN: Final = (
    # `greatest` leaves out what is NULL.
    "SELECT d.id, d.name, greatest(d.used, t.used) AS last, coalesce(c.fingerprint, ''), d.entry FROM devices d "
    "LEFT JOIN tokens t ON t.device_id = d.id LEFT JOIN certificates c ON c.device_id = d.id "
    "WHERE d.account_id = %(account)s AND (greatest(t.used, t.created) >= %(used_after)s "
    "OR (c.device_id IS NOT NULL AND greatest(d.used, c.added) >= %(used_after)s)) ORDER BY last DESC, d.id DESC"
)
LOGIN_COUNT: Final = (
    "SELECT d.entry FROM devices d JOIN tokens t ON t.device_id = d.id WHERE d.account_id = %s AND d.name = %s"
)
LOCK_DEVICES: Final = (
    # Before their tokens, as where their use is noted.
    "SELECT FROM devices WHERE account_id = %s ORDER BY id FOR NO KEY UPDATE"
)
REVOKE: Final = tuple(
    f"DELETE FROM {table} c USING devices d "  # noqa: S608
    "WHERE d.id = c.device_id AND d.account_id = %s AND d.name = %s RETURNING c.device_id"
    for table in ("tokens", "certificates")
)
REVOKE_OTHERS: Final = tuple(
    f"DELETE FROM {table} c USING devices d "  # noqa: S608
    "WHERE d.id = c.device_id AND d.account_id = %s AND d.id IS DISTINCT FROM %s::bigint RETURNING c.device_id"
    for table in ("tokens", "certificates")
)
DROP_CERTIFICATES: Final = (
    # Of devices that were logged out by a new password.
    "DELETE FROM certificates WHERE device_id IN (SELECT d.id FROM devices d WHERE d.account_id = %s "
    "AND NOT EXISTS (SELECT FROM tokens t WHERE t.device_id = d.id))"
)
USE_CERTIFICATE: Final = "UPDATE certificates SET used = %s WHERE device_id = %s AND fingerprint = %s"
DROP_PUSH_SUBSCRIPTIONS: Final = (
    # Of devices that were logged out.
    "DELETE FROM push_subscriptions WHERE device_id IN (SELECT d.id FROM devices d WHERE d.account_id = %s "
    "AND NOT EXISTS (SELECT FROM tokens t WHERE t.device_id = d.id))"
)
COUNT_LOGIN: Final = "UPDATE devices SET entry = entry + 1 WHERE id = ANY(%s)"  # so that no session on it is the last
NOTE_USE: Final = (
    "UPDATE devices SET used = greatest(used, %(time)s) WHERE id = %(device)s",
    "UPDATE tokens SET used = greatest(used, %(time)s) WHERE device_id = %(device)s",
)
UPSERT_DEVICE: Final = (
    "INSERT INTO devices (account_id, name, used, entry) VALUES (%s, %s, %s, 1) "
    # The first login creates the device; one that was transferred from another store has had none here.
    "ON CONFLICT (account_id, name) DO UPDATE SET used = excluded.used, entry = greatest(devices.entry, 1) + 1 "
    "RETURNING id, entry"
)
INHERIT_CURSORS: Final = (
    "INSERT INTO cursors (device_id, conversation_id, seq) SELECT %(device)s, c.conversation_id, max(c.seq) "
    "FROM devices d JOIN cursors c ON c.device_id = d.id WHERE d.account_id = %(account)s GROUP BY c.conversation_id "
    "ON CONFLICT DO NOTHING"
)
DROP_TOKENS: Final = "DELETE FROM tokens WHERE device_id = %s"
ADD_TOKEN: Final = "INSERT INTO tokens (hash, account_id, device_id, created, used) VALUES (%s, %s, %s, %s, %s)"  # noqa: S105
SELECT_UNUSED_DEVICES: Final = (
    "SELECT id FROM devices d WHERE account_id = %s ORDER BY id = ANY(%s::bigint[]) DESC, "
    "(EXISTS (SELECT FROM tokens t WHERE t.device_id = d.id) "
    "OR EXISTS (SELECT FROM certificates c WHERE c.device_id = d.id)) DESC, used DESC, id DESC OFFSET %s"
)
DELETE_DEVICES: Final = (
    "DELETE FROM devices WHERE id = ANY(%s)",
    "DELETE FROM cursors WHERE device_id = ANY(%s)",
    "DELETE FROM tokens WHERE device_id = ANY(%s)",
)
SELECT_CURSORS: Final = (
    "SELECT c.key, greatest(u.seq, p.visible - 1, p.joined_seq) FROM participants p "
    "JOIN conversations c ON c.id = p.conversation_id "
    "LEFT JOIN cursors u ON u.conversation_id = p.conversation_id AND u.device_id = %s "
    "WHERE p.account_id = %s AND p.left_seq IS NULL AND left(c.key, 1) <> '!'"
)
SELECT_LOGIN_COUNTS: Final = "SELECT id, entry FROM devices WHERE id = ANY(%s)"


class DeviceStore(Database):
    """The part of the store that has devices, their tokens and cursors."""

    def find_token(self, token: str, used_after: float = 0.0) -> tuple[int, str] | None:
        row = self.read(lambda db: db.execute(FIND_BY_HASH, (hash_secret(token), used_after)).fetchone())
        return (int(row[0]), str(row[1])) if row else None

    def devices(self, account: int, used_after: float = 0.0) -> Sequence[DeviceInfo]:
        values = {"account": account, "used_after": used_after}
        rows = self.read(lambda db: db.execute(SELECT_LOGGED_IN, values).fetchall())
        return [DeviceInfo(*row) for row in rows]

    def drop_tokens(self, account: int, device: str | None = None, kept: int | None = None) -> Sequence[int]:
        def change(db: PgConnection) -> list[int]:
            db.execute(LOCK_ACCOUNT, (account,))  # as a login does: it comes before or after
            db.execute(LOCK_DEVICES, (account,))
            statements = REVOKE if device is not None else REVOKE_OTHERS
            values = (account, device if device is not None else kept)
            rows = [row for statement in statements for row in db.execute(statement, values).fetchall()]
            db.execute(DROP_PUSH_SUBSCRIPTIONS, (account,))
            dropped = sorted({id for (id,) in rows})
            db.execute(COUNT_LOGIN, (dropped,))
            for id in dropped:
                self.record_change(db, "device", id, reason=DROPPED)
            return dropped

        return self.change(change)

    def last_uses(self) -> Mapping[int, float]:
        return dict(self.read(lambda db: db.execute(LAST_USES).fetchall()))

    def note_use(self, devices: Mapping[int, float]) -> None:
        # In the order of their ids: another node may record the use of the same devices.
        rows = [{"device": device, "time": time} for device, time in sorted(devices.items())]

        def change(db: PgConnection) -> None:
            for statement in NOTE_USE:
                db.cursor().executemany(statement, rows)

        self.write(change)

    def begin_session(self, account: int, login: DeviceLogin, time: float, credential: Credential) -> Device:
        def change(db: PgConnection) -> Device:
            generation, until = _check_proof(db, account, credential)
            if until is not None and time >= until:
                raise WrongPassword(ONCE_EXPIRED)
            if login.free_at is not None and _count_logins(db, account, login.device) != login.free_at:
                raise DeviceTaken
            device = log_in_device(db, account, login, time)
            if credential.certificate is not None:
                db.execute(USE_CERTIFICATE, (time, device.id, credential.certificate))
            device.generation, device.password_until = generation, until
            for id in (device.id, *device.evicted):  # another node may have counted some as unused
                self.record_change(db, "device", id)
            return device

        self.flush()
        # `write`, as no node needs to look at once: one that has a session on the device learns of the other anyway.
        return self.write(change)

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        self.writer.cursors.advance(device, conversation, seq)
        self.writer.wake_later()

    def login_counts(self, devices: Sequence[int]) -> Mapping[int, int]:
        return dict(self.read(lambda db: db.execute(SELECT_LOGIN_COUNTS, (list(devices),)).fetchall()))


def _check_proof(db: PgConnection, account: int, proof: Credential) -> tuple[int, float | None]:
    """Check again a token, certificate or password hash that was checked before, and lock the account.

    Returns generation and expiry of the password. Raises `AccountDisabled`, or `PasswordRequired` where it is not
    valid any more.
    """
    with db.pipeline():
        locked = db.execute(LOCK_ACCOUNT, (account,))
        token = proof.token
        selected = db.execute(FIND_BY_HASH, (hash_secret(token), proof.used_after)) if token is not None else None
    row, token_row = locked.fetchone(), selected.fetchone() if selected is not None else None
    certificate = proof.certificate
    if row is not None and row[1]:
        raise AccountDisabled
    if row is not None and selected is not None:
        is_valid = token_row is not None and token_row[0] == account
    elif certificate is not None:
        is_valid = db.execute(FIND_CERTIFICATE, (account, certificate, proof.used_after)).fetchone() is not None
    else:
        is_valid = row is not None and row[0] == proof.password_hash
    if row is None or not is_valid:
        raise PasswordRequired
    return int(row[2]), row[3]


def _count_logins(db: PgConnection, account: int, device: str) -> int:
    """Return how many logins were counted on a device; 0 where it is not logged in."""
    row = db.execute(LOGIN_COUNT, (account, replace_nul(device))).fetchone()
    return int(row[0]) if row is not None else 0


def log_in_device(db: PgConnection, account: int, login: DeviceLogin, time: float) -> Device:
    """Begin a session on a device, in a transaction that has the account locked; evict surplus devices."""
    ((device, login_count),) = db.execute(UPSERT_DEVICE, (account, replace_nul(login.device), time)).fetchall()
    if login_count == 1:
        db.execute(INHERIT_CURSORS, {"device": device, "account": account})
    with db.pipeline():
        # One token per device: a new session replaces the one that the device had.
        db.execute(DROP_TOKENS, (device,))
        db.execute(ADD_TOKEN, (hash_secret(login.token), account, device, time, time))
        unused = db.execute(SELECT_UNUSED_DEVICES, (account, [device, *login.live_devices], MAX_DEVICES))
        cursors = db.execute(SELECT_CURSORS, (device, account))
    evicted = _delete_devices(db, unused.fetchall())
    return Device(device, login.device, dict(cursors.fetchall()), evicted, login_count)


def drop_unused_devices(db: PgConnection, account: int, live: Sequence[int]) -> list[int]:
    """Evict the devices of a locked account that exceed `MAX_DEVICES`, those in `live` last. Returns their ids."""
    return _delete_devices(db, db.execute(SELECT_UNUSED_DEVICES, (account, list(live), MAX_DEVICES)).fetchall())


def _delete_devices(db: PgConnection, rows: Sequence[tuple[int]]) -> list[int]:
    evicted = [id for (id,) in rows]
    for statement in DELETE_DEVICES if evicted else ():
        db.execute(statement, (evicted,))
    return evicted
