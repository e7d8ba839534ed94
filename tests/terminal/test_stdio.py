"""Lines in and bytes out: split anywhere, with descriptors that block, close or fail."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from gevent.os import tp_read

from gmessenger.errors import FileError
from gmessenger.terminal.line_terminal import LineTerminal
from gmessenger.terminal.stdio import MAX_LINE, MAX_QUEUED_LINES, OutputWriter, StdinReader, TruncatedLine, TtyReader
from tests.support.pty_client import close
from tests.support.timeouts import TEST_TIMEOUT as TIMEOUT

Pipe = Callable[[], tuple[int, int]]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends: list[int] = []

    def open_pipe() -> tuple[int, int]:
        ends.extend(os.pipe())
        return ends[-2], ends[-1]

    yield open_pipe
    for end in ends:
        with suppress(OSError):
            close(end)


def read_lines(pipe: Pipe, *pieces: bytes, kind: type[StdinReader] = StdinReader) -> list[str | TruncatedLine]:
    """Return the lines that are read from these pieces of input."""
    reading, writing = pipe()

    def feed() -> None:
        for piece in pieces:
            os.write(writing, piece)
            gevent.sleep(0.001)
        close(writing)

    gevent.spawn(feed)
    with gevent.Timeout(TIMEOUT):
        return list(kind(reading))


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"no newline at the end"], ["no newline at the end"]),
        ([b"\n\n"], ["", ""]),
        ([b"dos\r\nfile\r\n"], ["dos", "file"]),
        ([b"in ", b"two", b" pieces\n"], ["in two pieces"]),
        (["привет".encode()[:3], "привет".encode()[3:] + b"\n"], ["привет"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([b"cut short \xd0"], ["cut short \ufffd"]),
        ([b"\x00\x1b\n"], ["\x00\x1b"]),
        (["\u2028not a line end\x85\n".encode()], ["\u2028not a line end\x85"]),
    ],
)
def test_lines(pipe: Pipe, pieces: list[bytes], lines: list[str]) -> None:
    assert read_lines(pipe, *pieces) == lines


def test_a_line_without_end_is_bounded_and_reported(pipe: Pipe) -> None:
    pieces = [b"x" * 60_000] * 6 + [b"\nshort\n"]
    assert read_lines(pipe, *pieces) == [TruncatedLine(MAX_LINE, "characters"), "short"]


def test_a_line_that_a_terminal_has_cut_is_reported(pipe: Pipe) -> None:
    assert read_lines(pipe, b"x" * 4095 + b"\nshort\n", kind=TtyReader) == [
        TruncatedLine(4095, "bytes typed at once"),
        "short",
    ]
    assert read_lines(pipe, b"x" * 4094 + b"\n", kind=TtyReader) == ["x" * 4094]


def test_a_descriptor_that_somebody_made_non_blocking(pipe: Pipe) -> None:
    reading, writing = pipe()
    os.set_blocking(reading, False)
    gevent.spawn_later(0.02, os.write, writing, b"late\n")
    with gevent.Timeout(TIMEOUT):
        assert next(StdinReader(reading)) == "late"


def test_a_closed_descriptor_is_the_end() -> None:
    reading, writing = os.pipe()
    close(reading), close(writing)
    assert list(StdinReader(reading)) == []


def start_writer(output: OutputWriter) -> gevent.Greenlet:
    return gevent.spawn(output.run, lambda: None)


def test_output_in_order(pipe: Pipe) -> None:
    reading, writing = pipe()
    output = OutputWriter(writing)
    output.write_line("one")
    greenlet = start_writer(output)
    output.write_bytes(b"\x00\xff\n")
    output.write("")
    assert output.drain(TIMEOUT)
    assert os.read(reading, 100) == b"one\n\x00\xff\n"
    greenlet.kill()


def test_what_the_encoding_cannot_say(pipe: Pipe) -> None:
    reading, writing = pipe()
    output = OutputWriter(writing, "ascii")
    greenlet = start_writer(output)
    output.write_line("при\ud83d")
    assert output.drain(TIMEOUT)
    assert os.read(reading, 100) == rb"\u043f\u0440\u0438\ud83d" + b"\n"
    greenlet.kill()


def test_a_reader_that_stops_holds_back_the_writer_and_nothing_else(pipe: Pipe) -> None:
    reading, writing = pipe()
    output = OutputWriter(writing)
    greenlet = start_writer(output)
    line = "x" * 1023
    written = 0

    def write() -> None:
        nonlocal written
        for _ in range(2000):
            output.write_line(line)
            written += 1

    writer = gevent.spawn(write)
    writer.join(timeout=0.2)
    assert not writer.ready() and not output.drain(0)
    assert MAX_QUEUED_LINES <= written < 2000
    received = 0
    while received < 2000 * 1024:
        received += len(tp_read(reading, 65_536))
    writer.get(timeout=TIMEOUT)
    assert output.drain(TIMEOUT)
    greenlet.kill()


def test_a_reader_that_leaves(pipe: Pipe) -> None:
    reading, writing = pipe()
    calls: list[bool] = []
    output = OutputWriter(writing)
    greenlet = gevent.spawn(output.run, lambda: calls.append(True))
    close(reading)
    writers = [gevent.spawn(output.write_line, "x") for _ in range(MAX_QUEUED_LINES * 2)]
    gevent.joinall(writers, timeout=TIMEOUT, raise_error=True)
    greenlet.get(timeout=TIMEOUT)
    assert calls == [True]
    assert not output.drain(TIMEOUT)  # nothing to wait for, and not written
    output.write_line("into the void")


def test_a_full_disk_is_a_fault() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    output = OutputWriter(full)
    greenlet = start_writer(output)
    output.write_line("x")
    with pytest.raises(FileError, match="No space left"):
        greenlet.get(timeout=TIMEOUT)
    close(full)


class RecordingOutput:
    """An output that records what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


WIPED = "\r" + " " * 79 + "\r"


def test_the_prompt_stays_below_everything() -> None:
    output = RecordingOutput()
    terminal = LineTerminal(output, is_interactive=True)  # type: ignore[arg-type]
    terminal.show("hello")
    terminal.prompt("to da\x1ble> ")
    terminal.show("news")
    terminal.on_line_typed()
    terminal.show("sent")
    terminal.prompt("to dale> ")
    terminal.clear_prompt()
    assert output.text == f"hello\nto da^[le> {WIPED}news\nto da^[le> sent\nto dale> {WIPED}"


def test_long_lines_are_broken_between_words() -> None:
    output = RecordingOutput()
    terminal = LineTerminal(output, is_interactive=True)  # type: ignore[arg-type]
    address = "see https://example.org/" + "x" * 100
    terminal.show("word  " * 20 + "\n" + address + "\n\n  indented")
    first, second, *rest = output.text.split("\n")
    assert first == ("word  " * 13).rstrip() and second == "   " + ("word  " * 7).rstrip()
    assert rest == [address, "", "  indented", ""]


def test_no_prompt_in_a_pipe() -> None:
    output = RecordingOutput()
    terminal = LineTerminal(output, is_interactive=False)  # type: ignore[arg-type]
    terminal.prompt("to dale> ")
    terminal.show("news")
    terminal.clear_prompt()
    assert output.text == "news\n"
