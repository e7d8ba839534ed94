"""Who is invited to a room, shut out of it or silenced there, in SQLite."""

from __future__ import annotations

import sqlite3
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
from gmessenger.store.sqlite.database import Database

# The columns are in the order of the records' fields.
SANCTION_COLUMNS: Final = 'kind, target, s.name, "by", reason, since, until'
INVITATION_COLUMNS: Final = 'i.key, i.name, "by", since'
SANCTIONS: Final = f"SELECT {SANCTION_COLUMNS} FROM room_sanctions s WHERE conversation_id = ?"  # noqa: S608
INVITATIONS: Final = f"SELECT {INVITATION_COLUMNS} FROM invitations i WHERE conversation_id = ?"  # noqa: S608
ALL_SANCTIONS: Final = (
    f"SELECT c.key, {SANCTION_COLUMNS} FROM room_sanctions s JOIN conversations c ON c.id = conversation_id "  # noqa: S608
    "WHERE c.key LIKE '#%'"
)
ALL_INVITATIONS: Final = (
    f"SELECT c.key, {INVITATION_COLUMNS} FROM invitations i JOIN conversations c ON c.id = conversation_id "  # noqa: S608
    "WHERE c.key LIKE '#%'"
)
MASK_COLUMNS: Final = 'kind, mask, m."by", since'
MASKS: Final = f"SELECT {MASK_COLUMNS} FROM room_masks m WHERE conversation_id = ?"  # noqa: S608
ALL_MASKS: Final = (
    f"SELECT c.key, {MASK_COLUMNS} FROM room_masks m JOIN conversations c ON c.id = conversation_id "  # noqa: S608
    "WHERE c.key LIKE '#%'"
)
COUNT_OTHER_MASKS: Final = "SELECT count(*) FROM room_masks WHERE conversation_id = ? AND kind = ? AND mask <> ?"
ADD_MASK: Final = 'INSERT OR IGNORE INTO room_masks (conversation_id, kind, mask, "by", since) VALUES (?,?,?,?,?)'
REMOVE_MASK: Final = "DELETE FROM room_masks WHERE conversation_id = ? AND kind = ? AND mask = ?"
ROOM: Final = "SELECT id, rules FROM conversations WHERE key = ?"
ACCOUNT_KEY: Final = "SELECT key FROM accounts WHERE id = ?"
ACCOUNT_ID: Final = "SELECT id FROM accounts WHERE key = ?"
IS_MEMBER: Final = "SELECT 1 FROM participants WHERE account_id = ? AND conversation_id = ? AND left_seq IS NULL"
FIND_SHUT_OUT: Final = (
    "SELECT 1 FROM room_sanctions WHERE conversation_id = ? AND kind = 'shut_out' AND target = ? "
    "AND (until IS NULL OR until > ?) AND since >= ?"
)
FIND_INVITATION: Final = "SELECT 1 FROM invitations WHERE conversation_id = ? AND key = ?"
COUNT_INVITATIONS: Final = "SELECT count(*) FROM invitations WHERE conversation_id = ?"
ADD_INVITATION: Final = 'INSERT OR IGNORE INTO invitations (conversation_id, key, name, "by", since) VALUES (?,?,?,?,?)'
DELETE_INVITATION: Final = "DELETE FROM invitations WHERE conversation_id = ? AND key = ?"
DELETE_EXPIRED: Final = "DELETE FROM room_sanctions WHERE conversation_id = ? AND until <= ?"
COUNT_OTHERS: Final = "SELECT count(*) FROM room_sanctions WHERE conversation_id = ? AND NOT (kind = ? AND target = ?)"
ADD_SANCTION: Final = (
    'INSERT OR REPLACE INTO room_sanctions (conversation_id, kind, target, name, "by", reason, since, until) '
    "VALUES (?,?,?,?,?,?,?,?)"
)
LIFT: Final = "DELETE FROM room_sanctions WHERE conversation_id = ? AND kind = ? AND target = ?"
LIFT_NETWORKS: Final = "DELETE FROM room_sanctions WHERE conversation_id = ? AND kind = 'network' AND name = ?"


def find_room(db: sqlite3.Connection, room: str) -> tuple[int, str]:
    """Return the id of a room, given by its key, and its rules as stored. Raises `NoSuchRoom`."""
    row = db.execute(ROOM, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    return row[0], row[1]


def check_may_join(
    db: sqlite3.Connection, room: str, account: int, time: float, *, is_welcome: bool, spared_since: float
) -> None:
    """Raise `NoSuchRoom`, `ShutOut` or `InvitedOnly` if an account may not join a room; use up its invitation."""
    id, rules = find_room(db, room)
    if db.execute(IS_MEMBER, (account, id)).fetchone():
        return
    key = db.execute(ACCOUNT_KEY, (account,)).fetchone()
    if key is None:
        raise AccountDeleted
    if db.execute(FIND_SHUT_OUT, (id, *key, time, spared_since)).fetchone():
        raise ShutOut
    if not db.execute(DELETE_INVITATION, (id, *key)).rowcount and not is_welcome and rules_from_json(rules).invited:
        raise InvitedOnly


def read_access(db: sqlite3.Connection, room: int) -> RoomAccess:
    """Return who is kept out of a room, given by its id, or invited to it."""
    sanctions = [RoomSanction(*row) for row in db.execute(SANCTIONS, (room,))]
    invitations = [Invitation(*row) for row in db.execute(INVITATIONS, (room,))]
    masks = [RoomMask(*row) for row in db.execute(MASKS, (room,))]
    return RoomAccess(
        {(one.kind, one.target): one for one in sanctions},
        {one.key: one for one in invitations},
        {(one.kind, one.mask): one for one in masks},
    )


class RoomAccessStore(Database):
    """The part of the store that has invitations and sanctions of rooms."""

    def room_accesses(self) -> Mapping[str, RoomAccess]:
        return self.read(_select_accesses)

    def invite(self, room: str, invitation: Invitation) -> RoomAccess:
        return self._change_access(room, lambda db, id: _invite(db, id, invitation))

    def uninvite(self, room: str, key: str, by: str = "") -> RoomAccess:
        return self._change_access(room, lambda db, id: db.execute(DELETE_INVITATION, (id, key)), purge=True)

    def add_room_sanction(self, room: str, sanction: RoomSanction) -> RoomAccess:
        return self._change_access(room, lambda db, id: _add_sanction(db, id, sanction))

    def lift_room_sanction(self, room: str, kind: RoomSanctionKind, key: str, by: str = "") -> RoomAccess:
        return self._change_access(room, lambda db, id: _lift(db, id, kind, key), purge=True)

    def add_room_mask(self, room: str, mask: RoomMask) -> RoomAccess:
        return self._change_access(room, lambda db, id: _add_mask(db, id, mask))

    def remove_room_mask(self, room: str, kind: MaskKind, mask: str, by: str = "") -> RoomAccess:
        return self._change_access(room, lambda db, id: db.execute(REMOVE_MASK, (id, kind, mask)), purge=True)

    def _change_access(
        self, room: str, change: Callable[[sqlite3.Connection, int], object], *, purge: bool = False
    ) -> RoomAccess:
        def change_and_read(db: sqlite3.Connection) -> RoomAccess:
            id, _ = find_room(db, room)
            change(db, id)
            return read_access(db, id)

        access = self.writer.execute(change_and_read)
        if purge:
            self.schedule_purge()
        return access


def _invite(db: sqlite3.Connection, room: int, invitation: Invitation) -> None:
    account = db.execute(ACCOUNT_ID, (invitation.key,)).fetchone()
    if account is None:
        raise AccountDeleted
    if db.execute(IS_MEMBER, (*account, room)).fetchone():
        raise AlreadyMember
    if not db.execute(FIND_INVITATION, (room, invitation.key)).fetchone():
        if db.execute(COUNT_INVITATIONS, (room,)).fetchone()[0] >= MAX_INVITATIONS:
            raise Forbidden(f"At most {MAX_INVITATIONS} invitations to a room can wait.", limit=MAX_INVITATIONS)
        db.execute(ADD_INVITATION, (room, *astuple(invitation)))
    _lift(db, room, "shut_out", invitation.key)


def _add_sanction(db: sqlite3.Connection, room: int, sanction: RoomSanction) -> None:
    db.execute(DELETE_EXPIRED, (room, sanction.since))
    if db.execute(COUNT_OTHERS, (room, sanction.kind, sanction.target)).fetchone()[0] >= MAX_ROOM_SANCTIONS:
        raise Forbidden(f"A room has at most {MAX_ROOM_SANCTIONS} of them; lift some first.", limit=MAX_ROOM_SANCTIONS)
    db.execute(ADD_SANCTION, (room, *astuple(sanction)))
    if sanction.kind == "shut_out":
        db.execute(DELETE_INVITATION, (room, sanction.target))


def _add_mask(db: sqlite3.Connection, room: int, mask: RoomMask) -> None:
    if db.execute(COUNT_OTHER_MASKS, (room, mask.kind, mask.mask)).fetchone()[0] >= MAX_MASKS:
        raise Forbidden(f"A list of a room has at most {MAX_MASKS} masks; remove some first.", limit=MAX_MASKS)
    db.execute(ADD_MASK, (room, *astuple(mask)))


def _lift(db: sqlite3.Connection, room: int, kind: RoomSanctionKind, key: str) -> None:
    db.execute(LIFT, (room, kind, key))
    if kind == "shut_out":
        db.execute(LIFT_NETWORKS, (room, key))


def _select_accesses(db: sqlite3.Connection) -> dict[str, RoomAccess]:
    accesses: dict[str, RoomAccess] = {}
    for room, *columns in db.execute(ALL_SANCTIONS):
        sanction = RoomSanction(*columns)
        accesses.setdefault(room, RoomAccess()).sanctions[sanction.kind, sanction.target] = sanction
    for room, *columns in db.execute(ALL_INVITATIONS):
        invitation = Invitation(*columns)
        accesses.setdefault(room, RoomAccess()).invitations[invitation.key] = invitation
    for room, *columns in db.execute(ALL_MASKS):
        mask = RoomMask(*columns)
        accesses.setdefault(room, RoomAccess()).masks[mask.kind, mask.mask] = mask
    return accesses
