"""A response, as clients read it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gmessenger.account_settings import AccountSettings
from gmessenger.wire.events.common import SentFile, UserInfo


class ResponseFrame(Struct, omit_defaults=True):
    """A response as a client reads it; fields that the server left out are None."""

    response: int
    id: str | None = None
    time: float = 0.0
    error: str | None = None
    code: str | None = None
    limit: int | None = None
    retry_after: float | None = None
    jim: int | None = None
    account: bool | None = None
    role: str | None = None
    blocks: int | None = None
    registration: str | None = None
    password_until: float | None = None
    session: str | None = None
    server: str | None = None
    store: str | None = None
    limits: dict[str, Any] | None = None
    files: str | None = None
    features: list[str] | None = None
    alert: str | None = None
    seq: int | None = None
    file: SentFile | None = None
    user: UserInfo | None = None
    since: float | None = None
    users: list[UserInfo] | None = None
    members: list[str] | None = None
    rooms: list[dict[str, Any]] | None = None
    conversations: list[dict[str, Any]] | None = None
    messages: list[dict[str, Any]] | None = None
    first: int | None = None
    absent: list[tuple[int, int]] | None = None
    topic: str | None = None
    rules: dict[str, Any] | None = None
    more: bool | None = None
    incomplete: bool | None = None
    after: int | None = None
    sessions: int | None = None
    address: str | None = None
    bans: list[dict[str, Any]] | None = None
    mutes: list[dict[str, Any]] | None = None
    shut_outs: list[dict[str, Any]] | None = None
    silences: list[dict[str, Any]] | None = None
    invitations: list[dict[str, Any]] | None = None
    devices: list[dict[str, Any]] | None = None
    hooks: list[dict[str, Any]] | None = None
    name: str | None = None
    token: str | None = None
    url: str | None = None
    settings: AccountSettings | None = None
    profile: dict[str, str] | None = None
