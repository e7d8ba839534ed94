"""Random bytes in any split: nothing crashes or hangs, and valid frames are decoded the same way."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gmessenger.field_types import MAX_RAW_NAME
from gmessenger.wire import events
from gmessenger.wire.course import split_text
from gmessenger.wire.encoder import encode
from gmessenger.wire.event_decoder import EventDecoder
from gmessenger.wire.framing import ObjectReader, OversizedFrame
from gmessenger.wire.irc.lines import MAX_PENDING, BadLine, Line, LineDecoder, format_line
from gmessenger.wire.request_decoder import RequestDecoder

PRESENCE = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}'
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ADDRESSEE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=MAX_RAW_NAME)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=5)
# Bytes that look enough like frames to get past the first check.
NEARLY = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b"\n", b":", b",", b"1", b"true", b"\xff", b"\0", PRESENCE])
    | st.binary(max_size=8)
    | OBJECT.map(lambda value: json.dumps(value).encode()),
    max_size=30,
).map(b"".join)

NEARLY_IRC = st.lists(
    st.sampled_from(
        [b"@", b":", b" ", b" :", b";", b"=", b"\\", b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"label=", b"PING"]
    )
    | st.binary(max_size=8)
    | st.integers(1, 5000).map(lambda size: b"x" * size)
    | TEXT.map(str.encode),
    max_size=30,
).map(b"".join)


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=10)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def decode(chunks: list[bytes], cap: int = 200) -> list[Any]:
    decoder = RequestDecoder(cap)
    decoded: list[Any] = []
    for chunk in chunks:
        for event in decoder.feed(chunk):
            decoded.append(event)
            if isinstance(event, events.InvalidFrame) and event.fatal:
                return decoded
    return decoded


def comparable(decoded: list[Any]) -> list[Any]:
    return [(item.error.code, item.id) if isinstance(item, events.InvalidFrame) else item for item in decoded]


@given(st.data(), NEARLY)
def test_any_bytes_in_any_split_are_heard_the_same(data: st.DataObject, raw: bytes) -> None:
    chunks = data.draw(split(raw))
    assert comparable(decode(chunks)) == comparable(decode([raw]))


@given(st.data(), NEARLY)
def test_any_bytes_after_a_native_presence_are_heard_the_same(data: st.DataObject, raw: bytes) -> None:
    raw = PRESENCE + b"\n" + raw
    chunks = data.draw(split(raw))
    assert comparable(decode(chunks)) == comparable(decode([raw]))


@settings(max_examples=40)
@given(st.data(), st.lists(OBJECT, max_size=8), st.sampled_from([b"", b"\n", b" \r\n", b"\t"]), st.booleans())
def test_objects_come_out_of_any_split_as_they_went_in(
    data: st.DataObject, objects: list[Any], between: bytes, ascii_only: bool
) -> None:
    raw = between.join(
        json.dumps(item, ensure_ascii=ascii_only, indent=data.draw(st.sampled_from([None, 2]))).encode()
        for item in objects
    )
    reader, objects_read = ObjectReader(65_536), []
    for chunk in data.draw(split(raw)):
        reader.feed(chunk)
        while (frame := reader.next_frame()) is not None:
            assert isinstance(frame, bytes)
            objects_read.append(json.loads(frame))
    assert objects_read == objects


@given(ADDRESSEE, TEXT)
def test_a_message_is_read_as_it_was_written(to: str, text: str) -> None:
    (decoded,) = (
        RequestDecoder(65_536).feed(PRESENCE)
        and decode([PRESENCE + b"\n" + encode(events.MessageRequest(to=to, message=text))], 65_536)[1:]
    )
    assert decoded == events.MessageRequest(to=to, message=text)


@given(TEXT, TEXT)
def test_a_delivery_is_read_as_it_was_written(sender: str, text: str) -> None:
    delivery = events.MessageEvent(sender, "hank", 1.5, text)
    assert EventDecoder(1 << 20).feed(encode(delivery)) == [(encode(delivery)[:-1], delivery)]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(12, 80))
@example(" 0\x1f\x1f", 12)
def test_pieces_of_a_text_fit_and_are_the_text(text: str, room: int) -> None:
    pieces = list(split_text(text, room))
    assert "".join(pieces) == text
    assert all(len(encode({"": piece})) - len(encode({"": ""})) <= room for piece in pieces)


@given(st.data(), NEARLY_IRC)
@example(None, b"@label=" + b"x" * 5000 + b" \n")
def test_any_bytes_of_irc_in_any_split_are_heard_the_same(data: st.DataObject | None, raw: bytes) -> None:
    decoder, decoded = LineDecoder(), []
    for chunk in data.draw(split(raw)) if data is not None else [raw[:4096], raw[4096:]]:
        decoded += decoder.feed(chunk)
        assert len(decoder._tail) <= MAX_PENDING
    assert decoded == LineDecoder().feed(raw)


@given(NEARLY_IRC)
def test_a_line_of_irc_is_read_as_it_was_written(raw: bytes) -> None:
    for line in LineDecoder().feed(raw + b"\n"):
        if isinstance(line, BadLine):
            assert format_line("irc.test", line.command or "*", tags={"label": line.label})
        else:
            written = format_line("", line.command, line.params, line.tags)
            assert LineDecoder().feed(written) == [Line(line.command, line.params, line.tags)]


@settings(max_examples=30)
@given(st.binary(min_size=300, max_size=3000))
def test_nothing_grows_beyond_the_cap(raw: bytes) -> None:
    reader = ObjectReader(200)
    for start in range(0, len(raw), 50):
        reader.feed(raw[start : start + 50])
        while (frame := reader.next_frame()) is not None:
            if isinstance(frame, OversizedFrame):
                return
    assert len(reader.take_rest()) <= 250
