"""A browser with a push subscription, and a push service on the loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from gevent import socket
from gevent.event import Event
from gevent.pool import Pool

from gmessenger.server.push.client import PushNetwork
from gmessenger.wire import web_push
from gmessenger.wire.web_push import decode_base64url, encode_base64url
from tests.support.timeouts import TEST_TIMEOUT

HOST = "push.example.org"


class Browser:
    """The keys of a subscription; reads what is encrypted to it, by code of its own."""

    def __init__(self, private_key: str = "", auth: str = "") -> None:
        self._key = web_push.decode_private_key(private_key) if private_key else web_push.make_private_key()
        self._auth = decode_base64url(auth) if auth else secrets.token_bytes(16)
        self.keys = web_push.SubscriptionKeys(web_push.encode_public_key(self._key), self._auth)

    def subscription(self, path: str = "", host: str = HOST) -> dict[str, str]:
        """Return the fields of a request that subscribes."""
        return {
            "endpoint": f"https://{host}/send/{path or secrets.token_urlsafe(12)}",
            "p256dh": encode_base64url(self.keys.public_key),
            "auth": encode_base64url(self._auth),
        }

    def decrypt(self, body: bytes) -> bytes:
        """Return the text of a push message."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        point, content = body[21 : 21 + length], body[21 + length :]
        assert len(body) <= size == 4096
        shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        info = b"WebPush: info\0" + self.keys.public_key + point
        secret = _hkdf(self._auth, shared, info, 32)
        key = _hkdf(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, secret, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, content, None).rstrip(b"\0")
        assert plain[-1:] == b"\2"
        return plain[:-1]

    def read(self, body: bytes) -> Any:
        """Return the payload of a push message."""
        return json.loads(self.decrypt(body))


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()[:length]


@dataclass
class PushPost:
    """A request that the push service was sent."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What the push service answers: a status and headers; with `hang` nothing, until it is released."""

    status: int = 201
    headers: dict[str, str] = field(default_factory=dict)
    hang: Event | None = None


class PushService:
    """A push service with TLS on the loopback. `answer` says what a post is answered with.

    `network` leads every host to it, and trusts its certificate authority.
    """

    def __init__(self, certificate: str, context: ssl.SSLContext) -> None:
        self.posts: list[PushPost] = []
        self.answer: Callable[[PushPost], Answer] = lambda post: Answer()
        self.connection_count = 0
        self.open_count = self.open_max = 0
        self._arrived = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._pool = Pool(200)
        self._accepting = gevent.spawn(self._accept)
        self.network = PushNetwork(lambda host: [(socket.AF_INET, ("127.0.0.1", self.port))], context)

    def close(self) -> None:
        self._accepting.kill()
        self._listener.close()
        self._pool.kill()

    def wait_for(self, count: int) -> list[PushPost]:
        """Wait until so many posts have arrived; return them all."""
        with gevent.Timeout(TEST_TIMEOUT, AssertionError(f"{len(self.posts)} posts of {count}")):
            while len(self.posts) < count:
                self._arrived.clear()
                self._arrived.wait(TEST_TIMEOUT)
        return self.posts

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            self.connection_count += 1
            self._pool.spawn(self._serve, sock)

    def _serve(self, raw: socket.socket) -> None:
        try:
            with self._context.wrap_socket(raw, server_side=True) as sock:
                self.open_count += 1
                self.open_max = max(self.open_max, self.open_count)
                try:
                    self._answer(sock)
                finally:
                    self.open_count -= 1
        except OSError:
            pass  # the server has hung up, or does not trust the certificate
        finally:
            raw.close()

    def _answer(self, sock: ssl.SSLSocket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers["content-length"]):
            body += sock.recv(65_536)
        method, path, _ = first.split(" ")
        assert method == "POST"
        self.posts.append(post := PushPost(path, headers, body))
        self._arrived.set()
        answer = self.answer(post)
        if answer.hang is not None:
            answer.hang.wait(TEST_TIMEOUT)
        extra = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        sock.sendall(f"HTTP/1.1 {answer.status} Status\r\nContent-Length: 0\r\n{extra}\r\n".encode())
