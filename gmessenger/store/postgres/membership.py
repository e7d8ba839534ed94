"""Who takes part in a room, and what of it an account may read, in PostgreSQL; within the caller's transaction."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.records import ReadRange
from gmessenger.errors import Upgrading
from gmessenger.room_rules import rules_from_json
from gmessenger.store.absences import add_absence
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.roles import require_upgraded

READ_RANGE: Final = (
    "SELECT p.visible, greatest(p.visible, p.joined_seq + 1), ARRAY(SELECT ARRAY[a.first, a.last] FROM absences a "
    "WHERE a.account_id = p.account_id AND a.conversation_id = p.conversation_id ORDER BY a.first) "
    "FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE c.key = %s AND p.account_id = %s AND p.left_seq IS NULL"
)
NOT_ABSENT: Final = (
    "NOT EXISTS (SELECT FROM absences a WHERE a.account_id = p.account_id "
    "AND a.conversation_id = p.conversation_id AND a.first <= m.seq AND a.last >= m.seq)"
)
"""A condition on a message `m` and a participant `p`."""
LOCK_ROOM: Final = (
    # As the writers of messages do: nothing is said meanwhile, and one node at a time changes who is in the room.
    "SELECT id, head, first, rules FROM conversations WHERE key = %s FOR NO KEY UPDATE"
)
IS_MEMBER: Final = "SELECT FROM participants WHERE account_id = %s AND conversation_id = %s AND left_seq IS NULL"
FIND_MEMBER: Final = "SELECT visible, left_seq FROM participants WHERE account_id = %s AND conversation_id = %s"
ADD_MEMBER: Final = (
    "INSERT INTO participants (account_id, conversation_id, visible, joined, joined_seq) VALUES (%s, %s, %s, %s, %s)"
)
READMIT: Final = (
    "UPDATE participants SET left_seq = NULL, joined = %s, joined_seq = %s "
    "WHERE account_id = %s AND conversation_id = %s"
)
LEAVE: Final = (
    "UPDATE participants SET left_seq = %s, role = '' "
    "WHERE account_id = %s AND conversation_id = %s AND left_seq IS NULL"
)
FORGET_MEMBER: Final = "DELETE FROM participants WHERE account_id = %s AND conversation_id = %s"
ABSENCES: Final = "SELECT first, last FROM absences WHERE account_id = %s AND conversation_id = %s ORDER BY first"
DELETE_ABSENCES: Final = "DELETE FROM absences WHERE account_id = %s AND conversation_id = %s"
ADD_ABSENCES: Final = (
    "INSERT INTO absences (account_id, conversation_id, first, last) "
    "SELECT %s, %s, first, last FROM unnest(%s::bigint[], %s::bigint[]) AS a(first, last)"
)


def find_read_range(db: PgConnection, account: int, conversation: str) -> ReadRange | None:
    """Return what an account may read of a conversation, given by its key; None if nothing."""
    row = db.execute(READ_RANGE, (conversation, account)).fetchone()
    return ReadRange(row[0], row[1], [(first, last) for first, last in row[2]]) if row else None


def is_member(db: PgConnection, account: int | None, room: int) -> bool:
    """Return whether an account is a member of a room, given by its id."""
    return db.execute(IS_MEMBER, (account, room)).rowcount > 0


def join_room(db: PgConnection, room: str, account: int, time: float) -> bool | None:
    """Make an account, which is locked, a member of a room, given by its key, and lock that.

    Returns whether it was none before; None if there is no such room.
    """
    row = db.execute(LOCK_ROOM, (room,)).fetchone()
    if row is None:
        return None
    id, head, first, rules = row
    member = db.execute(FIND_MEMBER, (account, id)).fetchone()
    keeps_all = rules_from_json(rules).history == "all"
    if member is None:
        db.execute(ADD_MEMBER, (account, id, 1 if keeps_all else head + 1, time, head))
        return True
    visible, left_seq = member
    if left_seq is None:
        return False
    db.execute(READMIT, (time, head, account, id))
    if not keeps_all:
        _add_absence(db, account, id, first, max(left_seq + 1, visible), head)
    return True


def _add_absence(db: PgConnection, account: int, room: int, stored_from: int, first: int, last: int) -> None:
    known = [absence for absence in db.execute(ABSENCES, (account, room)).fetchall() if absence[1] >= stored_from]
    absences = add_absence(known, first, last)
    db.execute(DELETE_ABSENCES, (account, room))
    db.execute(ADD_ABSENCES, (account, room, [first for first, _ in absences], [last for _, last in absences]))


def leave_room(db: PgConnection, room: str, account: int) -> bool:
    """End an account's membership of a room, given by its key; what it could read is kept for its return.

    Nothing is kept while a node of an earlier release is alive, which takes all participants for members. Returns
    whether it was a member.
    """
    row = db.execute(LOCK_ROOM, (room,)).fetchone()
    if row is None:
        return False
    id, head, *_ = row
    try:
        require_upgraded(db)
    except Upgrading:
        db.execute(DELETE_ABSENCES, (account, id))
        return db.execute(FORGET_MEMBER, (account, id)).rowcount > 0
    return db.execute(LEAVE, (head, account, id)).rowcount > 0
