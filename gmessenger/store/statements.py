"""The ordinary statements, written with SQLAlchemy Core and compiled once: what runs is their text.

Compiled here, on the thread that imports, because SQLAlchemy's own locks belong to the loop and must not be taken in
the threads that read.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy import Executable, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite

from gmessenger.store.schema import (
    accounts,
    blocks,
    conversations,
    cursors,
    devices,
    invites,
    messages,
    participants,
    sanctions,
    tokens,
)

DIALECT: Final = sqlite.dialect(paramstyle="named")


NOT_SET_ASIDE: Final = conversations.c.key.not_like("!%")
"""A room that was deleted may have rows for a while."""


class Statement:
    """A compiled statement; call it with a connection and its parameters by name."""

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=DIALECT)  # type: ignore[attr-defined]
        self.text = str(compiled)
        self.constants = {name: value for name, value in compiled.params.items() if value is not None}

    def __call__(self, db: sqlite3.Connection, **parameters: Any) -> sqlite3.Cursor:
        return db.execute(self.text, self.constants | parameters)


def _by(column: Any, name: str | None = None) -> Any:
    return column == bindparam(name or column.name)


ALL_ACCOUNTS: Final = Statement(
    select(accounts.c.id, accounts.c.key, accounts.c.name, accounts.c.disabled, accounts.c.role)
)
ADD_ACCOUNT: Final = Statement(
    insert(accounts).values({name: bindparam(name) for name in ("key", "name", "password", "created")})
)
PASSWORD: Final = Statement(select(accounts.c.password).where(_by(accounts.c.id)))
SET_PASSWORD: Final = Statement(
    update(accounts).values(password=bindparam("hash")).where(accounts.c.id == bindparam("account"))
)
DISABLE: Final = Statement(
    update(accounts).values(disabled=bindparam("off")).where(accounts.c.id == bindparam("account"))
)
SET_ROLE: Final = Statement(update(accounts).values(role=bindparam("new")).where(accounts.c.id == bindparam("account")))
DROP_ACCOUNT: Final = Statement(delete(accounts).where(_by(accounts.c.id, "account")))
DROP_DEVICES: Final = Statement(delete(devices).where(_by(devices.c.account_id, "account")))
DROP_TOKENS: Final = Statement(delete(tokens).where(_by(tokens.c.account_id, "account")))
DROP_PARTICIPANT: Final = Statement(delete(participants).where(_by(participants.c.account_id, "account")))
DROP_CURSORS: Final = Statement(
    delete(cursors).where(cursors.c.device_id.in_(select(devices.c.id).where(_by(devices.c.account_id, "account"))))
)

ADD_INVITE: Final = Statement(insert(invites).values(hash=bindparam("hash"), created=bindparam("created")))
USE_INVITE: Final = Statement(delete(invites).where(_by(invites.c.hash)))

ADD_TOKEN: Final = Statement(
    insert(tokens).values({name: bindparam(name) for name in ("hash", "account_id", "device_id", "created")})
)
DROP_TOKENS_OF_DEVICE: Final = Statement(delete(tokens).where(_by(tokens.c.device_id, "device")))
TOKEN: Final = Statement(
    select(tokens.c.account_id, devices.c.name)
    .join(devices, devices.c.id == tokens.c.device_id)
    .where(_by(tokens.c.hash))
)

DEVICE: Final = Statement(select(devices.c.id).where(_by(devices.c.account_id, "account"), _by(devices.c.name)))
ADD_DEVICE: Final = Statement(
    insert(devices).values(account_id=bindparam("account"), name=bindparam("name"), used=bindparam("used"))
)
USE_DEVICE: Final = Statement(update(devices).values(used=bindparam("now")).where(devices.c.id == bindparam("device")))
DEVICES_BY_USE: Final = Statement(
    select(devices.c.id)
    .where(_by(devices.c.account_id, "account"))
    .order_by(devices.c.used.desc(), devices.c.id.desc())
)
DROP_DEVICE: Final = Statement(delete(devices).where(_by(devices.c.id, "device")))
DROP_CURSORS_OF_DEVICE: Final = Statement(delete(cursors).where(_by(cursors.c.device_id, "device")))
CURSORS: Final = Statement(
    select(conversations.c.key, func.max(func.coalesce(cursors.c.seq, 0), participants.c.visible - 1))
    .select_from(participants)
    .join(conversations, conversations.c.id == participants.c.conversation_id)
    .outerjoin(
        cursors, (cursors.c.conversation_id == participants.c.conversation_id) & _by(cursors.c.device_id, "device")
    )
    .where(_by(participants.c.account_id, "account"), NOT_SET_ASIDE)
)
FURTHEST: Final = Statement(
    select(cursors.c.conversation_id, func.max(cursors.c.seq))
    .join(devices, devices.c.id == cursors.c.device_id)
    .where(_by(devices.c.account_id, "account"))
    .group_by(cursors.c.conversation_id)
)

CONVERSATION: Final = Statement(
    select(conversations.c.id, conversations.c.head, conversations.c.first).where(_by(conversations.c.key))
)
ADD_CONVERSATION: Final = Statement(
    insert(conversations).values({name: bindparam(name) for name in ("key", "name", "creator")})
)
PARTICIPANTS: Final = Statement(
    select(participants.c.account_id, participants.c.visible).where(_by(participants.c.conversation_id, "conversation"))
)
LEAVE: Final = Statement(
    delete(participants).where(
        _by(participants.c.conversation_id, "conversation"), _by(participants.c.account_id, "account")
    )
)
VISIBLE: Final = Statement(
    select(participants.c.visible)
    .join(conversations, conversations.c.id == participants.c.conversation_id)
    .where(_by(conversations.c.key, "conversation"), _by(participants.c.account_id, "account"))
)
HEADS: Final = Statement(
    select(conversations.c.key, conversations.c.head)
    .join(participants, participants.c.conversation_id == conversations.c.id)
    .where(_by(participants.c.account_id, "account"), NOT_SET_ASIDE)
)
READ: Final = Statement(
    update(participants)
    .values(read=func.max(participants.c.read, func.min(bindparam("seq"), conversations.c.head)))
    .where(
        _by(participants.c.account_id, "account"),
        participants.c.conversation_id == conversations.c.id,
        _by(conversations.c.key, "conversation"),
    )
    .returning(participants.c.read)
)
ROOM: Final = Statement(select(conversations).where(_by(conversations.c.key)))
ROOMS: Final = Statement(select(conversations).where(conversations.c.key.like("#%")))
SET_TOPIC: Final = Statement(
    update(conversations).values(topic=bindparam("new")).where(conversations.c.key == bindparam("room"))
)
DROP_CONVERSATION: Final = Statement(delete(conversations).where(_by(conversations.c.id, "conversation")))
DROP_PARTICIPANTS: Final = Statement(delete(participants).where(_by(participants.c.conversation_id, "conversation")))
DROP_CURSORS_IN: Final = Statement(delete(cursors).where(_by(cursors.c.conversation_id, "conversation")))

SANCTIONS: Final = Statement(select(sanctions))
IMPOSE: Final = Statement(
    insert(sanctions)
    .prefix_with("OR REPLACE")
    .values({name: bindparam(name) for name in ("kind", "target", "by", "reason", "since", "until")})
)
LIFT: Final = Statement(delete(sanctions).where(_by(sanctions.c.kind), _by(sanctions.c.target)))
BLOCKS: Final = Statement(select(blocks))
BLOCK: Final = Statement(
    insert(blocks)
    .prefix_with("OR REPLACE")
    .values(account_id=bindparam("account"), key=bindparam("key"), name=bindparam("name"))
)
UNBLOCK: Final = Statement(delete(blocks).where(_by(blocks.c.account_id, "account"), _by(blocks.c.key)))
DROP_BLOCKS: Final = Statement(delete(blocks).where(_by(blocks.c.account_id, "account")))

_SHOWN: Final = (
    conversations.c.key,
    messages.c.seq,
    messages.c.sender,
    messages.c.to,
    messages.c.text,
    messages.c.time,
    messages.c.device_id,
    messages.c.client_id,
    messages.c.erased,
)
_IN: Final = (
    select(*_SHOWN)
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(_by(conversations.c.key, "conversation"))
)
AFTER: Final = Statement(
    _IN.where(messages.c.seq > bindparam("after")).order_by(messages.c.seq).limit(bindparam("limit"))
)
SENT: Final = Statement(
    select(
        messages.c.sender,
        messages.c.to,
        messages.c.time,
        func.length(messages.c.text),
        messages.c.erased,
        messages.c.device_id,
        devices.c.name,
        messages.c.client_id,
    )
    .outerjoin(devices, devices.c.id == messages.c.device_id)
    .where(_by(messages.c.conversation_id, "conversation"), _by(messages.c.seq))
)
SENT_AS: Final = Statement(
    select(conversations.c.key, messages.c.seq)
    .join(devices, devices.c.id == messages.c.device_id)
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(_by(devices.c.account_id, "account"), messages.c.client_id == bindparam("sent_as"), NOT_SET_ASIDE)
    .order_by(messages.c.rowid.desc())
    .limit(bindparam("limit"))
)
READERS: Final = Statement(
    select(
        participants.c.account_id,
        participants.c.visible,
        participants.c.read,
        devices.c.id,
        devices.c.name,
        func.max(func.coalesce(cursors.c.seq, 0), participants.c.visible - 1),
    )
    .outerjoin(devices, devices.c.account_id == participants.c.account_id)
    .outerjoin(
        cursors,
        (cursors.c.device_id == devices.c.id) & (cursors.c.conversation_id == participants.c.conversation_id),
    )
    .where(_by(participants.c.conversation_id, "conversation"))
    .order_by(participants.c.account_id, devices.c.name)
)
BEFORE: Final = Statement(
    _IN.where(messages.c.seq < bindparam("before"), messages.c.seq >= bindparam("visible"))
    .order_by(messages.c.seq.desc())
    .limit(bindparam("limit"))
)
