"""The PostgreSQL store: all parts of the `SharedStore` contract in one class."""

from __future__ import annotations

from gmessenger.store.postgres.certificates import CertificateStore
from gmessenger.store.postgres.changefeed import ChangeFeed
from gmessenger.store.postgres.files import FileStore
from gmessenger.store.postgres.hooks import HookStore
from gmessenger.store.postgres.leases import NameLeases
from gmessenger.store.postgres.messages import MessageStore
from gmessenger.store.postgres.push import PushStore
from gmessenger.store.postgres.reindex import IndexRebuild
from gmessenger.store.postgres.room_access import RoomAccessStore
from gmessenger.store.postgres.rooms import RoomStore


class PostgresStore(
    HookStore,
    FileStore,
    PushStore,
    CertificateStore,
    MessageStore,
    RoomStore,
    RoomAccessStore,
    NameLeases,
    ChangeFeed,
    IndexRebuild,
):
    """A store in a PostgreSQL database that the nodes of a cluster share."""
