"""Coverage-guided fuzzing of the pure wire, with atheris: `python -m tests.fuzz.wire [--seconds 60] [FILE]`.

The first four bytes of an input choose the decoder and where the rest is split. Interesting inputs are kept in
.fuzz/corpus for the next run, which begins with them and with the tables of the tests. An input that fails is written
to .fuzz and its name printed: give it as FILE to run it again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import atheris

from tests import ROOT

with atheris.instrument_imports(include=["gmessenger.wire"]):
    from gmessenger.wire import events
    from gmessenger.wire.course import CourseCodec
    from gmessenger.wire.encoder import encode
    from gmessenger.wire.event_decoder import EventDecoder
    from gmessenger.wire.irc.lines import MAX_BODY, MAX_PENDING, BadLine, LineDecoder, format_line
    from gmessenger.wire.irc.masks import match_mask, normalize_mask
    from gmessenger.wire.irc.text import split_pieces
    from gmessenger.wire.irc.timestamps import format_time, parse_time
    from gmessenger.wire.request_decoder import RequestDecoder

from gmessenger.errors import BadFrame
from tests.support.course_clients import VARIANTS
from tests.wire import test_course, test_framing, test_jim
from tests.wire.irc import test_lines, test_vectors

FUZZ_DIRECTORY: Final = ROOT / ".fuzz"
HEAD_SIZE: Final = 4
MAX_FRAME: Final = 300
MAX_BAD_FRAMES: Final = 10**6
MAX_INPUT: Final = 8192
MIN_PIECE: Final = 7
MAX_SECONDS: Final = 5
"""Seconds for one input."""
PRESENCE: Final = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'


def pieces(cuts: bytes, data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces; `cuts` decides on their lengths."""
    draw, start = random.Random(cuts), 0
    while start < len(data):
        end = start + draw.choice((1, 2, 7, 50, 400))
        yield data[start:end]
        start = end


def decode(decoder: RequestDecoder, chunks: Iterator[bytes]) -> list[Any]:
    decoded: list[Any] = []
    for chunk in chunks:
        for event in decoder.feed(chunk):
            decoded.append(event)
            if isinstance(event, events.InvalidFrame) and event.fatal:
                return decoded
        assert buffered_bytes(decoder) <= MAX_FRAME + len(chunk), "more is buffered than the limit"
    return decoded


def buffered_bytes(decoder: RequestDecoder) -> int:
    reader: Any = decoder._lines or decoder._stream
    if reader is None:  # it is of another protocol
        return 0
    return len(reader._tail if decoder.is_native else reader._buffer)


def comparable(decoded: list[Any]) -> list[Any]:
    return [(item.error.code, item.id) if isinstance(item, events.InvalidFrame) else item for item in decoded]


def server(cuts: bytes, data: bytes) -> None:
    """Check that any split gives the same events, and that all of them can be encoded."""
    decoder = RequestDecoder(MAX_FRAME, MAX_BAD_FRAMES)
    decoded = decode(decoder, pieces(cuts, data))
    expected = decode(RequestDecoder(MAX_FRAME, MAX_BAD_FRAMES), iter([data]))
    assert comparable(decoded) == comparable(expected), (decoded, expected)
    for event in decoded:
        if isinstance(event, events.InvalidFrame):
            assert event.id is None or 0 < len(event.id.encode()) <= 64
        else:
            assert b"\n" not in encode(event)[:-1]
        if isinstance(event, events.CourseMessage):
            encode_all(decoder.course_codec, event)


def encode_all(codec: CourseCodec, event: events.CourseMessage) -> None:
    """Check that a course client's dialect encodes any message in frames within its limit."""
    for frame in codec.encode_message("hank", "dale", event.text, event.action, 1.5):
        assert frame.endswith(b"\n") and len(frame) <= codec.dialect.max_frame
        json.loads(frame)
    for frame in (codec.encode_ok(1.5), codec.encode_error("no", 1.5), codec.encode_list(["hank"] * 200, 1.5)):
        assert len(frame) <= codec.dialect.max_frame


def native(cuts: bytes, data: bytes) -> None:
    server(cuts, PRESENCE + data)


def client(cuts: bytes, data: bytes) -> None:
    """Check that the client's decoder raises `BadFrame` and nothing else."""
    decoder = EventDecoder(MAX_FRAME)
    try:
        for chunk in pieces(cuts, data):
            for _, event in decoder.feed(chunk):
                encode(event)
    except BadFrame:
        pass


def irc(cuts: bytes, data: bytes) -> None:
    """Check that any split gives the same lines, and that what they say can be written, matched and cut."""
    decoder, decoded = LineDecoder(), []
    for chunk in pieces(cuts, data):
        decoded += decoder.feed(chunk)
        assert len(decoder._tail) <= MAX_PENDING, "more is kept than the limit"
    assert decoded == LineDecoder().feed(data)
    for line in decoded:
        if isinstance(line, BadLine):
            format_line("irc.test", line.command or "*", tags={"label": line.label})
            continue
        assert len(format_line("irc.test", "PRIVMSG", ["#dev", " ".join(line.params)]).strip()) <= MAX_BODY
        for text in (*line.params, *line.tags.values()):
            assert match_mask(text, text) and normalize_mask(normalize_mask(text)) == normalize_mask(text)
            assert all(len(piece.encode()) <= MIN_PIECE for piece, _ in split_pieces(text, MIN_PIECE))
            seconds = parse_time(text)
            assert seconds is None or (parse_time(format_time(seconds)) or 0) <= seconds


DECODERS: Final[tuple[Callable[[bytes, bytes], None], ...]] = (server, native, client, irc)


def run_input(data: bytes) -> None:
    head, data = data[:HEAD_SIZE], data[HEAD_SIZE:]
    DECODERS[head[0] % len(DECODERS) if head else 0](head, data)


def seeds() -> Iterator[bytes]:
    """Yield all frames of the tests' tables, for every decoder."""
    frames = [*test_jim.GOOD, *test_jim.BAD, *test_jim.SERVER_FRAMES, *test_framing.RUBBISH]
    raw: list[Any] = [*test_framing.OBJECTS, *test_course.NAMES, *test_course.MESSAGES]
    raw += [item.presence("hank") for item in VARIANTS]
    raw += [item.message("hank", "dale", "hello") for item in VARIANTS]
    frames += [data for data, _ in test_lines.STREAMS if len(data) < MAX_INPUT]
    frames += [text.encode() for text, _ in test_vectors.SPLIT]
    frames += [item if isinstance(item, bytes) else json.dumps(item).encode() for item in raw]
    for target in range(len(DECODERS)):
        for frame in frames:
            yield bytes([target, 0, 0, 0]) + frame + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("file", nargs="?", type=Path, help="try this input and nothing else")
    options = parser.parse_args()
    if options.file:
        return run_input(options.file.read_bytes())
    corpus = FUZZ_DIRECTORY / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    bounds = (
        f"-max_total_time={options.seconds}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={MAX_SECONDS}",
        "-rss_limit_mb=1024",
    )
    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={FUZZ_DIRECTORY}/", *bounds], run_input)
    atheris.Fuzz()
    return None


if __name__ == "__main__":
    main()
