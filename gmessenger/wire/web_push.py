"""Web Push: encrypt a message to a browser (RFC 8291), and sign who sends it (VAPID, RFC 8292).

Pure: random values and times are arguments. `cryptography` loads slowly: import this module only where it is needed.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey

CURVE: Final = ec.SECP256R1()
SCALAR_BYTES: Final = 32
AUTH_BYTES: Final = 16
SALT_BYTES: Final = 16
RECORD_SIZE: Final = 4096
"""Bytes of the one record that a push message is (RFC 8188): push services take no longer ones (RFC 8030, 7.2)."""
TAG_BYTES: Final = 16
LAST_RECORD: Final = b"\x02"
"""What ends the plain text of the last record, before its padding."""
TOPIC_BYTES: Final = 24  # which are the 32 characters that a topic may have (RFC 8030, 5.4)
TOKEN_HEADER: Final = {"typ": "JWT", "alg": "ES256"}


class SubscriptionKeys(Struct, frozen=True):
    """What a browser gives out for the messages of one subscription: its public key, and a secret that both share."""

    public_key: bytes
    auth: bytes


def parse_subscription_keys(p256dh: str, auth: str) -> SubscriptionKeys:
    """Return the keys of a subscription from base64url, with padding or without. Raises ValueError if they are none."""
    keys = SubscriptionKeys(decode_base64url(p256dh), decode_base64url(auth))
    ec.EllipticCurvePublicKey.from_encoded_point(CURVE, keys.public_key)
    if len(keys.auth) != AUTH_BYTES or keys.public_key[:1] != b"\x04":
        raise ValueError("the secret has 16 bytes, and the key is not compressed")
    return keys


def make_private_key() -> PrivateKey:
    """Return a new random key."""
    return ec.generate_private_key(CURVE)


def encode_private_key(key: PrivateKey) -> str:
    """Return a private key as text that `decode_private_key` takes."""
    return encode_base64url(key.private_numbers().private_value.to_bytes(SCALAR_BYTES, "big"))


def decode_private_key(text: str) -> PrivateKey:
    """Return a private key from its text. Raises ValueError."""
    return ec.derive_private_key(int.from_bytes(decode_base64url(text), "big"), CURVE)


def encode_public_key(key: PrivateKey) -> bytes:
    """Return the public key of a private one as a point that is not compressed, as browsers take it."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encrypt(text: bytes, keys: SubscriptionKeys, sender_key: PrivateKey, salt: bytes, padded_length: int = 0) -> bytes:
    """Return the body of a push message, in the content coding `aes128gcm`.

    Args:
        text: at most 3993 bytes.
        sender_key, salt: new random ones for each message.
        padded_length: the bytes that the text is made to look like, so that its length says less.

    Raises:
        ValueError: the text is too long.
    """
    sender_point = encode_public_key(sender_key)
    receiver = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, keys.public_key)
    shared = sender_key.exchange(ec.ECDH(), receiver)
    info = b"WebPush: info\x00" + keys.public_key + sender_point
    secret = _expand(_extract(keys.auth, shared), info, 32)
    content_key = _expand(extracted := _extract(salt, secret), b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _expand(extracted, b"Content-Encoding: nonce\x00", 12)
    plain = text + LAST_RECORD + bytes(max(0, padded_length - len(text)))
    header = salt + RECORD_SIZE.to_bytes(4, "big") + bytes([len(sender_point)]) + sender_point
    if len(header) + len(plain) + TAG_BYTES > RECORD_SIZE:
        raise ValueError("the text is too long for a push message")
    return header + AESGCM(content_key).encrypt(nonce, plain, None)


def sign_token(key: PrivateKey, audience: str, subject: str, expires: int) -> str:
    """Return the `Authorization` header by which a push service knows the server that sends (RFC 8292, 3).

    Args:
        audience: the origin of the endpoint.
        subject: a `mailto:` or `https:` URL at which the sender can be reached.
        expires: Unix seconds, within a day.
    """
    claims = {"aud": audience, "exp": expires, "sub": subject}
    unsigned = b".".join(_encode(msgspec.json.encode(part)) for part in (TOKEN_HEADER, claims))
    numbers = decode_dss_signature(key.sign(unsigned, ec.ECDSA(SHA256())))
    signature = b"".join(number.to_bytes(SCALAR_BYTES, "big") for number in numbers)
    return f"vapid t={unsigned.decode()}.{encode_base64url(signature)}, k={encode_base64url(encode_public_key(key))}"


def make_topic(auth: bytes, conversation: str) -> str:
    """Return the topic of a conversation: a message replaces an earlier one with it that is not delivered yet.

    It depends on the secret of the subscription, so it says nothing of the conversation to the push service.
    """
    return encode_base64url(hmac.digest(auth, conversation.encode(), "sha256")[:TOPIC_BYTES])


def encode_base64url(data: bytes) -> str:
    """Return bytes as base64url without padding."""
    return _encode(data).decode()


def decode_base64url(text: str) -> bytes:
    """Return the bytes of base64url, with padding or without. Raises ValueError for other characters."""
    try:
        raw = text.rstrip("=").encode("ascii")
        data = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeError, binascii.Error) as error:
        raise ValueError("this is not base64url") from error
    if _encode(data) != raw:  # the decoder skips what it does not know
        raise ValueError("this is not base64url")
    return data


def _encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF's first half (RFC 5869, 2.2)."""
    return hmac.digest(salt, secret, hashlib.sha256)


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF's second half, for at most 32 bytes (RFC 5869, 2.3)."""
    return hmac.digest(key, info + b"\x01", hashlib.sha256)[:length]
