"""Rules of rooms and roles of their members, in SQLite. The functions run in the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from gmessenger.errors import NoSuchRoom, NotFound, NotOwner
from gmessenger.room_roles import RoomRole, check_role_change, has_rank
from gmessenger.room_rules import RoomRules, rules_from_json, rules_to_json, with_changes

RULES: Final = "SELECT id, rules, passing FROM conversations WHERE key = ?"
PROFILE: Final = "SELECT id, profile FROM conversations WHERE key = ?"
SET_PROFILE: Final = "UPDATE conversations SET profile = ? WHERE id = ?"
SET_RULES: Final = "UPDATE conversations SET rules = ? WHERE id = ?"
ROLE: Final = "SELECT role FROM participants WHERE conversation_id = ? AND account_id = ? AND left_seq IS NULL"
SET_ROLE: Final = "UPDATE participants SET role = ? WHERE conversation_id = ? AND account_id = ?"
COUNT_OWNERS: Final = (
    "SELECT count(*) FROM participants WHERE conversation_id = ? AND role = 'owner' AND left_seq IS NULL"
)
OWNED: Final = (
    "SELECT c.id, c.key FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE p.account_id = ? AND p.role = 'owner' AND p.left_seq IS NULL AND c.key LIKE '#%' "
    "AND NOT c.passing"
)
FIND_ELDEST: Final = (
    # (Of those who joined before that was stored, who sees more is the elder.)
    "SELECT account_id FROM participants WHERE conversation_id = ? AND left_seq IS NULL "
    "AND account_id NOT IN (SELECT account_id FROM hooks) "
    "ORDER BY role = 'moderator' DESC, joined, visible, account_id LIMIT 1"
)


def change_rules(db: sqlite3.Connection, room: str, changes: Mapping[str, Any], actor: int | None) -> RoomRules:
    """Set rules of a room. Raises as `Store.change_rules`."""
    row = db.execute(RULES, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    id, stored, _ = row
    if actor is not None and find_role(db, id, actor) != "owner":
        raise NotOwner
    rules = with_changes(rules_from_json(stored), changes)
    set_rules(db, id, rules)
    return rules


def set_rules(db: sqlite3.Connection, conversation: int, rules: RoomRules) -> None:
    """Store the rules of a room."""
    db.execute(SET_RULES, (rules_to_json(rules), conversation))


def change_profile(db: sqlite3.Connection, room: str, change: Callable[[str], str], actor: int | None) -> str:
    """Replace the profile of a room. Raises as `Store.change_room_profile`."""
    row = db.execute(PROFILE, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    id, stored = row
    if actor is not None and not has_rank(find_role(db, id, actor) or "member", "moderator"):
        raise NotOwner
    db.execute(SET_PROFILE, (changed := change(stored), id))
    return changed


def change_role(db: sqlite3.Connection, room: str, account: int, role: RoomRole, actor: int | None) -> None:
    """Change the role of a member. Raises as `Store.change_role`."""
    row = db.execute(RULES, (room,)).fetchone()
    if row is None:
        raise NoSuchRoom
    id, _, passing = row
    before = find_role(db, id, account)
    if before is None:
        raise NotFound("There is no member of that name in the room.")
    actor_role = None if actor is None else find_role(db, id, actor) or "member"
    (owners,) = db.execute(COUNT_OWNERS, (id,)).fetchone()
    check_role_change(actor_role, before, role, is_own=actor == account, owner_count=owners, needs_owner=not passing)
    db.execute(SET_ROLE, ("" if role == "member" else role, id, account))


def find_role(db: sqlite3.Connection, conversation: int, account: int) -> RoomRole | None:
    """Return the role of an account in a room; None if it is not in it."""
    row = db.execute(ROLE, (conversation, account)).fetchone()
    return cast(RoomRole, row[0] or "member") if row is not None else None


def find_owned(db: sqlite3.Connection, room: str, account: int) -> int | None:
    """Return the id of a room that needs an owner if the account is one, who is about to leave."""
    row = db.execute(RULES, (room,)).fetchone()
    is_owner = row is not None and not row[2] and find_role(db, row[0], account) == "owner"
    return int(row[0]) if is_owner else None


def replace_owner(db: sqlite3.Connection, conversation: int) -> int | None:
    """Make the eldest member the owner of a room that has none any more.

    Returns its id; None if there is an owner, or no member.
    """
    if db.execute(COUNT_OWNERS, (conversation,)).fetchone()[0]:
        return None
    row = db.execute(FIND_ELDEST, (conversation,)).fetchone()
    if row is None:
        return None
    db.execute(SET_ROLE, ("owner", conversation, row[0]))
    return int(row[0])


def replace_owners(db: sqlite3.Connection, owned: list[tuple[int, str]]) -> dict[str, int]:
    """Replace the owner of each of these rooms, given by id and key, where it has none. Returns the owners by key."""
    replaced = {key: replace_owner(db, id) for id, key in owned}
    return {key: owner for key, owner in replaced.items() if owner is not None}
