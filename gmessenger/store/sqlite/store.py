"""The SQLite store: all parts of the `Store` contract in one class."""

from __future__ import annotations

from gmessenger.store.sqlite.backup import BackupStore
from gmessenger.store.sqlite.certificates import CertificateStore
from gmessenger.store.sqlite.files import FileStore
from gmessenger.store.sqlite.hooks import HookStore
from gmessenger.store.sqlite.messages import MessageStore
from gmessenger.store.sqlite.push import PushStore
from gmessenger.store.sqlite.reindex import IndexRebuild
from gmessenger.store.sqlite.room_access import RoomAccessStore
from gmessenger.store.sqlite.rooms import RoomStore


class SqliteStore(
    HookStore,
    FileStore,
    PushStore,
    CertificateStore,
    MessageStore,
    RoomStore,
    RoomAccessStore,
    BackupStore,
    IndexRebuild,
):
    """A store in one SQLite file, or, with `path` None, in the memory of this process."""
