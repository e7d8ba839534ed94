"""Web Push: the encryption and the signature, against the examples of RFC 8291 and RFC 8292."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.wire import web_push
from gmessenger.wire.web_push import decode_base64url, encode_base64url
from tests.support.push import Browser

# RFC 8291, 5 and appendix A.
TEXT = b"When I grow up, I want to be a watermelon"
SENDER_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SENDER_PUBLIC = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
BROWSER_KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

# RFC 8292, 2.4 and 3.
TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9"
    ".eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0"
    ".i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA"
)
TOKEN_KEY = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"


def verify(token: str, public_key: str) -> Any:
    """Return the claims of a token whose signature is that of a key. Raises `InvalidSignature`."""
    unsigned, _, signature = token.rpartition(".")
    raw = decode_base64url(signature)
    numbers = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode_base64url(public_key))
    key.verify(encode_dss_signature(*numbers), unsigned.encode(), ec.ECDSA(SHA256()))
    return json.loads(decode_base64url(unsigned.partition(".")[2]))


def test_the_example_of_the_encryption() -> None:
    keys = web_push.parse_subscription_keys(P256DH, AUTH)
    sender_key = web_push.decode_private_key(SENDER_KEY)
    assert encode_base64url(web_push.encode_public_key(sender_key)) == SENDER_PUBLIC
    body = web_push.encrypt(TEXT, keys, sender_key, decode_base64url(SALT))
    assert encode_base64url(body) == BODY
    assert Browser(BROWSER_KEY, AUTH).decrypt(body) == TEXT


def test_the_example_of_the_signature() -> None:
    """A signature has a random part: what is signed is compared, and the example's signature verified."""
    assert verify(TOKEN, TOKEN_KEY)["sub"] == "mailto:push@example.com"
    key = web_push.make_private_key()
    header = web_push.sign_token(key, "https://push.example.net", "mailto:push@example.com", 1453523768)
    scheme, _, rest = header.partition(" ")
    parameters = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "vapid"
    assert parameters["t"].rpartition(".")[0] == TOKEN.rpartition(".")[0]
    assert verify(parameters["t"], parameters["k"])["exp"] == 1453523768
    with pytest.raises(InvalidSignature):
        verify(parameters["t"], TOKEN_KEY)


@given(st.binary(max_size=3000), st.integers(0, 3900))
def test_what_is_encrypted_is_what_the_browser_reads(text: bytes, padded_length: int) -> None:
    browser = Browser()
    body = web_push.encrypt(text, browser.keys, web_push.make_private_key(), bytes(16), padded_length)
    assert browser.decrypt(body) == text
    assert len(body) == 86 + max(len(text), padded_length) + 17


def test_a_text_that_is_too_long_is_refused() -> None:
    keys, key = Browser().keys, web_push.make_private_key()
    assert len(web_push.encrypt(bytes(3993), keys, key, bytes(16))) == 4096
    with pytest.raises(ValueError, match="too long"):
        web_push.encrypt(bytes(3994), keys, key, bytes(16))


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", AUTH),
        (P256DH, ""),
        (P256DH[:-2], AUTH),
        (P256DH, AUTH + "AA"),
        (P256DH[:-1] + "!", AUTH),
        (P256DH.replace("B", "C", 1), AUTH),
        (encode_base64url(b"\x04" + bytes(range(64))), AUTH),
        (encode_base64url(b"\x02" + decode_base64url(P256DH)[1:33]), AUTH),
        ("Ё" * 87, AUTH),
    ],
)
def test_keys_that_are_none_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError):
        web_push.parse_subscription_keys(p256dh, auth)


def test_base64url_may_be_padded() -> None:
    assert web_push.parse_subscription_keys(f"{P256DH}=", f"{AUTH}==") == web_push.parse_subscription_keys(P256DH, AUTH)


def test_a_topic_is_short_and_different_for_each_subscription() -> None:
    topics = {web_push.make_topic(auth, name) for auth in (b"a" * 16, b"b" * 16) for name in ("#dev", "dale hank")}
    assert len(topics) == 4
    assert {len(topic) for topic in topics} == {32}


def test_a_private_key_survives_as_text() -> None:
    key = web_push.make_private_key()
    again = web_push.decode_private_key(web_push.encode_private_key(key))
    assert web_push.encode_public_key(again) == web_push.encode_public_key(key)
