"""Payloads of hooks: bodies as the programs send them, and anything else."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gmessenger.field_types import MAX_ID
from gmessenger.wire.hook_payloads.bodies import CHARSETS, MAX_FIELDS, MAX_VALUES
from gmessenger.wire.hook_payloads.senders import RULES, translate
from gmessenger.wire.hook_payloads.translation import (
    FINGERPRINT_SIZE,
    MAX_BODY,
    MAX_FINGERPRINTS,
    NoTextError,
    Translation,
)
from tests.wire.test_random_bytes import JSON

BODIES = Path(__file__).parent / "hook_bodies"
POSTS = sorted(path.stem for path in BODIES.glob("*.post"))
MAX_TEXT = 16_384
AS_JSON = {"content-type": "application/json"}
AS_TEXT = {"content-type": "text/plain"}
AS_FORM = {"content-type": "application/x-www-form-urlencoded"}
NOT_SAID = [*map(chr, {*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A})]


def read_post(name: str) -> tuple[dict[str, str], bytes]:
    """Return the headers of a recorded post, as HTTP has them, and its body."""
    head, _, body = (BODIES / f"{name}.post").read_bytes().partition(b"\n\n")
    lines = [line.partition(b": ") for line in head.splitlines()]
    return {key.decode().lower(): value.decode("latin-1") for key, _, value in lines}, body


def translate_post(name: str) -> Translation:
    return translate(*read_post(name), MAX_TEXT)


def text_of(content: Any, headers: dict[str, str] = AS_JSON, max_text: int = MAX_TEXT) -> str:
    return translate(headers, json.dumps(content).encode(), max_text).text


@pytest.mark.parametrize("name", POSTS)
def test_a_recorded_post_becomes_its_text(name: str) -> None:
    assert translate_post(name).text == (BODIES / f"{name}.text").read_text("utf-8")


def test_every_sender_has_a_recorded_post() -> None:
    known = {"apprise", "alertmanager", "discord", "gitea", "github", "gitlab", "gotify", "grafana", "healthchecks"}
    known |= {"slack", "uptime-kuma", "curl", "ntfy", "text"}
    assert {next(sender for sender in known if name.startswith(sender)) for name in POSTS} == known
    assert len(RULES) == 7


def test_an_alert_and_its_resolution_have_the_same_fingerprints() -> None:
    firing, resolved = translate_post("alertmanager-firing"), translate_post("alertmanager-resolved")
    assert firing.firing == resolved.resolved and len(set(firing.firing)) == 2
    assert not firing.resolved and not resolved.firing
    down, up = translate_post("uptime-kuma-down"), translate_post("uptime-kuma-up")
    assert down.firing == up.resolved != () and not down.resolved and not up.firing
    mixed = translate_post("alertmanager-mixed")
    assert mixed.firing + mixed.resolved == firing.firing


def test_an_alert_without_a_fingerprint_has_that_of_its_labels() -> None:
    def alert(status: str, **labels: str) -> Translation:
        content = {"alerts": [{"status": status, "labels": {"alertname": "Full", **labels}}]}
        return translate(AS_JSON, json.dumps(content).encode(), MAX_TEXT)

    firing = alert("firing", disk="a", host="x")
    assert firing.firing == alert("resolved", host="x", disk="a").resolved
    assert firing.firing != alert("firing", disk="b", host="x").firing
    assert {len(fingerprint) for fingerprint in firing.firing} == {FINGERPRINT_SIZE}


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"idempotency-key": " 7 ", "x-github-delivery": "8"}, "7"),
        ({"x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}, "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ({"x-gitlab-event-uuid": "13792a34"}, "13792a34"),
        ({"idempotency-key": "", "webhook-id": "msg_1"}, "msg_1"),
        ({"idempotency-key": "k" * MAX_ID}, "k" * MAX_ID),
        ({}, None),
    ],
)
def test_the_key_of_a_post_is_that_of_its_headers(headers: dict[str, str], key: str | None) -> None:
    assert translate(headers, b"text", MAX_TEXT).key == key


def test_a_long_key_is_hashed() -> None:
    keys = [translate({"idempotency-key": key}, b"text", MAX_TEXT).key for key in ("k" * 65, "k" * 66, "é" * 33)]
    assert len({*keys}) == 3 and {len(key or "") for key in keys} == {MAX_ID}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (AS_JSON, b'{"color": "red"}'),
        (AS_JSON, b"{}"),
        (AS_JSON, b"[1, 2]"),
        (AS_JSON, b"42"),
        (AS_JSON, b'{"text": ""}'),
        (AS_JSON, b'{"text": 5, "attachments": {}, "blocks": "x"}'),
        (AS_JSON, b'{"alerts": []}'),
        (AS_JSON, b'{"alerts": [5, null]}'),
        (AS_JSON, b'{"attachments": [{"filename": "a.png", "base64": "iVBO"}]}'),
        (AS_JSON, b'{"text": "\\u0007 \\n"}'),
        (AS_JSON, b'{"text":' + b"[" * 300 + b"1" + b"]" * 300 + b"}"),
        (AS_TEXT, b""),
        (AS_TEXT, b" \r\n\t\x00 "),
        (AS_TEXT, b"\xff\xfe\xfd"),
        (AS_FORM, b"payload=%7B%7D"),
        ({"content-type": "multipart/form-data; boundary=x"}, b'--x\r\nContent-Disposition: form-data; name="a"'),
        ({"content-type": "multipart/form-data"}, b"--x\r\n\r\nhi\r\n--x--"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"hi"),
    ],
)
def test_what_has_no_text_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(NoTextError):
        translate(headers, body, MAX_TEXT)


@pytest.mark.parametrize("body", [b'{"text": "cut short', b"{curly} braces", b"[ok] done", b'"quoted"'])
def test_what_is_no_json_is_a_text(body: bytes) -> None:
    assert translate({}, body, MAX_TEXT).text == body.decode()


def test_events_and_actions_that_are_no_news_are_not_said() -> None:
    for event in ("star", "ping", "", "PUSH\x00"):
        assert text_of({"action": "created"}, {**AS_JSON, "x-github-event": event}) == ""
    assert text_of({"object_kind": "emoji"}, {**AS_JSON, "x-gitlab-event": "Emoji Hook"}) == ""


def test_a_text_is_cut_with_an_ellipsis() -> None:
    assert text_of({"text": "x" * 20}, max_text=20) == "x" * 20
    assert text_of({"text": "x" * 21}, max_text=20) == "x" * 19 + "…"
    assert translate(AS_TEXT, "я".encode() * 50, 7).text == "яяяяяя…"


def test_a_charset_that_is_not_known_is_taken_for_utf_8() -> None:
    for label in ("klingon", "idna", "utf-7", "unicode_escape", "../x"):
        assert translate({"content-type": f"text/plain; charset={label}"}, "ж".encode(), MAX_TEXT).text == "ж"


@pytest.mark.parametrize("label", sorted(CHARSETS))
def test_each_charset_of_the_table_exists(label: str) -> None:
    assert "abc".encode(CHARSETS[label]).decode(CHARSETS[label]) == "abc"


def test_a_form_has_few_fields() -> None:
    few = b"&".join([b"text=hi", *[b"x=1"] * (MAX_FIELDS - 1)])
    assert translate(AS_FORM, few, MAX_TEXT).text == "hi"
    assert translate(AS_FORM, few + b"&y=2", MAX_TEXT).text.startswith("text=hi&x=1")


def test_a_file_of_a_form_is_no_field() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="text"; filename="a"\r\n\r\nhi\r\n--x--'
    with pytest.raises(NoTextError):
        translate({"content-type": "multipart/form-data; boundary=x"}, body, MAX_TEXT)


SPACED = [
    b'{"text":"%s"}' % (b"<" * (MAX_BODY - 20)),
    b'{"text":"%s"}' % (b"<a|" * (MAX_BODY // 3 - 20)),
    b'{"text":"%s"}' % (b"&amp;" * (MAX_BODY // 5 - 20)),
    b'{"a":[%s]}' % b",".join([b"{}"] * 300_000),
    b'{"alerts":[%s]}' % b",".join([b"{}"] * (MAX_VALUES // 2 - 2)),
    b'{"alerts":[%s]}' % b",".join([b'{"labels":{"a":"b"},"annotations":{"summary":"x"}}'] * 15_000),
    b'{"blocks":[%s]}' % b",".join([b'{"elements":[{"text":"x"}]}'] * 20_000),
    b'{"msg":"%s","heartbeat":{}}' % (b"x" * (MAX_BODY - 40)),
    b"{" * MAX_BODY,
    b"[" * MAX_BODY,
    b"payload=%s" % (b"%7B" * (MAX_BODY // 3 - 8)),
    b"text=%s" % (b"%41" * (MAX_BODY // 3 - 8)),
    b"&" * MAX_BODY,
    b"\n" * MAX_BODY,
    b'{"text":"' + b"\\u0007" * (MAX_BODY // 6 - 8) + b'"}',
]
"""Bodies of the largest size, each of which a careless translator would take long for, or much memory."""
MAX_MEMORY = 40 * MAX_BODY


@pytest.mark.parametrize("headers", [AS_JSON, AS_FORM, AS_TEXT, {}], ids=["json", "form", "text", "none"])
@pytest.mark.parametrize("body", SPACED, ids=range(len(SPACED)))
def test_the_largest_bodies_take_bounded_memory(headers: dict[str, str], body: bytes) -> None:
    assert len(body) <= MAX_BODY
    tracemalloc.start()
    try:
        found = translate(headers, body, MAX_TEXT)
    except NoTextError:
        found = Translation("")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(found.text) <= MAX_TEXT and len(found.firing) <= MAX_FINGERPRINTS
    assert peak < MAX_MEMORY


FIELDS = st.sampled_from(
    [
        *("text", "attachments", "blocks", "elements", "fields", "title", "value", "fallback", "type", "rich_text"),
        *("content", "embeds", "description", "url", "message", "body", "msg", "heartbeat", "monitor", "status", "id"),
        *("alerts", "labels", "annotations", "commonLabels", "summary", "truncatedAlerts", "fingerprint", "resolved"),
        *("action", "opened", "issue", "pull_request", "repository", "sender", "commits", "ref", "before", "after"),
        *("object_kind", "push", "object_attributes", "project", "user", "note", "noteable_type", "release", "tag"),
    ]
)
LIKELY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | FIELDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=25,
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "x-github-event", "x-gitlab-event", "title", "idempotency-key", "x-gitea-event"]),
    st.sampled_from(
        [
            *("application/json", "text/plain; charset=koi8-r", "application/x-www-form-urlencoded", "push", "issues"),
            *("multipart/form-data; boundary=x", "multipart/form-data; boundary*=x", "release", "check_suite", "=?"),
            *("text/plain; charset*0=utf; charset*1=-8", "=?utf-8?b?8J+H?= =?x?q?=4?="),
        ]
    )
    | st.text(st.characters(max_codepoint=255), max_size=40),
    max_size=4,
)
OUTSIDE = st.dictionaries(FIELDS, LIKELY | JSON, max_size=6).map(lambda value: json.dumps(value).encode())
PIECES = st.lists(
    st.sampled_from([b"--x", b"\r\n\r\n", b"Content-Disposition: form-data; name=text", b"payload=", b"&", b"=", b"%"])
    | st.binary(max_size=12)
    | OUTSIDE,
    max_size=8,
).map(b"".join)


@given(HEADERS, OUTSIDE | PIECES | st.binary(max_size=200), st.integers(1, 60))
@example({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nContent-Disposition: form-data; name\r\n\r\n", 9)
@example(AS_JSON, b'{"text":"\\ud83d"}', 9)
@example(AS_JSON, b'{"attachments":[{"title":"<|>","text":"<a|>","fields":[[]]}],"blocks":[{"elements":1}]}', 30)
def test_any_post_is_translated_or_refused(headers: dict[str, str], body: bytes, max_text: int) -> None:
    try:
        found = translate(headers, body, max_text)
    except NoTextError:
        return
    assert len(found.text) <= max_text
    assert not {*NOT_SAID}.intersection(found.text)
    assert found.text == found.text.rstrip() and found.text.encode().decode() == found.text
    assert found.key is None or 0 < len(found.key.encode(errors="replace")) <= MAX_ID
