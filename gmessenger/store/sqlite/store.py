"""The SQLite store, put together: the contract fulfilled by one class for each of its parts."""

from __future__ import annotations

from gmessenger.store.sqlite.accounts import AccountStore, SanctionStore
from gmessenger.store.sqlite.backup import BackupStore
from gmessenger.store.sqlite.messages import ConversationStore, MessageStore
from gmessenger.store.sqlite.reindex import IndexRebuild
from gmessenger.store.sqlite.rooms import RoomStore


class SqliteStore(AccountStore, MessageStore, ConversationStore, RoomStore, SanctionStore, BackupStore, IndexRebuild):
    """Fulfils the contract. `path` None keeps everything in this process."""
