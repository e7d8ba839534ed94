"""Push subscriptions of devices in SQLite, and what a push message says of a conversation."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import PushSubscription, Unread
from gmessenger.errors import NoSuchDevice
from gmessenger.store.common import MAX_UNREAD, VAPID_KEY
from gmessenger.store.sqlite.database import Database
from gmessenger.store.sqlite.membership import NOT_ABSENT

DEVICES: Final = "SELECT d.account_id, d.id FROM push_subscriptions s JOIN devices d ON d.id = s.device_id"
DEVICES_OF_ACCOUNT: Final = f"{DEVICES} WHERE d.account_id = ?"
FIND: Final = (
    "SELECT s.endpoint, s.p256dh, s.auth FROM push_subscriptions s WHERE s.device_id = ? "
    "AND EXISTS (SELECT 1 FROM tokens t WHERE t.device_id = s.device_id AND max(t.used, t.created) >= ?)"
)
HAS_DEVICE: Final = "SELECT 1 FROM devices WHERE id = ? AND account_id = ?"
DROP_OTHERS: Final = "DELETE FROM push_subscriptions WHERE endpoint = ? AND device_id <> ?"
SET: Final = "INSERT OR REPLACE INTO push_subscriptions (device_id, endpoint, p256dh, auth) VALUES (?,?,?,?)"
DROP: Final = "DELETE FROM push_subscriptions WHERE device_id = ? AND endpoint = coalesce(?, endpoint)"
UNREAD: Final = (
    "SELECT p.read, (SELECT count(*) FROM (SELECT 1 FROM messages m WHERE m.conversation_id = p.conversation_id"  # noqa: S608
    " AND m.seq > max(p.read, p.visible - 1) AND m.what = '' AND NOT m.erased AND m.account_id IS NOT p.account_id"
    f" AND {NOT_ABSENT} LIMIT {MAX_UNREAD})),"
    " (SELECT u.seq FROM cursors u WHERE u.device_id = ? AND u.conversation_id = p.conversation_id)"
    " FROM participants p JOIN conversations c ON c.id = p.conversation_id"
    " WHERE p.account_id = ? AND c.key = ? AND p.left_seq IS NULL"
)
ADD_VAPID_KEY: Final = "INSERT OR IGNORE INTO facts VALUES ('vapid key', ?)"


class PushStore(Database):
    """The part of the store that has push subscriptions."""

    def vapid_key(self, new: str) -> str:
        def find(db: sqlite3.Connection) -> str:
            db.execute(ADD_VAPID_KEY, (new,))
            return str(db.execute(VAPID_KEY).fetchone()[0])

        return self.writer.execute(find)

    def push_devices(self, account: int | None = None) -> Sequence[tuple[int, int]]:
        query, values = (DEVICES, ()) if account is None else (DEVICES_OF_ACCOUNT, (account,))
        return self.read(lambda db: db.execute(query, values).fetchall())

    def find_push_subscription(self, device: int, used_after: float = 0.0) -> PushSubscription | None:
        row = self.read(lambda db: db.execute(FIND, (device, used_after)).fetchone())
        return PushSubscription(*row) if row else None

    def set_push_subscription(self, account: int, device: int, subscription: PushSubscription) -> None:
        def change(db: sqlite3.Connection) -> None:
            if db.execute(HAS_DEVICE, (device, account)).fetchone() is None:
                raise NoSuchDevice
            db.execute(DROP_OTHERS, (subscription.endpoint, device))
            db.execute(SET, (device, subscription.endpoint, subscription.p256dh, subscription.auth))

        self.writer.execute(change)
        self.schedule_purge()

    def drop_push_subscription(self, account: int, device: int, endpoint: str | None = None) -> None:
        self.writer.execute(lambda db: db.execute(DROP, (device, endpoint)))
        self.schedule_purge()

    def unread(self, account: int, conversation: str, device: int) -> Unread | None:
        row = self.read(lambda db: db.execute(UNREAD, (device, account, conversation)).fetchone())
        if row is None:
            return None
        read_seq, count, received_seq = row
        return Unread(read_seq, count, max(received_seq or 0, self.cursors.find(device, conversation)))
