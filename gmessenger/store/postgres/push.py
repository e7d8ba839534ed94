"""Push subscriptions of devices in PostgreSQL, and what a push message says of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import PushSubscription, Unread
from gmessenger.errors import NoSuchDevice
from gmessenger.store.common import MAX_UNREAD, VAPID_KEY
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.membership import NOT_ABSENT
from gmessenger.store.postgres.pool import PgConnection

PUSH_LOCK: Final = 0x676D7075  # "gmpu": an advisory lock, under which no endpoint is given to two devices
TAKE_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
DEVICES: Final = "SELECT d.account_id, d.id FROM push_subscriptions s JOIN devices d ON d.id = s.device_id"
DEVICES_OF_ACCOUNT: Final = f"{DEVICES} WHERE d.account_id = %s"
FIND: Final = (
    "SELECT s.endpoint, s.p256dh, s.auth FROM push_subscriptions s WHERE s.device_id = %s "
    "AND EXISTS (SELECT FROM tokens t WHERE t.device_id = s.device_id AND greatest(t.used, t.created) >= %s)"
)
LOCK_DEVICE: Final = "SELECT FROM devices WHERE id = %s AND account_id = %s FOR KEY SHARE"
DROP_OTHERS: Final = "DELETE FROM push_subscriptions WHERE endpoint = %s AND device_id <> %s"
SET: Final = (
    "INSERT INTO push_subscriptions (device_id, endpoint, p256dh, auth) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (device_id) DO UPDATE SET endpoint = excluded.endpoint, p256dh = excluded.p256dh, auth = excluded.auth"
)
DROP: Final = "DELETE FROM push_subscriptions WHERE device_id = %s AND endpoint = coalesce(%s::text, endpoint)"
UNREAD: Final = (
    "SELECT p.read, (SELECT count(*) FROM (SELECT FROM messages m WHERE m.conversation_id = p.conversation_id"  # noqa: S608
    " AND m.seq > greatest(p.read, p.visible - 1) AND m.what = '' AND NOT m.erased"
    f" AND m.account_id IS DISTINCT FROM p.account_id AND {NOT_ABSENT} LIMIT {MAX_UNREAD}) AS counted),"
    " (SELECT u.seq FROM cursors u WHERE u.device_id = %s AND u.conversation_id = p.conversation_id)"
    " FROM participants p JOIN conversations c ON c.id = p.conversation_id"
    " WHERE p.account_id = %s AND c.key = %s AND p.left_seq IS NULL"
)
ADD_VAPID_KEY: Final = "INSERT INTO facts VALUES ('vapid key', %s) ON CONFLICT (name) DO NOTHING"


class PushStore(Database):
    """The part of the store that has push subscriptions."""

    def vapid_key(self, new: str) -> str:
        def find(db: PgConnection) -> str:
            # The first node creates it; the second statement sees what another one created meanwhile.
            db.execute(ADD_VAPID_KEY, (new,))
            ((key,),) = db.execute(VAPID_KEY).fetchall()
            return str(key)

        return self.write(find)

    def push_devices(self, account: int | None = None) -> Sequence[tuple[int, int]]:
        query, values = (DEVICES, ()) if account is None else (DEVICES_OF_ACCOUNT, (account,))
        return self.read(lambda db: db.execute(query, values).fetchall())

    def find_push_subscription(self, device: int, used_after: float = 0.0) -> PushSubscription | None:
        row = self.read(lambda db: db.execute(FIND, (device, used_after)).fetchone())
        return PushSubscription(*row) if row else None

    def set_push_subscription(self, account: int, device: int, subscription: PushSubscription) -> None:
        values = (device, subscription.endpoint, subscription.p256dh, subscription.auth)

        def change(db: PgConnection) -> None:
            if db.execute(LOCK_DEVICE, (device, account)).fetchone() is None:
                raise NoSuchDevice
            db.execute(TAKE_LOCK, (PUSH_LOCK,))
            db.execute(DROP_OTHERS, (subscription.endpoint, device))
            db.execute(SET, values)
            self.record_change(db, "push", account)

        self.change(change)

    def drop_push_subscription(self, account: int, device: int, endpoint: str | None = None) -> None:
        def change(db: PgConnection) -> None:
            db.execute(DROP, (device, endpoint))
            self.record_change(db, "push", account)

        self.change(change)

    def unread(self, account: int, conversation: str, device: int) -> Unread | None:
        row = self.read(lambda db: db.execute(UNREAD, (device, account, conversation)).fetchone())
        if row is None:
            return None
        read_seq, count, received_seq = row
        return Unread(read_seq, count, max(received_seq or 0, self.writer.cursors.find(device, conversation)))
