"""The SQLite store: WAL, every commit synced; one writer, readers in threads; in memory the same without a file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import gevent
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from gmessenger.chat.contract import Account, Device, Done, Page, Post, Remembered, Room
from gmessenger.errors import ConfigProblem, FileProblem, InviteRefused, NameTaken, StoreUnavailable, WireError
from gmessenger.store import schema, statements
from gmessenger.store.commits import Commits
from gmessenger.store.folding import fold, query
from gmessenger.store.posts import INDEX_THEM, Posts

Result = TypeVar("Result")
READERS: Final = 2
MOST_DEVICES: Final = 20
BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for another process that writes (gmessenger-admin), inside the transaction's begin."""
CHECKPOINT_AFTER: Final = 4 * 2**20
MOVE_CURSOR: Final = (
    "INSERT INTO cursors (device_id, conversation_id, seq) SELECT ?, id, min(?, head) FROM conversations WHERE key = ? "
    "ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)"
)
SEARCH: Final = (
    'SELECT c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased FROM words w '
    "JOIN messages m ON m.rowid = w.rowid JOIN conversations c ON c.id = m.conversation_id "
    "JOIN participants p ON p.conversation_id = c.id AND p.account_id = :account AND m.seq >= p.visible "
    "WHERE words MATCH :words AND (:conversation IS NULL OR c.key = :conversation) AND NOT m.erased "
    "ORDER BY w.rowid DESC LIMIT :limit"
)
DROP_WORDS: Final = "INSERT INTO words (words, rowid, folded) VALUES ('delete', ?, ?)"


class SqliteStore:
    """Fulfils the contract. `path` None keeps everything in this process."""

    def __init__(self, path: Path | None, failed: Callable[[str, BaseException], None] | None = None) -> None:
        self.lasting = path is not None
        self._path = path
        self._failed = failed
        self._posts = Posts()
        self._cursors: dict[tuple[int, str], int] = {}
        if path is not None:
            _make_file(path)
        try:
            self._commits = Commits(self._open_writer, self._begun, self._settled, threaded=path is not None)
        except sqlite3.Error as error:
            raise FileProblem(f"Cannot open the store {path}: {error}.") from error
        self._threads = ThreadPool(READERS) if path is not None else None
        self._places = BoundedSemaphore(READERS)
        self._readers: list[sqlite3.Connection] = []
        self._checkpointing = False

    def close(self) -> None:
        self._commits.close()
        if self._threads is not None:
            self._threads.kill()
        for reader in self._readers:
            reader.close()
        if self._path is not None:
            db = sqlite3.connect(self._path)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()

    def append(self, post: Post, done: Done) -> None:
        self._posts.add(post, done)
        self._commits.wake()

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        key = (device, conversation)
        self._cursors[key] = max(seq, self._cursors.get(key, 0))
        self._commits.wake()

    def accounts(self) -> Sequence[Account]:
        rows = self._read(lambda db: statements.ALL_ACCOUNTS(db).fetchall())
        return [Account(id, key, name, bool(disabled), role) for id, key, name, disabled, role in rows]

    def create_account(self, key: str, name: str, password: str, time: float, invite: str | None = None) -> Account:
        def create(db: sqlite3.Connection) -> Account:
            if db.execute("SELECT 1 FROM accounts WHERE key = ?", (key,)).fetchone():
                raise NameTaken
            if invite is not None and not statements.USE_INVITE(db, hash=_hash(invite)).rowcount:
                raise InviteRefused
            added = statements.ADD_ACCOUNT(db, key=key, name=name, password=password, created=time)
            account = int(added.lastrowid or 0)
            for conversation, head in _direct_with(db, key):
                db.execute("INSERT INTO participants VALUES (?,?,?,0)", (account, conversation, head + 1))
            self._posts.forget()
            return Account(account, key, name)

        return self._commits.change(create)

    def password(self, account: int) -> str:
        row = self._read(lambda db: statements.PASSWORD(db, id=account).fetchone())
        return str(row[0]) if row else ""

    def set_password(self, account: int, password: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            statements.SET_PASSWORD(db, hash=password, account=account)
            statements.DROP_TOKENS(db, account=account)

        self._commits.change(change)

    def disable(self, account: int, disabled: bool) -> None:
        self._commits.change(lambda db: statements.DISABLE(db, off=disabled, account=account))

    def delete_account(self, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
            for statement in (
                statements.DROP_CURSORS,
                statements.DROP_TOKENS,
                statements.DROP_DEVICES,
                statements.DROP_PARTICIPANT,
                statements.DROP_ACCOUNT,
            ):
                statement(db, account=account)
            self._posts.forget()

        self._commits.change(change)

    def add_invite(self, invite: str, time: float) -> None:
        self._commits.change(lambda db: statements.ADD_INVITE(db, hash=_hash(invite), created=time))

    def add_token(self, token: str, account: int, device: int, time: float) -> None:
        def change(db: sqlite3.Connection) -> None:
            # One line per device: an older token of the same device has been replaced with its session.
            statements.DROP_TOKENS_OF_DEVICE(db, device=device)
            statements.ADD_TOKEN(db, hash=_hash(token), account_id=account, device_id=device, created=time)

        self._commits.change(change)

    def token(self, token: str) -> tuple[int, str] | None:
        row = self._read(lambda db: statements.TOKEN(db, hash=_hash(token)).fetchone())
        return (int(row[0]), str(row[1])) if row else None

    def device(self, account: int, name: str, time: float) -> Device:
        def find(db: sqlite3.Connection) -> Device:
            self._move_cursors(db)
            row = statements.DEVICE(db, account=account, name=name).fetchone()
            device = row[0] if row else _new_device(db, account, name, time)
            statements.USE_DEVICE(db, now=time, device=device)
            for (unused,) in statements.DEVICES_BY_USE(db, account=account).fetchall()[MOST_DEVICES:]:
                for statement in (
                    statements.DROP_DEVICE,
                    statements.DROP_CURSORS_OF_DEVICE,
                    statements.DROP_TOKENS_OF_DEVICE,
                ):
                    statement(db, device=unused)
            return Device(device, name, dict(statements.CURSORS(db, account=account, device=device).fetchall()))

        return self._commits.change(find)

    def mark_read(self, account: int, conversation: str, seq: int) -> None:
        self._commits.change(lambda db: statements.READ(db, account=account, conversation=conversation, seq=seq))

    def backlog(self, account: int) -> dict[str, int]:
        return self._read(lambda db: dict(statements.HEADS(db, account=account).fetchall()))

    def page(self, conversation: str, after: int, limit: int) -> list[Remembered]:
        return self._read(lambda db: _shown(statements.AFTER(db, conversation=conversation, after=after, limit=limit)))

    def visible_from(self, account: int, conversation: str) -> int | None:
        row = self._read(lambda db: statements.VISIBLE(db, account=account, conversation=conversation).fetchone())
        return int(row[0]) if row else None

    def history(self, conversation: str, visible: int, before: int | None, after: int | None, limit: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            row = statements.CONVERSATION(db, key=conversation).fetchone()
            first = max(visible, row[2] if row else 1)
            if after is not None:
                start = max(after, first - 1)
                found = _shown(statements.AFTER(db, conversation=conversation, after=start, limit=limit + 1))
                return Page(found[:limit], first, len(found) > limit)
            end = before if before is not None else 2**62
            found = _shown(
                statements.BEFORE(db, conversation=conversation, before=end, visible=visible, limit=limit + 1)
            )
            return Page(found[:limit][::-1], first, len(found) > limit)

        return self._read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int) -> list[Remembered]:
        if not (words := query(text)):
            return []
        parameters = {"account": account, "words": words, "conversation": conversation, "limit": limit}
        return self._read(lambda db: _shown(db.execute(SEARCH, parameters)))

    def rooms(self) -> Sequence[Room]:
        def find(db: sqlite3.Connection) -> list[Room]:
            return [
                Room(key, name, topic, creator, head, first, dict(statements.PARTICIPANTS(db, conversation=id)))
                for id, key, name, topic, creator, head, first in statements.ROOMS(db).fetchall()
            ]

        return self._read(find)

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> Room:
        self._commits.change(lambda db: self._posts.known(db, key, name, creator))
        return Room(key, name, "", creator, 0, 1, {})

    def join(self, room: str, account: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            known = self._posts.known(db, room)
            db.execute("INSERT OR IGNORE INTO participants VALUES (?,?,?,0)", (account, known.id, known.head + 1))
            known.participants.add(account)
            return known.head

        return self._commits.change(change)

    def leave(self, room: str, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
            known = self._posts.known(db, room)
            statements.LEAVE(db, conversation=known.id, account=account)
            known.participants.discard(account)

        self._commits.change(change)

    def set_topic(self, room: str, topic: str) -> None:
        self._commits.change(lambda db: statements.SET_TOPIC(db, new=topic, room=room))

    def delete_room(self, room: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            known = self._posts.known(db, room)
            _drop_messages(db, "conversation_id = ?", known.id)
            for statement in (
                statements.DROP_PARTICIPANTS,
                statements.DROP_CURSORS_IN,
                statements.DROP_CONVERSATION,
            ):
                statement(db, conversation=known.id)
            self._posts.forget()

        self._commits.change(change)

    def forget(self, account: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            rows = db.execute(
                "SELECT m.rowid, m.text FROM messages m JOIN devices d ON d.id = m.device_id "
                "WHERE d.account_id = ? AND NOT m.erased",
                (account,),
            ).fetchall()
            _unindex(db, rows)
            db.executemany("UPDATE messages SET text = '', erased = 1 WHERE rowid = ?", [(row[0],) for row in rows])
            return len(rows)

        return self._commits.change(change)

    def prune(self, before: float) -> int:
        def change(db: sqlite3.Connection) -> int:
            # A conversation keeps an unbroken end: nothing goes whose successor stays for being older.
            dropped = _drop_messages(
                db,
                "seq < (SELECT coalesce(min(k.seq), c.head + 1) FROM conversations c LEFT JOIN messages k "
                "ON k.conversation_id = c.id AND k.time >= ? WHERE c.id = messages.conversation_id)",
                before,
            )
            db.execute(
                "UPDATE conversations SET first = coalesce("
                "(SELECT min(seq) FROM messages WHERE conversation_id = conversations.id), head + 1)"
            )
            return dropped

        return self._commits.change(change)

    def _begun(self, db: sqlite3.Connection) -> Callable[[], None]:
        self._move_cursors(db)
        if not self._posts.insert(db):
            return lambda: None

        def index() -> None:
            for statement in INDEX_THEM:
                db.execute(statement)

        return index

    def _move_cursors(self, db: sqlite3.Connection) -> None:
        moved, self._cursors = self._cursors, {}
        db.executemany(MOVE_CURSOR, [(device, seq, key) for (device, key), seq in moved.items()])

    def _settled(self, refusal: WireError | None) -> None:
        for outcome in self._posts.settle(refusal):
            try:
                outcome.done(outcome.seq, outcome.duplicate, outcome.error)
            except Exception as failure:  # the next one's message is on disk too, and must be delivered
                if self._failed is not None:
                    self._failed("delivery", failure)
        self._checkpoint()

    def _checkpoint(self) -> None:
        """Move what the log has gathered into the database, in a thread, without holding up anybody."""
        if self._path is None or self._checkpointing:
            return
        try:
            if Path(f"{self._path}-wal").stat().st_size < CHECKPOINT_AFTER:
                return
        except OSError:
            return
        self._checkpointing = True
        gevent.spawn(self._checkpoint_now)

    def _checkpoint_now(self) -> None:
        try:
            self._read(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        except StoreUnavailable:
            pass  # the disk is full or gone: the next batch will say so
        finally:
            self._checkpointing = False

    def _read(self, find: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a query in a thread, on a connection of its own."""
        if self._threads is None:
            return self._commits.change(find)
        with self._places:
            reader = self._readers.pop() if self._readers else None
            try:
                reader = reader or self._open()
                found: Result = self._threads.apply(find, (reader,))
            except sqlite3.Error as error:
                if reader is not None:
                    reader.close()
                raise StoreUnavailable(f"The server cannot read what it stored: {error}.") from error
            self._readers.append(reader)
            return found

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path or ":memory:", timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        return db

    def _open_writer(self) -> sqlite3.Connection:
        db = self._open()
        _migrate(db, self._path)
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("CREATE TEMP TABLE fresh (id INTEGER PRIMARY KEY, folded TEXT)")
        return db


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise FileProblem(f"Cannot open the store {path}: {error.strerror}.") from error


def _migrate(db: sqlite3.Connection, path: Path | None) -> None:
    """Take the schema to this program's version. Raises `ConfigProblem` where it is newer."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise ConfigProblem(
            f"The store {path} has schema {version}, made by a later release; this one knows schema {schema.VERSION}."
        )
    for number, steps in enumerate(schema.MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        for step in steps:
            db.execute(step)
        db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")


def _hash(secret: str) -> bytes:
    """Random secrets need no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


def _new_device(db: sqlite3.Connection, account: int, name: str, time: float) -> int:
    device = int(statements.ADD_DEVICE(db, account=account, name=name, used=time).lastrowid or 0)
    furthest = statements.FURTHEST(db, account=account).fetchall()
    db.executemany(
        "INSERT INTO cursors VALUES (?,?,?)", [(device, conversation, seq) for conversation, seq in furthest]
    )
    return device


def _direct_with(db: sqlite3.Connection, key: str) -> list[Any]:
    escaped = key.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return statements.DIRECT_WITH(db, first=f"{escaped} %", second=f"% {escaped}").fetchall()


def _shown(rows: sqlite3.Cursor) -> list[Remembered]:
    return [
        Remembered(key, seq, sender, to, text, time, device, id, bool(erased))
        for key, seq, sender, to, text, time, device, id, erased in rows.fetchall()
    ]


def _drop_messages(db: sqlite3.Connection, condition: str, parameter: float) -> int:
    rows = db.execute(f"SELECT rowid, text FROM messages WHERE {condition}", (parameter,)).fetchall()  # noqa: S608
    _unindex(db, rows)
    db.executemany("DELETE FROM messages WHERE rowid = ?", [(row[0],) for row in rows])
    return len(rows)


def _unindex(db: sqlite3.Connection, rows: list[tuple[int, str]]) -> None:
    db.executemany(DROP_WORDS, [(row, fold(text)) for row, text in rows if text])
