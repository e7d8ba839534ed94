"""The PostgreSQL store, put together: the contract fulfilled by one class for each of its parts."""

from __future__ import annotations

from gmessenger.store.postgres.accounts import AccountStore, SanctionStore
from gmessenger.store.postgres.changefeed import ChangeFeed
from gmessenger.store.postgres.leases import NameLeases
from gmessenger.store.postgres.messages import ConversationStore, MessageStore
from gmessenger.store.postgres.reindex import IndexRebuild
from gmessenger.store.postgres.rooms import RoomStore


class PostgresStore(
    AccountStore, MessageStore, ConversationStore, RoomStore, SanctionStore, NameLeases, ChangeFeed, IndexRebuild
):
    """Fulfils the contract, and that of a store which several nodes share."""
