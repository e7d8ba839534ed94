"""Envelopes: encrypt and authenticate packets with the cluster's key, which Redis never sees.

    version  1 byte      key id  4      boot  16      counter  8      length  1      node      packet, AES-256-GCM

The header is in the clear, and authenticated together with the name of the channel: an envelope that is copied to
another channel or attributed to another node does not decrypt. Each process has a key of its own, derived from the
cluster's key, its random `boot` and its node id. Its `counter` increases by one with every envelope and is the nonce,
so that none is used twice; a receiver accepts only increasing counters.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ENVELOPE_VERSION: Final = 2
"""The first byte. Nodes with different versions do not see each other."""
KEY_BYTES: Final = 32
BOOT_BYTES: Final = 16
NONCE_BYTES: Final = 12
MAX_NODE_BYTES: Final = 255
OLD_KEY_TTL: Final = 60.0  # seconds in which envelopes of the previous key are still accepted
_HEADER: Final = Struct(f">B4s{BOOT_BYTES}sQB")


class Envelope(NamedTuple):
    """A parsed envelope, not decrypted yet: none of its fields can be trusted."""

    key_id: bytes
    boot: bytes
    counter: int
    node: str
    header: bytes
    ciphertext: bytes


def read_envelope(data: bytes) -> Envelope | None:
    """Parse an envelope; None if `data` is not one."""
    if len(data) < _HEADER.size:
        return None
    version, key_id, boot, counter, length = _HEADER.unpack_from(data)
    end = _HEADER.size + length
    try:
        node = data[_HEADER.size : end].decode()
    except UnicodeDecodeError:
        return None
    if version != ENVELOPE_VERSION or not node or len(data) <= end:
        return None
    return Envelope(key_id, boot, counter, node, data[:end], data[end:])


def open_envelope(cipher: AESGCM, envelope: Envelope, channel: str) -> bytes | None:
    """Decrypt an envelope; None if it was not sealed for that channel with that key."""
    try:
        return cipher.decrypt(_nonce(envelope.counter), envelope.ciphertext, envelope.header + channel.encode())
    except InvalidTag:
        return None


class Keyring:
    """The key of a cluster, and the previous one for `OLD_KEY_TTL` after it was replaced.

    Raises:
        ValueError: a key does not have `KEY_BYTES`.
    """

    def __init__(self, key: bytes, cluster: str, monotonic: Callable[[], float]) -> None:
        self._cluster = cluster
        self._monotonic = monotonic
        self._keys: dict[bytes, bytes] = {}
        self._old_id = b""
        self._old_until = 0.0
        self.current = self._add(key)

    def replace(self, key: bytes) -> bool:
        """Make another key the current one; False if it is already."""
        if key == self._keys[self.current]:
            return False
        old = self.current
        self.current = self._add(key)
        self._keys = {id: kept for id, kept in self._keys.items() if id in (old, self.current)}
        self._old_id, self._old_until = old, self._monotonic() + OLD_KEY_TTL
        return True

    def make_cipher(self, key_id: bytes, node: str, boot: bytes) -> AESGCM | None:
        """Derive the cipher of one process; None if the key is unknown or has expired."""
        key = self._keys.get(key_id)
        if key is None or not self.has(key_id):
            return None
        info = f"gmessenger bus {ENVELOPE_VERSION}\0{self._cluster}\0{node}".encode()
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=boot, info=info).derive(key))

    def has(self, key_id: bytes) -> bool:
        """Return whether envelopes sealed with a key are accepted now."""
        return key_id == self.current or (key_id == self._old_id and self._monotonic() < self._old_until)

    def _add(self, key: bytes) -> bytes:
        if len(key) != KEY_BYTES:
            raise ValueError("the key of a bus has 32 bytes")
        id = sha256(b"gmessenger bus key\0" + key).digest()[:4]
        self._keys[id] = key
        return id


class Sealer:
    """Seals what this process publishes. `boot` tells the process from earlier ones with the same node id."""

    def __init__(self, keyring: Keyring, node: str) -> None:
        self._keyring = keyring
        self._node = node
        self._name = node.encode()
        self.boot = secrets.token_bytes(BOOT_BYTES)
        self.counter = 0
        self._key_id = b""
        self._cipher: AESGCM | None = None

    @property
    def cipher(self) -> AESGCM:
        """The cipher of this process with the current key."""
        if self._cipher is None or self._key_id != self._keyring.current:
            self._key_id = self._keyring.current
            self._cipher = self._keyring.make_cipher(self._key_id, self._node, self.boot)
            assert self._cipher is not None
        return self._cipher

    def seal(self, channel: str, body: bytes) -> bytes:
        """Encrypt a packet into the next envelope, for one channel."""
        cipher = self.cipher
        self.counter += 1
        header = _HEADER.pack(ENVELOPE_VERSION, self._key_id, self.boot, self.counter, len(self._name)) + self._name
        return header + cipher.encrypt(_nonce(self.counter), body, header + channel.encode())


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(NONCE_BYTES, "big")
