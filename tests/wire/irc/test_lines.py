"""Lines of IRC: read however they are cut, bounded in length, and written so that nothing can get out of its place."""

from __future__ import annotations

import pytest

from gmessenger.wire.irc.lines import (
    MAX_PENDING,
    BadLine,
    Line,
    LineDecoder,
    clip_text,
    escape_tag,
    format_line,
    format_tags,
    parse_line,
    quote_param,
    unescape_tag,
)

# (what is received, its lines)
PRIVMSG = Line("PRIVMSG", ["#dev", "hi there"])
STREAMS: list[tuple[bytes, list[Line | BadLine]]] = [
    (b"PRIVMSG #dev :hi there\r\n", [PRIVMSG]),
    (b"privmsg  #dev   :hi there\n", [PRIVMSG]),
    (b"\r\n\n \n\r\n:hank\n@a=b\r\n@a=b :hank \n:hank :hi\nPRIVMSG #dev :hi there\n", [PRIVMSG]),
    (b"JOIN :\r\n", [Line("JOIN", [""])]),
    (b"JOIN :#a\r\nPART #a\r\n", [Line("JOIN", ["#a"]), Line("PART", ["#a"])]),
    ("приват ☃\n".encode(), [Line("приват", ["☃"])]),
    (b"@+x=1;label=a\\sb :hank PING\n", [Line("PING", [], {"+x": "1", "label": "a b"}, "hank")]),
    (b"@;=1;a;;b= PING\n", [Line("PING", [], {"a": "", "b": ""})]),
    (b"@a PING \x01x\x01\tb\n", [Line("PING", ["\x01x\x01\tb"], {"a": ""})]),
    (b"privmsg #dev :\xff\r\nPING 1\n", [BadLine("not_utf8", "PRIVMSG", None), Line("PING", ["1"])]),
    (b"@label=7;+a=\xff PRIVMSG #dev hi\n", [BadLine("not_utf8", "PRIVMSG", "7")]),
    (b"@label=\xff PRIVMSG #dev hi\n", [BadLine("not_utf8", "PRIVMSG", None)]),
    (b"@label=a\\sb :hank USER \xe8 * * :x\n", [BadLine("not_utf8", "USER", "a b")]),
    (b"\xff\xff #dev\n", [BadLine("not_utf8", "", None)]),
    (b"PING \0\nPING\n", [BadLine("nul", "PING", None), Line("PING", [])]),
    (b"@label=\0;+x PING\n", [BadLine("nul", "PING", None)]),
    (b"@label=1;+x=\0 PING\n", [BadLine("nul", "PING", "1")]),
    (b"PRIVMSG #dev :hi\rQUIT\n", [BadLine("nul", "PRIVMSG", None)]),
    (b"PING 1\r\r\n", [BadLine("nul", "PING", None)]),
    (b"PI\0NG\n", [BadLine("nul", "", None)]),
    (b"PING " + b"x" * 505 + b"\r\n", [Line("PING", ["x" * 505])]),
    (b"PING " + b"x" * 505 + b"\n", [Line("PING", ["x" * 505])]),
    (b"ping " + b"x" * 506 + b"\r\nPING\n", [BadLine("too_long", "PING", None), Line("PING", [])]),
    (b"ping " + b"x" * 506 + b"\nPING\n", [BadLine("too_long", "PING", None), Line("PING", [])]),
    (b"ping " + b"x" * 505 + b"\r\r\nPING\n", [BadLine("too_long", "PING", None), Line("PING", [])]),
    (b"x" * 100_000 + b"\nPING\n", [BadLine("too_long", "", None), Line("PING", [])]),
    (b"\xff\0" * 2000 + b"\n", [BadLine("too_long", "", None)]),
    (b"@+a=" + b"x" * 4091 + b" " + b"y" * 510 + b"\r\n", [Line("Y" * 510, [], {"+a": "x" * 4091})]),
    (b"@+a=" + b"x" * 4092 + b" PING\r\nPING\n", [BadLine("too_long", "", None), Line("PING", [])]),
    (b"@label=1;+a=" + b"x" * 4084 + b" PING\r\n", [BadLine("too_long", "", "1")]),
    (b"@label=1;+a=" + b"x" * 90_000 + b"\r\nPING\n", [BadLine("too_long", "", "1"), Line("PING", [])]),
    (b"@label=" + b"x" * 5000 + b" PING\n", [BadLine("too_long", "", None)]),
    (b"@+a=1;label=q :hank PING " + b"x" * 506 + b"\n", [BadLine("too_long", "PING", "q")]),
    (b"@+a=1 PRIVMSG #dev :" + b"x " * 300 + b"\n", [BadLine("too_long", "PRIVMSG", None)]),
    (b"@" + b"x" * 4094 + b"\r\nPING\n", [Line("PING", [])]),
    (b"@+a=" + b"x" * 4200 + b";label=1;b PING\n", [BadLine("too_long", "", None)]),
    (b":" + b"x" * 600 + b" PING\n", [BadLine("too_long", "", None)]),
    (b"  :hank  ping  \n@a  :hank PING :\n", [Line("PING", [], source="hank"), Line("PING", [""], {"a": ""}, "hank")]),
    (b"PING\n@+a=" + b"x" * 4000 + b" PING\n", [Line("PING", []), Line("PING", [], {"+a": "x" * 4000})]),
    (b"@" + b"x" * 4095 + b"\r\n", [BadLine("too_long", "", None)]),
]


def decode(*pieces: bytes) -> list[Line | BadLine]:
    decoder, decoded = LineDecoder(), []
    for piece in pieces:
        decoded += decoder.feed(piece)
    return decoded


@pytest.mark.parametrize(("data", "lines"), STREAMS)
def test_lines_are_read_whole_and_byte_by_byte(data: bytes, lines: list[Line | BadLine]) -> None:
    assert decode(data) == lines
    assert decode(*(bytes([byte]) for byte in data)) == lines


@pytest.mark.parametrize(("data", "lines"), [row for row in STREAMS if len(row[0]) < 6000])
def test_lines_are_read_wherever_they_are_cut(data: bytes, lines: list[Line | BadLine]) -> None:
    for cut in {*range(0, len(data), 1 + len(data) // 500), *range(500, min(len(data), 530))}:
        assert decode(data[:cut], data[cut:]) == lines
    data, lines = data + b"rubbish \xff\0 that has no end", [*lines]
    assert decode(data) == decode(data[:-30], data[-30:]) == lines


def test_the_rest_is_kept_until_it_ends() -> None:
    decoder = LineDecoder()
    assert not decoder.is_pending
    assert decoder.feed(b"PING 1\r\nPI") == [Line("PING", ["1"])] and decoder.is_pending
    assert decoder.feed(b"NG") == [] and decoder.is_pending
    assert decoder.feed(b"\n") == [Line("PING", [])] and not decoder.is_pending
    assert decoder.feed(b"x" * 600) == [BadLine("too_long", "", None)] and decoder.is_pending
    assert decoder.feed(b"x" * 600) == [] and decoder.is_pending
    assert decoder.feed(b"\n") == [] and not decoder.is_pending


@pytest.mark.parametrize("begin", [b"", b"@", b"@a ", b"PING ", b"@" + b"x" * 4094 + b" "])
@pytest.mark.parametrize("size", [1, 3, 511, 512, 4097, 70_000])
def test_no_more_than_one_line_is_kept(begin: bytes, size: int) -> None:
    decoder, bad = LineDecoder(), 0
    for data in (begin, *(b"x" * size for _ in range(1 + 10_000 // size))):
        bad += len(decoder.feed(data))
        assert len(decoder._tail) <= MAX_PENDING
    assert (bad, decoder._tail) == (1, b"")


class CountedBytes(bytearray):
    """Counts the bytes that are looked at."""

    looked_at = 0

    def find(self, sub: bytes, start: int = 0) -> int:  # type: ignore[override]
        self.looked_at += len(self) - start
        return super().find(sub, start)  # type: ignore[arg-type]


def test_a_line_that_comes_byte_by_byte_is_looked_at_once() -> None:
    decoder = LineDecoder()
    decoder._tail = tail = CountedBytes()
    decoder.feed(b"@")
    for _ in range(4090):
        decoder.feed(b"x")
    assert len(tail) == 4091 and 4091 <= tail.looked_at < 2 * 4091


WRITTEN: list[tuple[tuple[object, ...], dict[str, object], bytes]] = [
    (("", "PING"), {}, b"PING\r\n"),
    (("irc.test", "PONG", ["irc.test", "x"]), {}, b":irc.test PONG irc.test x\r\n"),
    (("", "PRIVMSG", ["#a", "hi"]), {"trailing": True}, b"PRIVMSG #a :hi\r\n"),
    (("", "PRIVMSG", ["#a", ""]), {}, b"PRIVMSG #a :\r\n"),
    (("", "PRIVMSG", ["#a", ":)"]), {}, b"PRIVMSG #a ::)\r\n"),
    (("", "PRIVMSG", ["#a", "hi there"]), {}, b"PRIVMSG #a :hi there\r\n"),
    (("", "TAGMSG", ["#a"], {}), {}, b"TAGMSG #a\r\n"),
    (("", "TAGMSG", ["#a"], {"time": "1", "+x": "a; b\\\r\n", "y": None, "z": ""}), {},
     b"@time=1;+x=a\\:\\sb\\\\\\r\\n;y;z TAGMSG #a\r\n"),
    (("", "P", ["x" * 600]), {}, b"P " + b"x" * 508 + b"\r\n"),
    (("", "P", ["x" * 600]), {"trailing": True}, b"P :" + b"x" * 507 + b"\r\n"),
    (("", "P", ["x" + "☃" * 600]), {}, b"P x" + "☃".encode() * 169 + b"\r\n"),
    (("", "P", ["☃" * 600], {"+a": "x" * 8186}), {}, b"@+a=" + b"x" * 8186 + b" P " + "☃".encode() * 169 + b"\r\n"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "options", "line"), WRITTEN)
def test_a_line_is_written(parts: tuple[object, ...], options: dict[str, object], line: bytes) -> None:
    written = format_line(*parts, **options)  # type: ignore[arg-type]
    assert written == line
    assert len(written.partition(b" P ")[2] or written) <= 512


@pytest.mark.parametrize("inner", ["\r", "\n", "\0", "a\rQUIT", "\r\nQUIT :"])
@pytest.mark.parametrize("place", range(5))
def test_nothing_that_ends_a_line_gets_into_one(place: int, inner: str) -> None:
    parts = ["irc.test", "PRIVMSG", "#a", "hi", "key"]
    parts[place] = f"a{inner}b"
    source, command, target, text, key = parts
    with pytest.raises(ValueError):
        format_line(source, command, [target, text], {key: "x"})


@pytest.mark.parametrize(
    "parts",
    [
        ("a b", "PING"),
        (":a", "PING"),
        ("a", ""),
        ("a", "PING PONG"),
        ("a", ":PING"),
        ("a", "PING", ["", "x"]),
        ("a", "PING", ["x y", "x"]),
        ("a", "PING", [":x", "x"]),
        ("a" * 600, "PING", ["x"]),
        ("a", "PING", ["x" * 600, "x"]),
        ("a", "PING", ["x" * 500, "☃"]),
        ("a", "PING" * 200),
        ("a", "PING", ["\ud800"]),
        ("a", "PING", [], {"": "x"}),
        ("a", "PING", [], {"a b": "x"}),
        ("a", "PING", [], {"a;b": "x"}),
        ("a", "PING", [], {"a=b": "x"}),
        ("a", "PING", [], {"a": "\0"}),
        ("a", "PING", [], {"a": "x" * 8190}),
    ],
)
def test_what_no_line_can_have_is_refused(parts: tuple[object, ...]) -> None:
    with pytest.raises(ValueError):
        format_line(*parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "a", "a;b c\\d\re\nf", "\\", "\\s", ";:", " ", "☃\u2028"])
def test_a_tag_is_read_as_it_was_written(value: str) -> None:
    assert unescape_tag(escape_tag(value)) == value
    assert parse_line(f"@{format_tags({'a': value, 'b': value})} PING").tags == {"a": value, "b": value}


@pytest.mark.parametrize(
    ("room", "clipped"), [(-1, ""), (0, ""), (1, "a"), (3, "a"), (4, "a☃"), (6, "a☃b"), (99, "a☃b")]
)
def test_a_text_is_clipped_between_characters(room: int, clipped: str) -> None:
    assert clip_text("a☃b", room) == clipped


@pytest.mark.parametrize(
    ("param", "quoted"),
    [
        ("hank", "hank"),
        ("", "*"),
        (" ", "*"),
        (":", "*"),
        (": :x y", "x"),
        ("a b", "a"),
        ("x" * 600, "x" * 200),
        ("☃" * 100, "☃" * 66),
    ],
)
def test_any_parameter_can_be_quoted(param: str, quoted: str) -> None:
    assert quote_param(param) == quoted
    format_line("irc.test", "403", ["hank", quoted, "No such channel"])
