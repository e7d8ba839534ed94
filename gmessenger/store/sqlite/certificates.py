"""Certificates of devices, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.errors import AccountDeleted
from gmessenger.store.sqlite.database import Database
from gmessenger.store.sqlite.devices import DEVICE, FIND_CERTIFICATE, add_device, drop_unused_devices

HAS_ACCOUNT: Final = "SELECT 1 FROM accounts WHERE id = ?"
ACCOUNTS: Final = (
    "SELECT d.account_id, c.used IS NOT NULL FROM certificates c JOIN devices d ON d.id = c.device_id "
    "WHERE c.fingerprint = ? AND max(d.used, c.added) >= ? ORDER BY c.used IS NULL LIMIT 2"
)
LAST_PRESENTED: Final = (
    "SELECT max(c.used) FROM certificates c JOIN devices d ON d.id = c.device_id "
    "WHERE d.account_id = ? AND c.fingerprint = ?"
)
DROP_OTHERS: Final = (
    "DELETE FROM certificates WHERE fingerprint = ? "
    "AND device_id IN (SELECT id FROM devices WHERE account_id = ? AND id <> ?)"
)
SET: Final = "INSERT OR REPLACE INTO certificates (device_id, fingerprint, added, used) VALUES (?,?,?,?)"
DROP: Final = "DELETE FROM certificates WHERE device_id = (SELECT id FROM devices WHERE account_id = ? AND name = ?)"


class CertificateStore(Database):
    """The part of the store that has the certificates of devices."""

    def find_certificate(self, account: int, fingerprint: str, used_after: float = 0.0) -> str | None:
        values = (account, fingerprint, used_after)
        row = self.read(lambda db: db.execute(FIND_CERTIFICATE, values).fetchone())
        return str(row[0]) if row else None

    def accounts_with_certificate(self, fingerprint: str, used_after: float = 0.0) -> Sequence[tuple[int, bool]]:
        rows = self.read(lambda db: db.execute(ACCOUNTS, (fingerprint, used_after)).fetchall())
        return [(id, bool(is_presented)) for id, is_presented in rows]

    def set_certificate(
        self,
        account: int,
        device: str,
        fingerprint: str,
        time: float,
        *,
        is_presented: bool,
        live_devices: Sequence[int] = (),
    ) -> Sequence[int]:
        def change(db: sqlite3.Connection) -> list[int]:
            if db.execute(HAS_ACCOUNT, (account,)).fetchone() is None:
                raise AccountDeleted
            row = db.execute(DEVICE, (account, device)).fetchone()
            id = row[0] if row else add_device(db, account, device, time)
            ((presented_at,),) = db.execute(LAST_PRESENTED, (account, fingerprint)).fetchall()
            db.execute(DROP_OTHERS, (fingerprint, account, id))
            db.execute(SET, (id, fingerprint, time, time if is_presented else presented_at))
            return drop_unused_devices(db, account, {id, *live_devices})

        evicted = self.writer.execute(change)
        self.schedule_purge(thorough=bool(evicted), now=bool(evicted))
        return evicted

    def drop_certificate(self, account: int, device: str) -> bool:
        return self.writer.execute(lambda db: db.execute(DROP, (account, device)).rowcount) > 0
