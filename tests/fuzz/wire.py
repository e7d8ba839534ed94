"""Coverage-guided fuzzing of the pure wire, with atheris: `python -m tests.fuzz.wire [--seconds 60] [FILE]`.

The first four bytes of an input say which ear hears it and where it is cut; the rest is what is said. What was
interesting is kept in .fuzz/corpus for the next run, which begins with it and with the tables of the tests. An input
that breaks something is written to .fuzz, and its name printed: give it as FILE to try it again.
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
    from gmessenger.wire.jim import EventDecoder, RequestDecoder, encode

from gmessenger.errors import BadFrame
from tests.support.course_clients import VARIANTS
from tests.wire import test_course, test_framing, test_jim

HOME: Final = ROOT / ".fuzz"
HEAD: Final = 4
CAP: Final = 300
PATIENCE: Final = 10**6
LONGEST: Final = 4096
SLOWEST: Final = 5
"""Seconds for one input."""
PRESENCE: Final = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'


def pieces(cuts: bytes, said: bytes) -> Iterator[bytes]:
    """What was said, in pieces whose lengths `cuts` decides."""
    draw, start = random.Random(cuts), 0
    while start < len(said):
        end = start + draw.choice((1, 2, 7, 50, 400))
        yield said[start:end]
        start = end


def heard(hearing: RequestDecoder, chunks: Iterator[bytes]) -> list[Any]:
    found: list[Any] = []
    for chunk in chunks:
        for event in hearing.feed(chunk):
            found.append(event)
            if isinstance(event, events.InvalidFrame) and event.fatal:
                return found
        assert holds(hearing) <= CAP + len(chunk), "more is held than the cap"
    return found


def holds(hearing: RequestDecoder) -> int:
    reader: Any = hearing._lines or hearing._stream
    return len(reader._tail if hearing.is_native else reader._buffer)


def comparable(found: list[Any]) -> list[Any]:
    return [(each.error.code, each.id) if isinstance(each, events.InvalidFrame) else each for each in found]


def server(cuts: bytes, said: bytes) -> None:
    """Cut anywhere it is the same, and whatever is understood can be said on."""
    hearing = RequestDecoder(CAP, PATIENCE)
    found = heard(hearing, pieces(cuts, said))
    whole = heard(RequestDecoder(CAP, PATIENCE), iter([said]))
    assert comparable(found) == comparable(whole), (found, whole)
    for event in found:
        if isinstance(event, events.InvalidFrame):
            assert event.id is None or 0 < len(event.id.encode()) <= 64
        else:
            assert b"\n" not in encode(event)[:-1]
        if isinstance(event, events.CourseMessage):
            say(hearing.course_codec, event)


def say(codec: CourseCodec, event: events.CourseMessage) -> None:
    """A course client's own dialect brings it any message, in frames that it bears."""
    for frame in codec.encode_message("hank", "dale", event.text, event.action, 1.5):
        assert frame.endswith(b"\n") and len(frame) <= codec.dialect.max_frame
        json.loads(frame)
    for frame in (codec.encode_ok(1.5), codec.encode_error("no", 1.5), codec.encode_list(["hank"] * 200, 1.5)):
        assert len(frame) <= codec.dialect.max_frame


def native(cuts: bytes, said: bytes) -> None:
    server(cuts, PRESENCE + said)


def client(cuts: bytes, said: bytes) -> None:
    """The client's ear refuses with one error, and nothing else."""
    hearing = EventDecoder(CAP)
    try:
        for chunk in pieces(cuts, said):
            for _, event in hearing.feed(chunk):
                encode(event)
    except BadFrame:
        pass


EARS: Final[tuple[Callable[[bytes, bytes], None], ...]] = (server, native, client)


def one_input(data: bytes) -> None:
    head, said = data[:HEAD], data[HEAD:]
    EARS[head[0] % len(EARS) if head else 0](head, said)


def seeds() -> Iterator[bytes]:
    """Everything that the tests' tables say, for every ear."""
    frames = [*test_jim.GOOD, *test_jim.BAD, *test_jim.SERVER_FRAMES, *test_framing.RUBBISH]
    spelled: list[Any] = [*test_framing.OBJECTS, *test_course.NAMES, *test_course.MESSAGES]
    spelled += [each.presence("hank") for each in VARIANTS]
    spelled += [each.message("hank", "dale", "hello") for each in VARIANTS]
    frames += [each if isinstance(each, bytes) else json.dumps(each).encode() for each in spelled]
    for ear in range(len(EARS)):
        for frame in frames:
            yield bytes([ear, 0, 0, 0]) + frame + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("file", nargs="?", type=Path, help="try this input and nothing else")
    options = parser.parse_args()
    if options.file:
        return one_input(options.file.read_bytes())
    corpus = HOME / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    bounds = (f"-max_total_time={options.seconds}", f"-max_len={LONGEST}", f"-timeout={SLOWEST}", "-rss_limit_mb=1024")
    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={HOME}/", *bounds], one_input)
    atheris.Fuzz()
    return None


if __name__ == "__main__":
    main()
