"""Devices, their tokens and their cursors, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from gmessenger.chat.records import MAX_DEVICES, Credential, Device, DeviceInfo, DeviceLogin
from gmessenger.errors import PasswordRequired, WrongPassword
from gmessenger.store.common import ONCE_EXPIRED, hash_secret
from gmessenger.store.sqlite.database import Database

PASSWORD: Final = "SELECT password FROM accounts WHERE id = ?"  # noqa: S105
FIND_PASSWORD: Final = "SELECT password, generation, password_until FROM accounts WHERE id = ?"  # noqa: S105
LAST_USES: Final = "SELECT account_id, max(used) FROM devices GROUP BY account_id"
FIND_BY_HASH: Final = (
    "SELECT t.account_id, d.name FROM tokens t JOIN devices d ON d.id = t.device_id "
    "WHERE t.hash = ? AND max(t.used, t.created) >= ?"
)
ADD_TOKEN: Final = "INSERT INTO tokens (hash, account_id, device_id, created, used) VALUES (?,?,?,?,?)"  # noqa: S105
DROP_TOKENS_OF_DEVICE: Final = "DELETE FROM tokens WHERE device_id = ?"
DEVICE: Final = "SELECT id FROM devices WHERE account_id = ? AND name = ?"
FIND_CERTIFICATE: Final = (
    "SELECT d.name FROM certificates c JOIN devices d ON d.id = c.device_id "
    "WHERE d.account_id = ? AND c.fingerprint = ? AND max(d.used, c.added) >= ?"
)
WITH_CREDENTIALS: Final = (
    "FROM devices d LEFT JOIN tokens t ON t.device_id = d.id LEFT JOIN certificates c ON c.device_id = d.id "
    "WHERE d.account_id = :account"
)
HAS_CREDENTIAL: Final = "(t.hash IS NOT NULL OR c.device_id IS NOT NULL)"
DEVICES_BY_USE: Final = f"SELECT d.id {WITH_CREDENTIALS} ORDER BY {HAS_CREDENTIAL} DESC, d.used DESC, d.id DESC"
LOGGED_IN: Final = (
    "SELECT d.id, d.name, max(d.used, coalesce(t.used, 0)) AS last, coalesce(c.fingerprint, '') "
    f"{WITH_CREDENTIALS} AND (max(t.used, t.created) >= :used_after OR max(d.used, c.added) >= :used_after) "
    "ORDER BY last DESC, d.id DESC"
)
SELECT_LOGGED_IN: Final = f"SELECT d.id {WITH_CREDENTIALS} AND {HAS_CREDENTIAL} AND d.name = :device"
SELECT_OTHERS_LOGGED_IN: Final = f"SELECT d.id {WITH_CREDENTIALS} AND {HAS_CREDENTIAL} AND d.id IS NOT :kept"
DROP_CERTIFICATE_OF_DEVICE: Final = "DELETE FROM certificates WHERE device_id = ?"
DROP_CERTIFICATES: Final = (
    # Of devices that were logged out by a new password.
    "DELETE FROM certificates WHERE device_id IN (SELECT d.id FROM devices d WHERE d.account_id = ? "
    "AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.device_id = d.id))"
)
USE_CERTIFICATE: Final = "UPDATE certificates SET used = ? WHERE device_id = ? AND fingerprint = ?"
DROP_PUSH_SUBSCRIPTIONS: Final = (
    # Of devices that were logged out.
    "DELETE FROM push_subscriptions WHERE device_id IN (SELECT d.id FROM devices d WHERE d.account_id = ? "
    "AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.device_id = d.id))"
)
NOTE_USE: Final = (
    "UPDATE devices SET used = max(used, :time) WHERE id = :device",
    "UPDATE tokens SET used = max(used, :time) WHERE device_id = :device",
)
ADD_DEVICE: Final = "INSERT INTO devices (account_id, name, used) VALUES (?,?,?)"
USE_DEVICE: Final = "UPDATE devices SET used = ? WHERE id = ?"
DROP_DEVICE: Final = (
    "DELETE FROM devices WHERE id = ?",
    "DELETE FROM cursors WHERE device_id = ?",
    DROP_TOKENS_OF_DEVICE,
)
CURSORS: Final = (
    "SELECT c.key, max(coalesce(u.seq, 0), p.visible - 1, p.joined_seq) FROM participants p "
    "JOIN conversations c ON c.id = p.conversation_id "
    "LEFT JOIN cursors u ON u.conversation_id = p.conversation_id AND u.device_id = ? "
    "WHERE p.account_id = ? AND p.left_seq IS NULL AND c.key NOT LIKE '!%'"
)
FURTHEST: Final = (
    "SELECT u.conversation_id, max(u.seq) FROM cursors u JOIN devices d ON d.id = u.device_id "
    "WHERE d.account_id = ? GROUP BY u.conversation_id"
)
ADD_CURSOR: Final = "INSERT INTO cursors VALUES (?,?,?)"


class DeviceStore(Database):
    """The part of the store that has devices, their tokens and cursors."""

    def find_token(self, token: str, used_after: float = 0.0) -> tuple[int, str] | None:
        row = self.read(lambda db: db.execute(FIND_BY_HASH, (hash_secret(token), used_after)).fetchone())
        return (int(row[0]), str(row[1])) if row else None

    def devices(self, account: int, used_after: float = 0.0) -> Sequence[DeviceInfo]:
        values = {"account": account, "used_after": used_after}
        rows = self.read(lambda db: db.execute(LOGGED_IN, values).fetchall())
        return [DeviceInfo(*row) for row in rows]

    def drop_tokens(self, account: int, device: str | None = None, kept: int | None = None) -> Sequence[int]:
        def change(db: sqlite3.Connection) -> list[int]:
            if device is not None:
                rows = db.execute(SELECT_LOGGED_IN, {"account": account, "device": device}).fetchall()
            else:
                rows = db.execute(SELECT_OTHERS_LOGGED_IN, {"account": account, "kept": kept}).fetchall()
            db.executemany(DROP_TOKENS_OF_DEVICE, rows)
            db.executemany(DROP_CERTIFICATE_OF_DEVICE, rows)
            db.execute(DROP_PUSH_SUBSCRIPTIONS, (account,))
            return [id for (id,) in rows]

        dropped = self.writer.execute(change)
        self.schedule_purge(now=bool(dropped))
        return dropped

    def last_uses(self) -> Mapping[int, float]:
        return dict(self.read(lambda db: db.execute(LAST_USES).fetchall()))

    def note_use(self, devices: Mapping[int, float]) -> None:
        rows = [{"device": device, "time": time} for device, time in devices.items()]

        def change(db: sqlite3.Connection) -> None:
            for statement in NOTE_USE:
                db.executemany(statement, rows)

        self.writer.execute(change)

    def begin_session(self, account: int, login: DeviceLogin, time: float, credential: Credential) -> Device:
        def change(db: sqlite3.Connection) -> Device:
            self.write_cursors(db)
            generation, until = _check_proof(db, account, credential)
            if until is not None and time >= until:
                raise WrongPassword(ONCE_EXPIRED)
            device = log_in_device(db, account, login, time)
            if credential.certificate is not None:
                db.execute(USE_CERTIFICATE, (time, device.id, credential.certificate))
            device.generation, device.password_until = generation, until
            return device

        device = self.writer.execute(change)
        self.schedule_purge(thorough=bool(device.evicted), now=bool(device.evicted))
        return device


def _check_proof(db: sqlite3.Connection, account: int, proof: Credential) -> tuple[int, float | None]:
    """Check again a token, certificate or password hash that was checked before.

    Returns generation and expiry of the password. Raises `PasswordRequired` where it is not valid any more.
    """
    row = db.execute(FIND_PASSWORD, (account,)).fetchone()
    is_valid = row is not None and row[0] == proof.password_hash
    if proof.token is not None:
        token_row = db.execute(FIND_BY_HASH, (hash_secret(proof.token), proof.used_after)).fetchone()
        is_valid = token_row is not None and token_row[0] == account
    elif proof.certificate is not None:
        found = db.execute(FIND_CERTIFICATE, (account, proof.certificate, proof.used_after)).fetchone()
        is_valid = found is not None
    if row is None or not is_valid:
        raise PasswordRequired
    return int(row[1]), row[2]


def log_in_device(db: sqlite3.Connection, account: int, login: DeviceLogin, time: float) -> Device:
    """Begin a session on a device, created where missing; evict the devices that exceed `MAX_DEVICES`."""
    row = db.execute(DEVICE, (account, login.device)).fetchone()
    device = row[0] if row else add_device(db, account, login.device, time)
    db.execute(USE_DEVICE, (time, device))
    # One token per device: a new session replaces the one that the device had.
    db.execute(DROP_TOKENS_OF_DEVICE, (device,))
    db.execute(ADD_TOKEN, (hash_secret(login.token), account, device, time, time))
    evicted = drop_unused_devices(db, account, {device, *login.live_devices})
    cursors = db.execute(CURSORS, (device, account)).fetchall()
    return Device(device, login.device, dict(cursors), evicted)


def drop_unused_devices(db: sqlite3.Connection, account: int, live: set[int]) -> list[int]:
    """Evict the devices of an account that exceed `MAX_DEVICES`, those in `live` last. Returns their ids."""
    by_use = [device for (device,) in db.execute(DEVICES_BY_USE, {"account": account}).fetchall()]
    dropped = sorted(by_use, key=lambda device: device not in live)[MAX_DEVICES:]
    for device in dropped:
        for statement in DROP_DEVICE:
            db.execute(statement, (device,))
    return dropped


def add_device(db: sqlite3.Connection, account: int, name: str, time: float) -> int:
    """Add a device whose cursors begin at the furthest of the account's other devices."""
    device = int(db.execute(ADD_DEVICE, (account, name, time)).lastrowid or 0)
    furthest = db.execute(FURTHEST, (account,)).fetchall()
    db.executemany(ADD_CURSOR, [(device, conversation, seq) for conversation, seq in furthest])
    return device
