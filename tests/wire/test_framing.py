"""Framing: frames are found in any split of the bytes; an error is reported once, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gmessenger.wire.framing import (
    MAX_LINE_DEPTH,
    MAX_STREAM_DEPTH,
    LineReader,
    MalformedFrame,
    ObjectReader,
    OversizedFrame,
    is_nested_too_deep,
)

CAP = 1000
OBJECTS = [
    b'{"a":1}',
    b"{}",
    b'{"text":"} ] { [ \\" \\\\"}',
    '{"имя":"Борис 🎉\u2028"}'.encode(),
    b'{ "nested" : [ {"b": [ ] } , null , true , false , -1.5e+3 ] }',
    b'{\n  "pretty": "printed",\n  "lines": [\n    1,\n    2\n  ]\n}',
]
RUBBISH = [
    b"hello",
    b"[1, 2]",
    b'"a string"',
    b"42",
    b"}",
    b"{oops",
    b"{'a': 1}",
    b'{"cut short": "here',
    b'{"cut short": 1',
    b'{"a" 1} tail {',
    b"\xff\xfe",
    b"\x00",
    b"{" * (MAX_STREAM_DEPTH + 1),
]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def take(reader: ObjectReader, chunks: list[bytes]) -> list[object]:
    frames: list[object] = []
    for chunk in chunks:
        reader.feed(chunk)
        while (frame := reader.next_frame()) is not None:
            frames.append(frame)
            if isinstance(frame, OversizedFrame):
                return frames
    return frames


@pytest.mark.parametrize("size", [1, 2, 3, 7, CAP])
@pytest.mark.parametrize("between", [b"", b" ", b"\n", b"\r\n\t "])
def test_objects_come_out_of_any_split(size: int, between: bytes) -> None:
    frames = take(ObjectReader(CAP), pieces(between.join(OBJECTS), size))
    assert frames == OBJECTS


@pytest.mark.parametrize("size", [1, CAP])
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_reading_resumes_after_the_line_that_rubbish_stands_on(rubbish: bytes, size: int) -> None:
    data = OBJECTS[0] + rubbish + b"\n" + OBJECTS[2] + OBJECTS[3]
    frames = [frame for frame in take(ObjectReader(CAP), pieces(data, size)) if not isinstance(frame, MalformedFrame)]
    assert frames[0] == OBJECTS[0]
    assert frames[-2:] == OBJECTS[2:4]


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_rubbish_is_reported_once(rubbish: bytes) -> None:
    frames = take(ObjectReader(CAP), [rubbish + b"\n{}"])
    assert (frames.count(MalformedFrame()), frames[-1]) == (1, b"{}")


def test_a_frame_that_was_no_json_is_taken_back_to_its_newline() -> None:
    reader = ObjectReader(CAP)
    reader.feed(b'{"a":1,}{"lost":1}\n{"b":2}')
    bad = reader.next_frame()
    assert bad == b'{"a":1,}'
    reader.reject(bad)
    assert reader.next_frame() == b'{"b":2}'


def test_a_frame_of_several_lines_that_was_no_json_is_gone_back_into() -> None:
    reader = ObjectReader(CAP)
    reader.feed(b'{"a":,\n{"b":2}}')
    bad = reader.next_frame()
    assert isinstance(bad, bytes)
    reader.reject(bad)
    assert reader.next_frame() == b'{"b":2}'


@pytest.mark.parametrize("size", [1, 100, 5 * CAP])
def test_a_stream_over_the_cap_has_lost_its_place(size: int) -> None:
    assert take(ObjectReader(CAP), pieces(b'{"a":"' + b"x" * CAP + b'"}', size)) == [OversizedFrame(is_fatal=True)]


@pytest.mark.parametrize("size", [1, 100, 5 * CAP])
def test_over_the_cap_it_does_not_matter_what_would_have_been_wrong_later(size: int) -> None:
    assert take(ObjectReader(CAP), pieces(b'{"a":"' + b"x" * CAP + b"\x01", size)) == [OversizedFrame(is_fatal=True)]


def test_a_stream_frame_of_exactly_the_cap_is_a_frame() -> None:
    frame = b'{"a":"' + b"x" * (CAP - 8) + b'"}'
    assert take(ObjectReader(CAP), [frame]) == [frame]


def test_the_rest_is_handed_on() -> None:
    reader = ObjectReader(CAP)
    reader.feed(b'{"a":1}\n{"b"')
    reader.next_frame()
    assert (reader.take_rest(), reader.take_rest()) == (b'\n{"b"', b"")


def test_a_large_frame_costs_no_more_in_small_pieces() -> None:
    reader = ObjectReader(65_536)
    frame = json.dumps({"text": "x\\" * 10_000, "list": list(range(3000))}).encode()
    assert take(reader, pieces(frame, 16)) == [frame]


@pytest.mark.parametrize("size", [1, 2, 5, CAP])
def test_lines_come_out_of_any_split(size: int) -> None:
    reader = LineReader(20)
    data = b'{"a":1}\n\r\n \n{"b":2}\r\nrubbish\n' + b"x" * 20 + b"\nrest"
    frames = [frame for chunk in pieces(data, size) for frame in reader.feed(chunk)]
    assert frames == [b'{"a":1}', b'{"b":2}\r', b"rubbish", b"x" * 20]


@pytest.mark.parametrize("size", [1, 7, 15, CAP])
def test_a_line_over_the_cap_is_reported_once_and_the_next_is_read(size: int) -> None:
    reader = LineReader(10)
    data = b"a\n" + b"x" * 50 + b"\nb\n" + b"y" * 11 + b"\nc\n"
    frames = [frame for chunk in pieces(data, size) for frame in reader.feed(chunk)]
    assert frames == [b"a", OversizedFrame(is_fatal=False), b"b", OversizedFrame(is_fatal=False), b"c"]


NESTED = {
    "brackets": lambda deep: b"[" * deep + b"]" * deep,
    "braces": lambda deep: b'{"a":' * deep + b"1" + b"}" * deep,
    "both": lambda deep: b'[{"a":' * (deep // 2) + b"[" * (deep % 2) + b"]" * (deep % 2) + b"}]" * (deep // 2),
    "without an end": lambda deep: b"[" * deep,
    "behind a quote": lambda deep: b'{"a":"\\"","b":' + b"[" * (deep - 1),
}


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
def test_how_deep_a_line_is_nested_does_not_depend_on_the_interpreter(nest: Callable[[int], bytes]) -> None:
    assert not is_nested_too_deep(nest(MAX_LINE_DEPTH))
    assert is_nested_too_deep(nest(MAX_LINE_DEPTH + 1)) and is_nested_too_deep(nest(60_000))


@pytest.mark.parametrize("text", ["[" * 1000, '\\"[' * 1000, "[]" * 1000, "{" * 500 + "\\\\", '"' + "[" * 1000])
def test_brackets_in_a_text_nest_nothing(text: str) -> None:
    assert not is_nested_too_deep(json.dumps({"message": text, "more": [[], [{}]] * 200}).encode())
