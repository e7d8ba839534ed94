"""The PostgreSQL store, put together: the contract fulfilled by one class for each of its parts."""

from __future__ import annotations

from gmessenger.store.postgres.accounts import Accounts
from gmessenger.store.postgres.following import Following
from gmessenger.store.postgres.guests import Guests
from gmessenger.store.postgres.listing import Listing
from gmessenger.store.postgres.messages import Messages
from gmessenger.store.postgres.rebuild import IndexRebuild
from gmessenger.store.postgres.rooms import Rooms
from gmessenger.store.postgres.sanctions import Sanctions


class PostgresStore(Accounts, Messages, Listing, Rooms, Sanctions, Guests, Following, IndexRebuild):
    """Fulfils the contract, and that of a store which several nodes share."""
