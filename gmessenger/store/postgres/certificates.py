"""Certificates of devices, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gmessenger.errors import AccountDeleted
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.devices import (
    FIND_CERTIFICATE,
    INHERIT_CURSORS,
    LOCK_ACCOUNT,
    LOCK_DEVICES,
    drop_unused_devices,
)
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.roles import require_upgraded
from gmessenger.store.postgres.schema import FIRST_WITH_CERTIFICATES
from gmessenger.store.postgres.tsvector import replace_nul

ACCOUNTS: Final = (
    "SELECT d.account_id, c.used IS NOT NULL FROM certificates c JOIN devices d ON d.id = c.device_id "
    "WHERE c.fingerprint = %s AND greatest(d.used, c.added) >= %s ORDER BY c.used IS NULL LIMIT 2"
)
FIND_DEVICE: Final = "SELECT id FROM devices WHERE account_id = %s AND name = %s"
ADD_DEVICE: Final = "INSERT INTO devices (account_id, name, used) VALUES (%s, %s, %s) RETURNING id"
LAST_PRESENTED: Final = (
    "SELECT max(c.used) FROM certificates c JOIN devices d ON d.id = c.device_id "
    "WHERE d.account_id = %s AND c.fingerprint = %s"
)
DROP_OTHERS: Final = (
    "DELETE FROM certificates c USING devices d "
    "WHERE d.id = c.device_id AND c.fingerprint = %s AND d.account_id = %s AND d.id <> %s"
)
SET: Final = (
    "INSERT INTO certificates (device_id, fingerprint, added, used) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (device_id) DO UPDATE SET fingerprint = excluded.fingerprint, added = excluded.added, "
    "used = excluded.used"
)
DROP: Final = (
    "DELETE FROM certificates c USING devices d WHERE d.id = c.device_id AND d.account_id = %s AND d.name = %s"
)


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
        def change(db: PgConnection) -> list[int]:
            require_upgraded(db, FIRST_WITH_CERTIFICATES)
            if db.execute(LOCK_ACCOUNT, (account,)).fetchone() is None:
                raise AccountDeleted
            db.execute(LOCK_DEVICES, (account,))
            id = _find_or_add_device(db, account, replace_nul(device), time)
            ((presented_at,),) = db.execute(LAST_PRESENTED, (account, fingerprint)).fetchall()
            db.execute(DROP_OTHERS, (fingerprint, account, id))
            db.execute(SET, (id, fingerprint, time, time if is_presented else presented_at))
            evicted = drop_unused_devices(db, account, [id, *live_devices])
            for each in evicted:
                self.record_change(db, "device", each)
            return evicted

        self.flush()
        return self.change(change)

    def drop_certificate(self, account: int, device: str) -> bool:
        return self.write(lambda db: db.execute(DROP, (account, device)).rowcount) > 0


def _find_or_add_device(db: PgConnection, account: int, name: str, time: float) -> int:
    """Return the id of a device of a locked account; a new one begins at the account's furthest cursors."""
    row = db.execute(FIND_DEVICE, (account, name)).fetchone()
    if row is not None:
        return int(row[0])
    ((device,),) = db.execute(ADD_DEVICE, (account, name, time)).fetchall()
    db.execute(INHERIT_CURSORS, {"device": device, "account": account})
    return int(device)
