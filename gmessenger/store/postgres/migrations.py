"""Later steps of the schema. A released one MUST NOT change."""

from __future__ import annotations

from typing import Final

ADD_PUSH_SUBSCRIPTIONS: Final = """
-- Where, and with which keys, push messages for a device are sent. Two devices never have the same endpoint.
CREATE TABLE push_subscriptions (
    device_id bigint PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    endpoint text COLLATE "C" NOT NULL UNIQUE,
    p256dh text NOT NULL,
    auth text NOT NULL
);
"""

ADD_PASSING_ROOMS: Final = """
-- A room that a guest has made: it is deleted as soon as it is empty.
ALTER TABLE conversations ADD COLUMN passing boolean NOT NULL DEFAULT false;
"""

ADD_TOPIC_AUTHORS: Final = """
-- Who has set the topic of a room, and when; empty and NULL where it was set before that was stored.
ALTER TABLE conversations ADD COLUMN topic_by text NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN topic_at double precision;
"""

ADD_ROOM_MASKS: Final = """
-- Patterns of users who may not, or may, come into a room.
CREATE TABLE room_masks (
    conversation_id bigint NOT NULL,
    kind text NOT NULL,
    mask text NOT NULL,
    by text NOT NULL,
    since double precision NOT NULL,
    PRIMARY KEY (conversation_id, kind, mask)
);
"""

ADD_CREATION_TIMES: Final = """
-- When a room was made; NULL where that was before it was stored.
ALTER TABLE conversations ADD COLUMN created double precision;
"""

ADD_PROFILES: Final = """
-- What users and rooms say of themselves, as JSON; empty where that is nothing.
ALTER TABLE accounts ADD COLUMN profile text NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN profile text NOT NULL DEFAULT '';
"""

ADD_CERTIFICATES: Final = """
-- By which devices log in over TLS. `used`: when the device has presented it last; NULL before the first time.
CREATE TABLE certificates (
    device_id bigint PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    fingerprint text COLLATE "C" NOT NULL,
    added double precision NOT NULL,
    used double precision
);
CREATE INDEX certificates_by_fingerprint ON certificates (fingerprint);
"""
