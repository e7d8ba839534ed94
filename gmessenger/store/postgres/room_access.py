"""Who is invited to a room, shut out of it or silenced there, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import astuple

from gmessenger.chat.room_access import (
    MAX_INVITATIONS,
    MAX_MASKS,
    MAX_ROOM_SANCTIONS,
    Invitation,
    MaskKind,
    RoomAccess,
    RoomMask,
    RoomSanction,
    RoomSanctionKind,
)
from gmessenger.errors import AccountDeleted, AlreadyMember, Forbidden, InvitedOnly, NoSuchRoom, ShutOut
from gmessenger.room_rules import rules_from_json
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.membership import LOCK_ROOM, is_member
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.roles import require_upgraded
from gmessenger.store.postgres.schema import FIRST_WITH_MASKS

# The columns are in the order of the records' fields.
SANCTION_COLUMNS: Final = "kind, target, s.name, by, reason, since, until"
INVITATION_COLUMNS: Final = "i.key, i.name, by, since"
SELECT_SANCTIONS: Final = (
    f"SELECT c.key, {SANCTION_COLUMNS} FROM room_sanctions s JOIN conversations c ON c.id = conversation_id WHERE "  # noqa: S608
)
SELECT_INVITATIONS: Final = (
    f"SELECT c.key, {INVITATION_COLUMNS} FROM invitations i JOIN conversations c ON c.id = conversation_id WHERE "  # noqa: S608
)
SELECT_MASKS: Final = (
    "SELECT c.key, kind, mask, m.by, since FROM room_masks m JOIN conversations c ON c.id = conversation_id WHERE "
)
COUNT_OTHER_MASKS: Final = "SELECT count(*) FROM room_masks WHERE conversation_id = %s AND kind = %s AND mask <> %s"
ADD_MASK: Final = (
    "INSERT INTO room_masks (conversation_id, kind, mask, by, since) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
REMOVE_MASK: Final = "DELETE FROM room_masks WHERE conversation_id = %s AND kind = %s AND mask = %s"
ALL_ROOMS: Final = "c.key >= '#' AND c.key < '$'"
ONE_ROOM: Final = "c.key = %s"
# Nothing must be added to an account that is being deleted. It is locked before the room, as where it gets a role.
LOCK_ACCOUNT_BY_ID: Final = "SELECT key FROM accounts WHERE id = %s FOR KEY SHARE"
LOCK_ACCOUNT: Final = "SELECT id FROM accounts WHERE key = %s FOR KEY SHARE"
FIND_SHUT_OUT: Final = (
    "SELECT FROM room_sanctions WHERE conversation_id = %s AND kind = 'shut_out' AND target = %s "
    "AND (until IS NULL OR until > %s) AND since >= %s"
)
FIND_INVITATION: Final = "SELECT FROM invitations WHERE conversation_id = %s AND key = %s"
COUNT_INVITATIONS: Final = "SELECT count(*) FROM invitations WHERE conversation_id = %s"
ADD_INVITATION: Final = "INSERT INTO invitations (conversation_id, key, name, by, since) VALUES (%s, %s, %s, %s, %s)"
DELETE_INVITATION: Final = "DELETE FROM invitations WHERE conversation_id = %s AND key = %s"
DELETE_EXPIRED: Final = "DELETE FROM room_sanctions WHERE conversation_id = %s AND until <= %s"
COUNT_OTHERS: Final = (
    "SELECT count(*) FROM room_sanctions WHERE conversation_id = %s AND NOT (kind = %s AND target = %s)"
)
ADD_SANCTION: Final = (
    "INSERT INTO room_sanctions (conversation_id, kind, target, name, by, reason, since, until) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (conversation_id, kind, target) DO UPDATE SET "
    "name = excluded.name, by = excluded.by, reason = excluded.reason, since = excluded.since, until = excluded.until"
)
LIFT: Final = "DELETE FROM room_sanctions WHERE conversation_id = %s AND kind = %s AND target = %s"
LIFT_NETWORKS: Final = "DELETE FROM room_sanctions WHERE conversation_id = %s AND kind = 'network' AND name = %s"


def lock_room(db: PgConnection, room: str) -> tuple[int, str]:
    """Lock a room, given by its key; return its id, and its rules as stored. Raises `NoSuchRoom`.

    Until the transaction ends, no other one changes who is in it, or who may be.
    """
    row = db.execute(LOCK_ROOM, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    return row[0], row[3]


def check_may_join(
    db: PgConnection, room: str, account: int, time: float, *, is_welcome: bool, spared_since: float
) -> bool:
    """Raise `NoSuchRoom`, `ShutOut` or `InvitedOnly` if an account may not join a room; else lock both.

    Returns whether it was invited; the invitation is used up. Raises `AccountDeleted`, too.
    """
    key = db.execute(LOCK_ACCOUNT_BY_ID, (account,)).fetchone()
    id, rules = lock_room(db, room)
    if key is None:
        raise AccountDeleted
    if is_member(db, account, id):
        return False
    if db.execute(FIND_SHUT_OUT, (id, *key, time, spared_since)).rowcount:
        raise ShutOut
    was_invited = db.execute(DELETE_INVITATION, (id, *key)).rowcount > 0
    if not was_invited and not is_welcome and rules_from_json(rules).invited:
        raise InvitedOnly
    return was_invited


def select_accesses(db: PgConnection, room: str | None = None) -> dict[str, RoomAccess]:
    """Return who is kept out of a room, given by its key, or invited to it; of all rooms where none is given."""
    condition, parameters = (ONE_ROOM, (room,)) if room is not None else (ALL_ROOMS, ())
    accesses: dict[str, RoomAccess] = {}
    for key, *columns in db.execute(SELECT_SANCTIONS + condition, parameters).fetchall():
        sanction = RoomSanction(*columns)
        accesses.setdefault(key, RoomAccess()).sanctions[sanction.kind, sanction.target] = sanction
    for key, *columns in db.execute(SELECT_INVITATIONS + condition, parameters).fetchall():
        invitation = Invitation(*columns)
        accesses.setdefault(key, RoomAccess()).invitations[invitation.key] = invitation
    for key, *columns in db.execute(SELECT_MASKS + condition, parameters).fetchall():
        mask = RoomMask(*columns)
        accesses.setdefault(key, RoomAccess()).masks[mask.kind, mask.mask] = mask
    return accesses


class RoomAccessStore(Database):
    """The part of the store that has invitations and sanctions of rooms."""

    def room_accesses(self) -> Mapping[str, RoomAccess]:
        return self.read(select_accesses)

    def room_access(self, key: str) -> RoomAccess:
        return self.read(lambda db: select_accesses(db, key).get(key) or RoomAccess())

    def invite(self, room: str, invitation: Invitation) -> RoomAccess:
        def change(db: PgConnection) -> RoomAccess:
            account = db.execute(LOCK_ACCOUNT, (invitation.key,)).fetchone()
            id, _ = lock_room(db, room)
            if account is None:
                raise AccountDeleted
            _invite(db, id, account[0], invitation)
            return self._record_and_read(db, room, invitation.by)

        return self.change(change)

    def uninvite(self, room: str, key: str, by: str = "") -> RoomAccess:
        return self._change_access(room, by, lambda db, id: db.execute(DELETE_INVITATION, (id, key)))

    def add_room_sanction(self, room: str, sanction: RoomSanction) -> RoomAccess:
        return self._change_access(room, sanction.by, lambda db, id: _add_sanction(db, id, sanction))

    def lift_room_sanction(self, room: str, kind: RoomSanctionKind, key: str, by: str = "") -> RoomAccess:
        return self._change_access(room, by, lambda db, id: _lift(db, id, kind, key))

    def add_room_mask(self, room: str, mask: RoomMask) -> RoomAccess:
        return self._change_access(room, mask.by, lambda db, id: _add_mask(db, id, mask))

    def remove_room_mask(self, room: str, kind: MaskKind, mask: str, by: str = "") -> RoomAccess:
        return self._change_access(room, by, lambda db, id: db.execute(REMOVE_MASK, (id, kind, mask)))

    def _change_access(self, room: str, by: str, change: Callable[[PgConnection, int], object]) -> RoomAccess:
        def change_and_read(db: PgConnection) -> RoomAccess:
            id, _ = lock_room(db, room)
            change(db, id)
            return self._record_and_read(db, room, by)

        return self.change(change_and_read)

    def _record_and_read(self, db: PgConnection, room: str, by: str) -> RoomAccess:
        self.record_change(db, "access", room, by=by)
        return select_accesses(db, room).get(room) or RoomAccess()


def _invite(db: PgConnection, room: int, account: int, invitation: Invitation) -> None:
    if is_member(db, account, room):
        raise AlreadyMember
    if not db.execute(FIND_INVITATION, (room, invitation.key)).rowcount:
        ((count,),) = db.execute(COUNT_INVITATIONS, (room,)).fetchall()
        if count >= MAX_INVITATIONS:
            raise Forbidden(f"At most {MAX_INVITATIONS} invitations to a room can wait.", limit=MAX_INVITATIONS)
        db.execute(ADD_INVITATION, (room, *astuple(invitation)))
    _lift(db, room, "shut_out", invitation.key)


def _add_sanction(db: PgConnection, room: int, sanction: RoomSanction) -> None:
    db.execute(DELETE_EXPIRED, (room, sanction.since))
    ((count,),) = db.execute(COUNT_OTHERS, (room, sanction.kind, sanction.target)).fetchall()
    if count >= MAX_ROOM_SANCTIONS:
        raise Forbidden(f"A room has at most {MAX_ROOM_SANCTIONS} of them; lift some first.", limit=MAX_ROOM_SANCTIONS)
    db.execute(ADD_SANCTION, (room, *astuple(sanction)))
    if sanction.kind == "shut_out":
        db.execute(DELETE_INVITATION, (room, sanction.target))


def _add_mask(db: PgConnection, room: int, mask: RoomMask) -> None:
    require_upgraded(db, FIRST_WITH_MASKS)
    ((count,),) = db.execute(COUNT_OTHER_MASKS, (room, mask.kind, mask.mask)).fetchall()
    if count >= MAX_MASKS:
        raise Forbidden(f"A list of a room has at most {MAX_MASKS} masks; remove some first.", limit=MAX_MASKS)
    db.execute(ADD_MASK, (room, *astuple(mask)))


def _lift(db: PgConnection, room: int, kind: RoomSanctionKind, key: str) -> None:
    db.execute(LIFT, (room, kind, key))
    if kind == "shut_out":
        db.execute(LIFT_NETWORKS, (room, key))
