"""The SQLite store, put together: the contract fulfilled by one class for each of its parts."""

from __future__ import annotations

from gmessenger.store.accounts import Accounts
from gmessenger.store.copying import Copying
from gmessenger.store.listing import Listing
from gmessenger.store.messages import Messages
from gmessenger.store.rebuild import IndexRebuild
from gmessenger.store.rooms import Rooms
from gmessenger.store.sanctions import Sanctions


class SqliteStore(Accounts, Messages, Listing, Rooms, Sanctions, Copying, IndexRebuild):
    """Fulfils the contract. `path` None keeps everything in this process."""
