"""Rooms and their members, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from gmessenger.chat.records import ReadRange, RoomRecord
from gmessenger.errors import NoSuchRoom, StoreUnavailable
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import OPEN_ROOM, RoomRules, rules_from_json
from gmessenger.store.postgres import roles
from gmessenger.store.postgres.hooks import drop_hooks
from gmessenger.store.postgres.membership import find_read_range, join_room, leave_room
from gmessenger.store.postgres.pool import MAX_ATTEMPTS, PgConnection
from gmessenger.store.postgres.pruning import Pruner
from gmessenger.store.postgres.room_access import check_may_join

ROOM_COLUMNS: Final = (
    "SELECT c.id, c.key, c.name, c.topic, c.creator, c.head, c.first, c.rules, m.accounts, m.starts, m.having_role, "
    "m.roles, c.passing, c.topic_by, c.topic_at, c.created, c.profile FROM conversations c, LATERAL ("
    " SELECT array_agg(account_id ORDER BY account_id) AS accounts, array_agg(start ORDER BY account_id) AS starts,"
    " array_agg(account_id ORDER BY account_id) FILTER (WHERE role <> '') AS having_role,"
    " array_agg(role ORDER BY account_id) FILTER (WHERE role <> '') AS roles"
    " FROM (SELECT *, greatest(visible, joined_seq + 1) AS start FROM participants) AS p"
    " WHERE p.conversation_id = c.id AND p.left_seq IS NULL"
    ") AS m WHERE "
)
SELECT_ROOMS: Final = f"{ROOM_COLUMNS} c.key >= '#' AND c.key < '$' ORDER BY c.id"
FIND_ROOM: Final = f"{ROOM_COLUMNS} c.key = %s"
INSERT_ROOM: Final = (
    "INSERT INTO conversations (key, name, creator, passing, created) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (key) DO NOTHING RETURNING id"
)
ADD_OWNER: Final = (
    # Locked: nothing must be added to an account that is being deleted.
    "INSERT INTO participants (account_id, conversation_id, visible, joined, role) SELECT id, %s, 1, %s, 'owner' "
    "FROM accounts WHERE id = %s FOR KEY SHARE ON CONFLICT DO NOTHING"
)
SET_TOPIC: Final = "UPDATE conversations SET topic = %s, topic_by = %s, topic_at = %s WHERE key = %s"
LOCK_PASSING: Final = "SELECT FROM conversations WHERE id = %s AND key = %s AND passing FOR UPDATE"
HAS_MEMBERS: Final = "SELECT FROM participants WHERE conversation_id = %s AND left_seq IS NULL LIMIT 1"
MARK_DELETED: Final = "UPDATE conversations SET key = '!' || id WHERE key = %s"
LIFT_CLOSE: Final = "DELETE FROM sanctions WHERE kind = 'close' AND target = %s"


class RoomStore(Pruner):
    """The part of the store that has rooms and their members; their messages are in `MessageStore`."""

    def rooms(self) -> Sequence[RoomRecord]:
        return [_room_from_row(row) for row in self.read(lambda db: db.execute(SELECT_ROOMS).fetchall())]

    def room(self, key: str) -> RoomRecord | None:
        row = self.read(lambda db: db.execute(FIND_ROOM, (key,)).fetchone())
        return _room_from_row(row) if row else None

    def create_room(
        self,
        key: str,
        name: str,
        creator: int | None,
        time: float,
        rules: RoomRules = OPEN_ROOM,
        *,
        passing: bool = False,
    ) -> RoomRecord:
        def change(db: PgConnection) -> RoomRecord:
            for _ in range(MAX_ATTEMPTS):
                if created := db.execute(INSERT_ROOM, (key, name, creator, passing, time)).fetchone():
                    roles.set_rules(db, created[0], rules)
                    db.execute(ADD_OWNER, (created[0], time, creator))
                    self.record_change(db, "room", key)
                if row := db.execute(FIND_ROOM, (key,)).fetchone():
                    return _room_from_row(row)
            raise StoreUnavailable  # each time there was a room, and it was deleted before it could be read

        return self.change(change)

    def join(
        self, room: str, account: int, time: float, *, is_welcome: bool = False, spared_since: float = 0.0
    ) -> ReadRange:
        def change(db: PgConnection) -> ReadRange:
            if check_may_join(db, room, account, time, is_welcome=is_welcome, spared_since=spared_since):
                self.record_change(db, "access", room)
            is_new = join_room(db, room, account, time)
            readable = find_read_range(db, account, room)
            if is_new is None or readable is None:
                raise NoSuchRoom
            if is_new:
                self.record_change(db, "member", room, account)
            return readable

        return self.change(change)

    def leave(self, room: str, account: int, by: str = "", reason: str = "") -> int | None:
        def change(db: PgConnection) -> int | None:
            owned = roles.lock_if_owner(db, room, account)
            if leave_room(db, room, account):
                self.record_change(db, "member", room, account, by=by, said=reason)
            new_owner = roles.replace_owner(db, owned) if owned is not None else None
            if new_owner is not None:
                self.record_change(db, "member", room, new_owner)
            return new_owner

        return self.change(change)

    def change_rules(self, room: str, changes: Mapping[str, Any], by: str = "", actor: int | None = None) -> RoomRules:
        def change(db: PgConnection) -> RoomRules:
            rules = roles.change_rules(db, room, changes, actor)
            self.record_change(db, "room", room, by=by)
            return rules

        return self.change(change)

    def change_role(self, room: str, account: int, role: RoomRole, by: str = "", actor: int | None = None) -> None:
        def change(db: PgConnection) -> None:
            roles.change_role(db, room, account, role, actor)
            self.record_change(db, "member", room, account, by=by, reason=role)

        self.change(change)

    def room_role(self, room: str, account: int) -> RoomRole:
        return self.read(lambda db: roles.find_role_in(db, room, account))

    def set_topic(self, room: str, topic: str, by: str = "", time: float | None = None) -> None:
        def change(db: PgConnection) -> None:
            if db.execute(SET_TOPIC, (topic, by, time, room)).rowcount:
                self.record_change(db, "room", room, by=by)

        self.change(change)

    def change_room_profile(
        self, room: str, change: Callable[[str], str], by: str = "", actor: int | None = None
    ) -> str:
        def replace(db: PgConnection) -> str:
            changed = roles.change_profile(db, room, change, actor)
            self.record_change(db, "room", room, by=by)
            return changed

        return self.change(replace)

    def delete_room(self, room: str) -> None:
        self.change(lambda db: self._mark_deleted(db, room))
        with suppress(StoreUnavailable):
            self.finish_deletions()

    def drop_passing_room(self, room: str, id: int) -> bool:
        def change(db: PgConnection) -> bool:
            # Locked before the members are counted: who joins locks it, too.
            is_passing = db.execute(LOCK_PASSING, (id, room)).rowcount > 0
            if not is_passing or db.execute(HAS_MEMBERS, (id,)).rowcount:
                return False
            self._mark_deleted(db, room)
            return True

        is_dropped = self.change(change)
        if is_dropped:
            with suppress(StoreUnavailable):
                self.finish_deletions()
        return is_dropped

    def _mark_deleted(self, db: PgConnection, room: str) -> None:
        for account in drop_hooks(db, room):
            self.record_change(db, "account", account)
        # Hidden at once; its messages are deleted afterwards. A new room of the name is another conversation.
        if db.execute(MARK_DELETED, (room,)).rowcount:
            self.record_change(db, "room", room)
        if db.execute(LIFT_CLOSE, (room,)).rowcount:
            self.record_change(db, "sanction", "close", room)


def _room_from_row(row: tuple[Any, ...]) -> RoomRecord:
    id, key, name, topic, creator, head, first, rules, accounts, starts, having_role, role_names, *others = row
    members = dict(zip(accounts or (), starts or (), strict=True))
    roles_by_id = dict(zip(having_role or (), role_names or (), strict=True))
    return RoomRecord(key, name, topic, creator, head, first, members, id, rules_from_json(rules), roles_by_id, *others)
