"""Rules of rooms and roles of their members, in PostgreSQL. The functions run in the caller's transaction.

Locks are taken in one order: the account that is given a role, so that it is not deleted meanwhile, then the room. An
account that is being deleted is locked, and does not become an owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from gmessenger.constants import LEASE_TTL
from gmessenger.errors import NoSuchRoom, NotFound, NotOwner, Upgrading
from gmessenger.room_roles import RoomRole, check_role_change, has_rank
from gmessenger.room_rules import OPEN_ROOM, RoomRules, rules_from_json, rules_to_json, with_changes
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.schema import FIRST_WITH_KEYS, FIRST_WITH_RULES

LOCK_ROOM: Final = "SELECT id, rules, passing FROM conversations WHERE key = %s FOR NO KEY UPDATE"
LOCK_PROFILE: Final = "SELECT id, profile FROM conversations WHERE key = %s FOR NO KEY UPDATE"
SET_PROFILE: Final = "UPDATE conversations SET profile = %s WHERE id = %s"
LOCK_ACCOUNT: Final = "SELECT FROM accounts WHERE id = %s FOR KEY SHARE"
SET_RULES: Final = "UPDATE conversations SET rules = %s WHERE id = %s"
ROLE: Final = "SELECT role FROM participants WHERE conversation_id = %s AND account_id = %s AND left_seq IS NULL"
ROLE_IN_ROOM: Final = (
    "SELECT p.role FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE c.key = %s AND p.account_id = %s AND p.left_seq IS NULL"
)
SET_ROLE: Final = "UPDATE participants SET role = %s WHERE conversation_id = %s AND account_id = %s"
COUNT_OWNERS: Final = (
    "SELECT count(*) FROM participants WHERE conversation_id = %s AND role = 'owner' AND left_seq IS NULL"
)
LOCK_OWNED: Final = (
    "SELECT c.id, c.key FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE p.account_id = %s AND p.role = 'owner' AND p.left_seq IS NULL AND c.key >= '#' AND c.key < '$' "
    "AND NOT c.passing ORDER BY c.key FOR NO KEY UPDATE OF c"
)
FIND_ELDEST: Final = (
    # (Of those who joined before that was stored, who sees more is the elder.)
    "SELECT p.account_id FROM participants p JOIN accounts a ON a.id = p.account_id "
    "WHERE p.conversation_id = %s AND p.left_seq IS NULL "
    "AND NOT EXISTS (SELECT FROM hooks h WHERE h.account_id = a.id) "
    "ORDER BY p.role = 'moderator' DESC, p.joined, p.visible, p.account_id LIMIT 1 FOR KEY SHARE OF a SKIP LOCKED"
)
HAS_OLDER_NODE: Final = (
    "SELECT EXISTS (SELECT FROM nodes WHERE schema < %s AND seen >= clock_timestamp() - %s * interval '1 second')"
)
REFUSE_OLDER_PROGRAMS: Final = "UPDATE facts SET value = %s WHERE name = 'works from' AND value::integer < %s"


def require_upgraded(db: PgConnection, first: int = FIRST_WITH_RULES) -> None:
    """Raise `Upgrading` while a node is alive that knows no schema from `first` on.

    From now on, no such program opens the store. It would list hidden rooms, let users in who are not invited or have
    not given the key, take a one-time password for any other, and make a hook the owner of a room.
    """
    row = db.execute(HAS_OLDER_NODE, (first, LEASE_TTL)).fetchone()
    if row is not None and row[0]:
        raise Upgrading
    db.execute(REFUSE_OLDER_PROGRAMS, (str(first), first))


def change_rules(db: PgConnection, room: str, changes: Mapping[str, Any], actor: int | None) -> RoomRules:
    """Set rules of a room. Raises as `Store.change_rules`."""
    id, stored, _ = _lock_room(db, room)
    if actor is not None and find_role(db, id, actor) != "owner":
        raise NotOwner
    rules = with_changes(rules_from_json(stored), changes)
    set_rules(db, id, rules)
    return rules


def set_rules(db: PgConnection, conversation: int, rules: RoomRules) -> None:
    """Store the rules of a room. Raises `Upgrading`."""
    if rules != OPEN_ROOM:
        require_upgraded(db, FIRST_WITH_KEYS if rules.key else FIRST_WITH_RULES)
    db.execute(SET_RULES, (rules_to_json(rules), conversation))


def change_profile(db: PgConnection, room: str, change: Callable[[str], str], actor: int | None) -> str:
    """Replace the profile of a room. Raises as `Store.change_room_profile`."""
    row = db.execute(LOCK_PROFILE, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    id, stored = row
    if actor is not None and not has_rank(find_role(db, id, actor) or "member", "moderator"):
        raise NotOwner
    db.execute(SET_PROFILE, (changed := change(stored), id))
    return changed


def change_role(db: PgConnection, room: str, account: int, role: RoomRole, actor: int | None) -> None:
    """Change the role of a member. Raises as `Store.change_role`."""
    is_account = db.execute(LOCK_ACCOUNT, (account,)).fetchone() is not None
    id, _, passing = _lock_room(db, room)
    before = find_role(db, id, account)
    if before is None or not is_account:
        raise NotFound("There is no member of that name in the room.")
    actor_role = None if actor is None else find_role(db, id, actor) or "member"
    owners = _count_owners(db, id)
    check_role_change(actor_role, before, role, is_own=actor == account, owner_count=owners, needs_owner=not passing)
    if role != "member":
        require_upgraded(db)
    db.execute(SET_ROLE, ("" if role == "member" else role, id, account))


def lock_if_owner(db: PgConnection, room: str, account: int) -> int | None:
    """Lock a room. Returns its id if it needs an owner and the account is one, who is about to leave."""
    row = db.execute(LOCK_ROOM, (room,)).fetchone()
    is_owner = row is not None and not row[2] and find_role(db, row[0], account) == "owner"
    return int(row[0]) if row is not None and is_owner else None


def replace_owner(db: PgConnection, conversation: int) -> int | None:
    """Make the eldest member the owner of a locked room that has none any more.

    Returns its id; None if there is an owner, or no member.
    """
    if _count_owners(db, conversation):
        return None
    row = db.execute(FIND_ELDEST, (conversation,)).fetchone()
    if row is None:
        return None
    db.execute(SET_ROLE, ("owner", conversation, row[0]))
    return int(row[0])


def lock_owned_rooms(db: PgConnection, account: int) -> list[tuple[int, str]]:
    """Lock the rooms that an account, which is locked itself, is an owner of. Returns their ids and keys."""
    return db.execute(LOCK_OWNED, (account,)).fetchall()


def find_role_in(db: PgConnection, room: str, account: int) -> RoomRole:
    """Return the role of an account in a room, given by its key; the lowest for who is not in it."""
    row = db.execute(ROLE_IN_ROOM, (room, account)).fetchone()
    return cast(RoomRole, row[0] or "member") if row is not None else "member"


def _lock_room(db: PgConnection, room: str) -> tuple[int, str, bool]:
    """Lock a room; return its id, its rules as stored, and whether it is a passing one."""
    row: tuple[int, str, bool] | None = db.execute(LOCK_ROOM, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    return row


def find_role(db: PgConnection, conversation: int, account: int) -> RoomRole | None:
    """Return the role of an account in a room; None if it is not in it."""
    row = db.execute(ROLE, (conversation, account)).fetchone()
    return cast(RoomRole, row[0] or "member") if row is not None else None


def _count_owners(db: PgConnection, conversation: int) -> int:
    row = db.execute(COUNT_OWNERS, (conversation,)).fetchone()
    return int(row[0]) if row is not None else 0
