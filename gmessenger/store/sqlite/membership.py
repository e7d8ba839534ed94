"""Who takes part in a room, and what of it an account may read, in SQLite; within the caller's transaction."""

from __future__ import annotations

import sqlite3
from typing import Final

from gmessenger.chat.records import ReadRange
from gmessenger.names import ROOM_PREFIX
from gmessenger.room_rules import rules_from_json
from gmessenger.store.absences import add_absence

READ_RANGE: Final = (
    "SELECT p.visible, max(p.visible, p.joined_seq + 1), c.id FROM participants p "
    "JOIN conversations c ON c.id = p.conversation_id WHERE c.key = ? AND p.account_id = ? AND p.left_seq IS NULL"
)
ABSENCES: Final = "SELECT first, last FROM absences WHERE account_id = ? AND conversation_id = ? ORDER BY first"
NOT_ABSENT: Final = (
    "NOT EXISTS (SELECT 1 FROM absences a WHERE a.account_id = p.account_id "
    "AND a.conversation_id = p.conversation_id AND a.first <= m.seq AND a.last >= m.seq)"
)
"""A condition on a message `m` and a participant `p`."""
ROOM_TO_JOIN: Final = "SELECT id, head, first, rules FROM conversations WHERE key = ?"
FIND_MEMBER: Final = "SELECT visible, left_seq FROM participants WHERE account_id = ? AND conversation_id = ?"
ADD_MEMBER: Final = (
    "INSERT INTO participants (account_id, conversation_id, visible, joined, joined_seq) VALUES (?,?,?,?,?)"
)
READMIT: Final = (
    "UPDATE participants SET left_seq = NULL, joined = ?, joined_seq = ? WHERE account_id = ? AND conversation_id = ?"
)
LEAVE: Final = (
    "UPDATE participants SET left_seq = (SELECT head FROM conversations c WHERE c.id = conversation_id), role = '' "
    "WHERE account_id = ? AND conversation_id = (SELECT id FROM conversations WHERE key = ?) AND left_seq IS NULL"
)
DELETE_ABSENCES: Final = "DELETE FROM absences WHERE account_id = ? AND conversation_id = ?"
ADD_ABSENCE: Final = "INSERT INTO absences (account_id, conversation_id, first, last) VALUES (?,?,?,?)"


def find_read_range(db: sqlite3.Connection, account: int, conversation: str) -> ReadRange | None:
    """Return what an account may read of a conversation, given by its key; None if nothing."""
    row = db.execute(READ_RANGE, (conversation, account)).fetchone()
    if row is None:
        return None
    visible, start, id = row
    absences = db.execute(ABSENCES, (account, id)).fetchall() if conversation[:1] == ROOM_PREFIX else []
    return ReadRange(visible, start, absences)


def join_room(db: sqlite3.Connection, room: str, account: int, time: float) -> bool:
    """Make an account a member of a room, given by its key. Returns False if there is no such room."""
    row = db.execute(ROOM_TO_JOIN, (room,)).fetchone()
    if row is None:
        return False
    id, head, first, rules = row
    member = db.execute(FIND_MEMBER, (account, id)).fetchone()
    keeps_all = rules_from_json(rules).history == "all"
    if member is None:
        db.execute(ADD_MEMBER, (account, id, 1 if keeps_all else head + 1, time, head))
        return True
    visible, left_seq = member
    if left_seq is not None:
        db.execute(READMIT, (time, head, account, id))
        if not keeps_all:
            _add_absence(db, account, id, first, max(left_seq + 1, visible), head)
    return True


def _add_absence(db: sqlite3.Connection, account: int, room: int, stored_from: int, first: int, last: int) -> None:
    known = [absence for absence in db.execute(ABSENCES, (account, room)) if absence[1] >= stored_from]
    db.execute(DELETE_ABSENCES, (account, room))
    db.executemany(ADD_ABSENCE, [(account, room, *absence) for absence in add_absence(known, first, last)])


def leave_room(db: sqlite3.Connection, room: str, account: int) -> None:
    """End an account's membership of a room, given by its key; what it could read is kept for its return."""
    db.execute(LEAVE, (account, room))
