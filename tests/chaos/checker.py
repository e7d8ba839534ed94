"""Record of a run: what was sent, answered and received; checks against clients and store."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from gevent.event import Event

COUNT_INDEXED: Final = (
    "SELECT count(*) FROM messages WHERE NOT erased AND rowid <= (SELECT value + 0 FROM facts WHERE name = 'indexed')"
)
GAPS_QUERY: Final = (
    "SELECT c.key, c.first, c.head, count(m.seq), min(m.seq), max(m.seq) FROM conversations c "
    "LEFT JOIN messages m ON m.conversation_id = c.id GROUP BY c.id "
    "HAVING c.head > 0 AND NOT (count(m.seq) = c.head - c.first + 1 AND min(m.seq) = c.first "
    "AND max(m.seq) = c.head)"
)
STORED_QUERY: Final = (
    "SELECT client_id, c.key, seq, sender, text FROM messages m "
    "JOIN conversations c ON c.id = m.conversation_id WHERE client_id IS NOT NULL"
)
MISINDEXED_QUERY: Final = (
    "SELECT coalesce(m.id, w.id) FROM (SELECT id FROM messages WHERE NOT erased) AS m "
    "FULL JOIN message_words w ON w.id = m.id WHERE m.id IS NULL OR w.id IS NULL"
)
ReceivedMessage = tuple[int, str, str]
"""seq, sender and text."""


@dataclass
class RunStats:
    """A row of the table of results."""

    fault: str
    sent: int = 0
    acknowledged: int = 0
    delivered: int = 0
    repeated: int = 0
    duplicates: int = 0
    lost: int = 0
    gaps: int = 0
    server_kills: int = 0
    client_kills: int = 0
    remarks: str = ""


@dataclass
class DeliveryLog:
    """Record shared by all clients of a run.

    Conversations have their store keys; clients are named by account, or account/device.
    """

    texts: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # id: sender, conversation, text
    seqs: dict[str, int] = field(default_factory=dict)  # id: the seq of its 200
    received: dict[tuple[str, str], list[ReceivedMessage]] = field(default_factory=lambda: defaultdict(list))
    recipients: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    amendments: dict[str, tuple[int, str]] = field(default_factory=dict)  # id: seq that it is about, edit or erase
    refused: set[str] = field(default_factory=set)  # ids of amendments of what was erased before
    repeated: int = 0  # came once more, as it may; the client dropped it by its seq
    rejected: int = 0  # answered 503
    replaced: int = 0  # by oneself
    next_rejection: Event = field(default_factory=Event)  # set by the next 503
    next_acceptance: Event = field(default_factory=Event)  # set by the next 200

    def record_rejection(self) -> None:
        self.rejected += 1
        self.next_rejection.set()

    def record_seq(self, id: str, seq: int) -> None:
        self.next_acceptance.set()
        assert self.seqs.setdefault(id, seq) == seq, f"{id} was answered {self.seqs[id]}, now {seq}"

    def stats(self, fault: str, **more: int | str) -> RunStats:
        """Count over the whole run."""
        expected_count = delivered = doubled = gaps = 0
        for conversation, names in self.recipients.items():
            rows_by_id = {
                id for id, (_, location, _) in self.texts.items() if location == conversation and id in self.seqs
            }
            seqs = {self.seqs[id] for id in rows_by_id}
            gaps += max(seqs, default=0) - len(seqs)
            for name in names:
                mine = {id for id in rows_by_id if self.texts[id][0] == name}
                received = [seq for seq, _, _ in self.received[name, conversation]]
                expected_count += len(rows_by_id - mine)
                doubled += len(received) - len(set(received))
                delivered += len({self.seqs[id] for id in rows_by_id - mine} & set(received))
        return RunStats(
            fault,
            len(self.texts),
            len(self.seqs),
            delivered,
            self.repeated,
            doubled,
            expected_count - delivered,
            gaps,
            **more,  # type: ignore[arg-type]
        )

    def verify_received(self) -> None:
        """Check that each client received every stored message once, in order, without gaps, and no other.

        A message that was edited or erased came with one of the texts that it had.
        """
        for conversation, names in self.recipients.items():
            sent = {
                self.seqs[id]: sender
                for id, (sender, location, _) in self.texts.items()
                if location == conversation and id in self.seqs
            }
            assert sorted(sent) == list(range(1, len(sent) + 1)), f"holes or doubles in {conversation}"
            versions = self._versions(conversation)
            for name in names:
                received = self.received[name, conversation]
                expected = [
                    (seq, _account(sender), text if text in versions[seq] else "|".join(versions[seq]))
                    for (seq, sender), text in zip(
                        [pair for pair in sorted(sent.items()) if pair[1] != name],
                        [text for _, _, text in received] + [""] * len(sent),
                        strict=False,
                    )
                ]
                assert received == expected, f"{name} in {conversation}: {_describe_difference(received, expected)}"

    def _versions(self, conversation: str) -> dict[int, list[str]]:
        """Return the texts that messages of a conversation had, by seq, in their order: the last is the present one."""
        ids = [id for id, (_, location, _) in self.texts.items() if location == conversation and id in self.seqs]
        versions: dict[int, list[str]] = {}
        for id in sorted(ids, key=lambda id: self.seqs[id]):
            seq, text = self.seqs[id], self.texts[id][2]
            about, what = self.amendments.get(id, (seq, ""))
            if what:
                versions[about].append(text if what == "edit" else "")
            versions[seq] = [""] if what == "erase" else versions[about] if what else [text]
        return versions

    def verify_order(self) -> None:
        """Check that the texts of each sender were stored in the order of sending."""
        last: dict[tuple[str, str], int] = {}
        for id, seq in sorted(self.seqs.items(), key=lambda pair: pair[1]):
            sender, conversation, text = self.texts[id]
            number = int(text.split()[0])
            assert number > last.get((sender, conversation), -1), f"{sender} in {conversation}: {number} at {seq}"
            last[sender, conversation] = number

    def verify_file(self, path: Path) -> None:
        """Check the SQLite file: sound, without gaps, and each id once with the seq that was answered."""
        with closing(sqlite3.connect(path)) as db, db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
            indexed = db.execute("SELECT count(*) FROM words_docsize").fetchone()[0]
            assert indexed == db.execute(COUNT_INDEXED).fetchone()[0], "what is indexed is what is stored up to there"
            self._verify_stored(db.execute(GAPS_QUERY).fetchall(), db.execute(STORED_QUERY).fetchall())

    def verify_database(self, url: str) -> None:
        """Check a PostgreSQL database in the same way."""
        with psycopg.connect(url) as db:
            assert db.execute(MISINDEXED_QUERY).fetchall() == [], "what is stored can be searched, and nothing else"
            self._verify_stored(db.execute(GAPS_QUERY).fetchall(), db.execute(STORED_QUERY).fetchall())

    def _verify_stored(self, gaps: Sequence[Any], stored: Sequence[Any]) -> None:
        assert list(gaps) == []
        assert len(stored) == len({row[0] for row in stored}), "stored twice"
        rows_by_id = {id: (sender, location, text, seq) for id, location, seq, sender, text in stored}
        versions = {conversation: self._versions(conversation) for conversation in self.recipients}
        for id, seq in self.seqs.items():
            sender_name, location, _ = self.texts[id]
            text = "" if id in self.amendments else versions[location][seq][-1]
            assert rows_by_id.get(id) == (_account(sender_name), location, text, seq), (
                f"{id} was answered {seq}; stored: {rows_by_id.get(id)}"
            )
        members = {_account(name) for name in set().union(*self.recipients.values())}
        assert {id for id, row in rows_by_id.items() if row[0] in members} <= self.texts.keys(), "stored and never sent"


def _account(client: str) -> str:
    return client.partition("/")[0]


def _describe_difference(received: list[ReceivedMessage], expected: list[ReceivedMessage]) -> str:
    for index, (one, other) in enumerate(zip(received, expected, strict=False)):
        if one != other:
            return f"{one} instead of {other} at {index} of {len(expected)}"
    return f"{len(received)} instead of {len(expected)}"
