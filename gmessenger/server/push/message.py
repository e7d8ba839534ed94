"""A push message as it is sent: its text, encrypted to the browser, and its headers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Struct, field

from gmessenger.chat.records import PushSubscription
from gmessenger.errors import BadSubscription
from gmessenger.server.push.endpoints import Endpoint, parse_endpoint
from gmessenger.wire import web_push
from gmessenger.wire.http import HeaderList

TTL: Final = 86_400
"""Seconds for which a push service keeps a message for a device that it cannot reach."""
TOKEN_LIFETIME: Final = 12 * 3600  # seconds; push services accept a day at most
MAX_SHOWN: Final = 200  # characters of the text
PADDED_TO: Final = 1024
"""The text is made as long as the next multiple of so many bytes: its length says little."""
ELLIPSIS: Final = "…"


class PushText(Struct):
    """What a push message says: the conversation, who said what, with which seq, and how many are unread there."""

    target: str = field(name="with")
    sender: str = field(name="from")
    text: str = field(name="message")
    seq: int
    unread: int

    def encode(self) -> bytes:
        """Return it as JSON, with the text cut to `MAX_SHOWN`."""
        shown = self.text if len(self.text) <= MAX_SHOWN else self.text[: MAX_SHOWN - 1] + ELLIPSIS
        return msgspec.json.encode(msgspec.structs.replace(self, text=shown))


class PushSealer:
    """Encrypts push messages, and signs that this server sends them."""

    def __init__(self, private_key: str, subject: Callable[[], str]) -> None:
        """`private_key`: that of the store. `subject`: a URL at which the operator can be reached."""
        self._key = web_push.decode_private_key(private_key)
        self._subject = subject

    @property
    def public_key(self) -> str:
        """The key that browsers are told, in base64url."""
        return web_push.encode_base64url(web_push.encode_public_key(self._key))

    def seal(
        self, subscription: PushSubscription, endpoint: Endpoint, conversation: str, text: PushText, now: float
    ) -> tuple[HeaderList, bytes]:
        """Return headers and body of the request. `conversation`: its key. `now`: Unix seconds. Raises ValueError."""
        keys = web_push.parse_subscription_keys(subscription.p256dh, subscription.auth)
        token = web_push.sign_token(self._key, endpoint.origin, self._subject(), int(now) + TOKEN_LIFETIME)
        plain = text.encode()
        body = web_push.encrypt(
            plain,
            keys,
            web_push.make_private_key(),
            secrets.token_bytes(web_push.SALT_BYTES),
            -(-len(plain) // PADDED_TO) * PADDED_TO,
        )
        headers = [
            ("Authorization", token),
            ("Content-Encoding", "aes128gcm"),
            ("Content-Type", "application/octet-stream"),
            ("TTL", str(TTL)),
            ("Topic", web_push.make_topic(keys.auth, conversation)),
            ("Urgency", "high"),
        ]
        return headers, body


def make_vapid_key() -> str:
    """Return a new private key by which push services may know a server."""
    return web_push.encode_private_key(web_push.make_private_key())


def check_subscription(subscription: PushSubscription, hosts: Iterable[str]) -> None:
    """Raise `BadSubscription` where nothing can be sent to a subscription, or must not be."""
    parse_endpoint(subscription.endpoint, hosts)
    try:
        web_push.parse_subscription_keys(subscription.p256dh, subscription.auth)
    except ValueError:
        raise BadSubscription("The keys of the push subscription are not valid.") from None
