"""Every string, number and collection in a request has a bound, on the wire and on the control socket."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import inspect

from gmessenger.chat.admin import ADMIN_METHODS, check_arguments
from gmessenger.errors import BadFrame, BadName, BadPassword, BadRequest, WireError
from gmessenger.field_types import MAX_QUERY, MAX_SEQ
from gmessenger.names import MAX_RAW_NAME
from gmessenger.wire.events import CourseContact, CourseMessage, CoursePresence, InvalidFrame, NativeRequest
from gmessenger.wire.irc.lines import MAX_BODY, MAX_CLIENT_TAGS, BadLine, Line, LineDecoder
from gmessenger.wire.request_decoder import RequestDecoder, decode_request

NAME, TOKEN = MAX_RAW_NAME, 256
BOUNDS: dict[str, int] = {
    "account_name": NAME,
    "address": 64,
    "after": NAME,
    **dict.fromkeys(("p256dh", "auth"), 128),
    "device": 128,
    "endpoint": 1024,
    "file": 64,
    "fingerprint": 128,
    "highlights": 64,
    "key": 32,
    "invite": TOKEN,
    "name": NAME,
    "note": 200,
    "notify": NAME,
    **dict.fromkeys(("password", "old", "new"), 1024),
    "reason": 200,
    "room": NAME,
    **dict.fromkeys(("rules", "set"), 32),
    "session": TOKEN,
    "status": 32,
    "text": MAX_QUERY,
    "to": NAME,
    "topic": 400,
    "user": NAME,
    "with": NAME,
}
"""Characters of a string, by the name of its field in every request."""
OF_PROFILES = BOUNDS | {"set": 300}
"""The same in requests about profiles."""
BOUND_ELSEWHERE = {"message": "--max-text, in chat.sending", "id": "64 bytes, in wire.request_decoder"}
OF_ADMINISTRATION: dict[str, int] = {
    "name": NAME,
    "other": NAME,
    "address": 64,
    "after": NAME,
    "password": 1024,
    "reason": 200,
    "user": NAME,
    "room": NAME,
    **dict.fromkeys(("rule", "value"), 32),
    "file": 4096,
    "part": 4096,
    "id": 64,
}
REQUESTS = {request.__struct_config__.tag: request for request in NativeRequest.__args__}
NEEDED: dict[str, Any] = {
    "user": "dale",
    "name": "grafana",
    "message": "hi",
    "seq": 1,
    "status": "away",
    **dict.fromkeys(("password", "old", "new"), "correct horse"),
    "text": "words",
    "role": "speaker",
}


def leaves(kind: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every type within a struct, with the name of its field."""
    if isinstance(kind, inspect.StructType):
        for each in kind.fields:
            yield from leaves(each.type, each.encode_name)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from leaves(one, name)
    elif isinstance(kind, inspect.DictType | inspect.ListType):
        assert kind.max_length is not None, name
        inner = (kind.key_type, kind.value_type) if isinstance(kind, inspect.DictType) else (kind.item_type,)
        for one in inner:
            yield from leaves(one, name)
    else:
        yield name, kind


def is_bounded(kind: Any) -> bool:
    if isinstance(kind, inspect.IntType):
        return kind.ge is not None and kind.le is not None
    if isinstance(kind, inspect.FloatType):
        return (kind.gt is not None or kind.ge is not None) and kind.le is not None
    return isinstance(
        kind, inspect.BoolType | inspect.NoneType | inspect.LiteralType | type(inspect.type_info(type(None)))
    )


@pytest.mark.parametrize(
    ("struct", "bounds"),
    [
        *((request, OF_PROFILES if tag == "profile" else BOUNDS) for tag, request in REQUESTS.items()),
        *((each.arguments_struct, OF_ADMINISTRATION) for each in ADMIN_METHODS.values()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_field_has_a_row_in_the_table_of_bounds(struct: Any, bounds: dict[str, int]) -> None:
    for name, kind in leaves(inspect.type_info(struct)):
        if isinstance(kind, inspect.StrType):
            bound = kind.max_length
            assert bound == bounds[name] if bound is not None else name in BOUND_ELSEWHERE, (struct, name)
        else:
            assert type(kind).__name__ == "UnsetType" or is_bounded(kind), (struct, name, kind)


NESTED: dict[tuple[str, str], Callable[[Any], dict[str, Any]]] = {
    ("join", "rules"): lambda value: {"rules": {value if isinstance(value, str) else "most": value}},
    ("rule", "set"): lambda value: {"set": {value if isinstance(value, str) else "most": value}},
    ("profile", "set"): lambda value: {"set": {value: value}},
    ("settings", "notify"): lambda value: {"set": {"notify": {value: {"level": "none"}}}},
    ("settings", "until"): lambda value: {"set": {"notify": {"dale": {"level": "none", "until": value}}}},
    ("settings", "highlights"): lambda value: {"set": {"highlights": [value]}},
}
"""How a field that is deeper within a request is written there."""
USER_FIELDS: dict[str, set[str]] = {
    "presence": {"account_name", "password", "device", "status"},
    "register": {"account_name", "device"},
}
"""Fields of the `user` object of a request; others are the request's own."""


def asked_with(action: str, field: str, value: Any) -> Any:
    """Return a request in which one field, also of the `user` object, has a value."""
    names = [each.encode_name for each in inspect.type_info(REQUESTS[action]).fields if each.required]
    frame: dict[str, Any] = {"action": action} | {name: NEEDED.get(name, "dale") for name in names}
    if action in USER_FIELDS:
        frame |= {"jim": 2, "user": {"account_name": "hank"}}
        if field in USER_FIELDS[action]:
            frame["user"][field] = value
            return json.dumps(frame).encode()
    return json.dumps(frame | NESTED.get((action, field), lambda value: {field: value})(value)).encode()


STRINGS = [
    (action, name, kind.max_length)
    for action, request in REQUESTS.items()
    for name, kind in leaves(inspect.type_info(request))
    if isinstance(kind, inspect.StrType) and kind.max_length is not None
]
REFUSED_WITH: dict[str, type[WireError]] = {
    **dict.fromkeys(("account_name", "to", "with", "user", "room", "after"), BadName),
    **dict.fromkeys(("password", "old", "new"), BadPassword),
}


@pytest.mark.parametrize(("action", "field", "bound"), STRINGS)
def test_a_string_that_is_too_long_is_refused_with_a_code(action: str, field: str, bound: int) -> None:
    for letter in "xж\ufdfa😀":
        assert not isinstance(decode_request(asked_with(action, field, letter * bound)), InvalidFrame)
        for length in (bound + 1, 10_000):
            refused = decode_request(asked_with(action, field, letter * length))
            assert isinstance(refused, InvalidFrame) and not refused.fatal
            assert isinstance(refused.error, REFUSED_WITH.get(field, WireError)), refused.error
            assert 400 <= refused.error.status < 500 and not refused.error.retryable


NUMBERS = [
    (action, name)
    for action, request in REQUESTS.items()
    for name, kind in leaves(inspect.type_info(request))
    if isinstance(kind, inspect.IntType | inspect.FloatType)
]


@pytest.mark.parametrize(("action", "field"), NUMBERS)
def test_a_number_that_is_out_of_bounds_is_refused_with_a_code(action: str, field: str) -> None:
    for written in ("1e308", "-1e308", "1e400", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400):
        refused = decode_request(asked_with(action, field, 7).replace(b": 7", b": " + written.encode()))
        assert isinstance(refused, InvalidFrame), (written, refused)
        assert refused.error.status == 400 and not refused.error.retryable
    for written in ("NaN", "Infinity", "-Infinity"):
        refused = decode_request(asked_with(action, field, 7).replace(b": 7", b": " + written.encode()))
        assert isinstance(refused, InvalidFrame) and isinstance(refused.error, BadFrame)


def test_a_course_client_names_nobody_with_more_than_a_name() -> None:
    hearing, long = RequestDecoder(65_536), "x" * 60_000
    said = [
        {"action": "presence", "user": {"account_name": long}},
        {"action": "msg", "to": long, "text": "hi"},
        {"action": "add_contact", "contact": long},
    ]
    presence, msg, contact = [event for frame in said for event in hearing.feed(json.dumps(frame).encode())]
    assert (
        isinstance(presence, CoursePresence) and isinstance(msg, CourseMessage) and isinstance(contact, CourseContact)
    )
    assert {len(name or "") for name in (presence.name, msg.to, contact.name)} == {MAX_RAW_NAME}


@pytest.mark.parametrize("letter", [" x", "x", ":", " :", " \u0436", "\U0001f600 "])
@pytest.mark.parametrize("tag", ["", "@x", "@x=1;", "@;", "@x=\\\\"])
def test_a_line_of_irc_has_no_more_than_its_bytes(tag: str, letter: str) -> None:
    tags = (tag * MAX_CLIENT_TAGS).encode()[: MAX_CLIENT_TAGS - 1] + b" " if tag else b""
    body = (f"PING {letter * MAX_BODY}").encode()[:MAX_BODY].decode(errors="ignore").encode()
    (line,) = LineDecoder().feed(tags + body + b"\n")
    assert isinstance(line, Line)
    assert sum(len(param.encode()) for param in (line.command, *line.params)) <= MAX_BODY
    assert sum(len(part) for tag in line.tags.items() for part in tag) < MAX_CLIENT_TAGS
    for larger in (tags + body + b"x" * 5, b"x" + tags + body if tag else b"x" * 511):
        assert isinstance(LineDecoder().feed(larger + b"\n")[0], BadLine)


BAD_ARGUMENTS = [
    ("ban", {"name": "x" * 200}),
    ("ban", {"address": "x" * 200}),
    ("ban", {"name": "dale", "seconds": math.inf}),
    ("ban", {"name": "dale", "seconds": math.nan}),
    ("mute", {"name": "dale", "seconds": 1e308}),
    ("mute", {"name": "dale", "reason": "x" * 201}),
    ("kick", {"name": "dale", "reason": 5}),
    ("prune", {"days": math.nan}),
    ("prune", {"days": -1}),
    ("prune", {"days": 1e308}),
    ("messages", {"after": 2**63}),
    ("messages", {"after": 0, "limit": -(2**70)}),
    ("trace", {"name": "#dev", "seq": MAX_SEQ + 1}),
    ("trace_id", {"name": "dale", "id": "x" * 65}),
    ("backup", {"file": "x" * 5000}),
    ("sanctions", {"kind": "bans", "after": "x" * 200}),
    ("nothing", {}),
    ("grant", {}),
    ("grant", {"name": "dale", "more": 1}),
    ("backup", {"file": "x", "handle": 3}),
]


@pytest.mark.parametrize(("verb", "arguments"), BAD_ARGUMENTS)
def test_an_operators_arguments_are_held_to_their_bounds(verb: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        check_arguments(verb, arguments)


PLACES = [
    *((action, name) for action, name, _ in STRINGS),
    *((action, name) for action in REQUESTS for name in ("unknown", "message", "id")),
]
NUL_WITHIN = (
    '"a\\u0000b"',
    '["a\\u0000b"]',
    '{"x":"a\\u0000b"}',
    '{"a\\u0000b":1}',
    '{"x":[1,{"y":["\\u0000"]}]}',
)


@pytest.mark.parametrize(("action", "field"), PLACES)
@pytest.mark.parametrize("value", NUL_WITHIN)
def test_nul_is_refused_in_every_field_and_at_any_depth(value: str, action: str, field: str) -> None:
    frame = asked_with(action, field, "HERE").replace(b'"HERE"', value.encode(), 1)
    assert b"0000" in frame
    refused = decode_request(frame)
    assert isinstance(refused, InvalidFrame) and refused.error.status == 400


@pytest.mark.parametrize("action", REQUESTS)
def test_an_escaped_backslash_is_no_nul(action: str) -> None:
    frame = asked_with(action, "unknown", "HERE").replace(b'"HERE"', b'["a\\\\u0000b"]', 1)
    assert not isinstance(decode_request(frame), InvalidFrame)
