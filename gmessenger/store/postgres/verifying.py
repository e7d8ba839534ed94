"""Is everything still there? Reads a database without changing it, at one moment, while nodes go on."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import Connection

from gmessenger.errors import FileProblem
from gmessenger.store.common import MAX_FAULTS, SEQ_GAPS, VerifyReport, describe_gaps, describe_miscounted
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.address import Address, said

PATIENCE: Final = 10.0
ONE_MOMENT: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL statement_timeout = 0",  # it is long, and disturbs nobody
)
COUNTS: Final = {
    "accounts": "SELECT count(*) FROM accounts",
    "devices": "SELECT count(*) FROM devices",
    "rooms": "SELECT count(*) FROM conversations WHERE key >= '#' AND key < '$'",
    "conversations": "SELECT count(*) FROM conversations",
    "messages": "SELECT count(*) FROM messages",
    "erased": "SELECT count(*) FROM messages WHERE erased",
    "indexed": "SELECT count(words) FROM messages",
}
STRAYS: Final = {
    "messages belong to no conversation": (
        "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = m.conversation_id)"
    ),
    "members belong to no conversation": (
        "SELECT count(*) FROM participants p "
        "WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = p.conversation_id)"
    ),
    "members are not accounts": (
        "SELECT count(*) FROM participants p WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = p.account_id)"
    ),
    "read positions are beyond the last message": (
        "SELECT count(*) FROM cursors u JOIN conversations c ON c.id = u.conversation_id WHERE u.seq > c.head"
    ),
    "devices belong to no account": (
        "SELECT count(*) FROM devices d WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = d.account_id)"
    ),
}

MISCOUNTED: Final = (
    "SELECT count(*) FROM (SELECT account FROM ("
    "SELECT account_id AS account, bytes FROM usage UNION ALL "
    "SELECT coalesce(account_id, 0), -octet_length(text) FROM messages"
    ") AS counted GROUP BY account HAVING sum(bytes) <> 0) AS miscounted"
)
HAS_USAGE: Final = "SELECT (to_regclass('usage') IS NOT NULL)::int"


def verify_database(url: str) -> VerifyReport:
    """Look through a database. Raises `FileProblem` for one that is no store or not there, and `ConfigProblem` for a
    newer schema or where it does not let us in.
    """
    address = Address(url, PATIENCE)
    found = VerifyReport()
    with address.first() as db:
        need_store(db, address)
        try:
            for statement in ONE_MOMENT:
                db.execute(statement)
            look(db, found)
        except psycopg.Error as error:
            found.faults.append(f"it cannot be read: {said(error)}.")
    return found


def look(db: Connection[Any], found: VerifyReport) -> None:
    """Look through what a transaction sees."""
    found.counts = {what: _number(db, query) for what, query in COUNTS.items()}
    found.faults += describe_gaps(db.execute(SEQ_GAPS).fetchmany(MAX_FAULTS), found.counts)
    strays = {what: _number(db, query) for what, query in STRAYS.items()}
    found.faults += [f"{count} {what}." for what, count in strays.items() if count]
    found.faults += describe_miscounted(_number(db, MISCOUNTED) if _number(db, HAS_USAGE) else 0)


def need_store(db: Connection[Any], address: Address) -> None:
    """Raises `FileProblem` where a database has no store, `ConfigProblem` where that is too new."""
    try:
        facts = schema.kept(db)
    except psycopg.Error as error:
        raise address.problem(error) from None
    if not facts:
        raise FileProblem(f"{address.shown} has no gmessenger store.")
    schema.need_known(facts, address.shown)


def _number(db: Connection[Any], query: Any) -> int:
    row = db.execute(query).fetchone()
    return int(row[0]) if row else 0
