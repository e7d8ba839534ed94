"""The test vectors of the IRC parser tests (github.com/ircdocs/parser-tests, dedicated to the public domain by CC0).

Where ours differs the table says so: commands are read in upper case.
"""

from __future__ import annotations

import pytest

from gmessenger.wire.irc.lines import Line, format_line, parse_line
from gmessenger.wire.irc.masks import match_mask, split_source

SPLIT: list[tuple[str, Line]] = [
    ("foo bar baz asdf", Line("FOO", ["bar", "baz", "asdf"])),
    (":coolguy foo bar baz asdf", Line("FOO", ["bar", "baz", "asdf"], source="coolguy")),
    ("foo bar baz :asdf quux", Line("FOO", ["bar", "baz", "asdf quux"])),
    ("foo bar baz :", Line("FOO", ["bar", "baz", ""])),
    ("foo bar baz ::asdf", Line("FOO", ["bar", "baz", ":asdf"])),
    (":coolguy foo bar baz :asdf quux", Line("FOO", ["bar", "baz", "asdf quux"], source="coolguy")),
    (":coolguy foo bar baz :  asdf quux ", Line("FOO", ["bar", "baz", "  asdf quux "], source="coolguy")),
    (":coolguy PRIVMSG bar :lol :) ", Line("PRIVMSG", ["bar", "lol :) "], source="coolguy")),
    (":coolguy foo bar baz :", Line("FOO", ["bar", "baz", ""], source="coolguy")),
    (":coolguy foo bar baz :  ", Line("FOO", ["bar", "baz", "  "], source="coolguy")),
    ("@a=b;c=32;k;rt=ql7 foo", Line("FOO", [], {"a": "b", "c": "32", "k": "", "rt": "ql7"})),
    ("@a=b\\\\and\\nk;c=72\\s45;d=gh\\:764 foo", Line("FOO", [], {"a": "b\\and\nk", "c": "72 45", "d": "gh;764"})),
    ("@c;h=;a=b :quux ab cd", Line("AB", ["cd"], {"c": "", "h": "", "a": "b"}, source="quux")),
    (":src JOIN #chan", Line("JOIN", ["#chan"], source="src")),
    (":src JOIN :#chan", Line("JOIN", ["#chan"], source="src")),
    (":src AWAY", Line("AWAY", [], source="src")),
    (":src AWAY ", Line("AWAY", [], source="src")),
    (":cool\tguy foo bar baz", Line("FOO", ["bar", "baz"], source="cool\tguy")),
    (
        ":coolguy!ag@net\x035w\x03ork.admin PRIVMSG foo :bar baz",
        Line("PRIVMSG", ["foo", "bar baz"], source="coolguy!ag@net\x035w\x03ork.admin"),
    ),
    (
        ":coolguy!~ag@n\x02et\x0305w\x0fork.admin PRIVMSG foo :bar baz",
        Line("PRIVMSG", ["foo", "bar baz"], source="coolguy!~ag@n\x02et\x0305w\x0fork.admin"),
    ),
    (
        "@tag1=value1;tag2;vendor1/tag3=value2;vendor2/tag4= :irc.example.com COMMAND param1 param2 :param3 param3",
        Line(
            "COMMAND",
            ["param1", "param2", "param3 param3"],
            {"tag1": "value1", "tag2": "", "vendor1/tag3": "value2", "vendor2/tag4": ""},
            source="irc.example.com",
        ),
    ),
    (
        ":irc.example.com COMMAND param1 param2 :param3 param3",
        Line("COMMAND", ["param1", "param2", "param3 param3"], source="irc.example.com"),
    ),
    (
        "@tag1=value1;tag2;vendor1/tag3=value2;vendor2/tag4 COMMAND param1 param2 :param3 param3",
        Line(
            "COMMAND",
            ["param1", "param2", "param3 param3"],
            {"tag1": "value1", "tag2": "", "vendor1/tag3": "value2", "vendor2/tag4": ""},
        ),
    ),
    ("COMMAND", Line("COMMAND", [])),
    ("@foo=\\\\\\\\\\:\\\\s\\s\\r\\n COMMAND", Line("COMMAND", [], {"foo": "\\\\;\\s \r\n"})),
    (
        ":gravel.mozilla.org 432  #momo :Erroneous Nickname: Illegal characters",
        Line("432", ["#momo", "Erroneous Nickname: Illegal characters"], source="gravel.mozilla.org"),
    ),
    (":gravel.mozilla.org MODE #tckk +n ", Line("MODE", ["#tckk", "+n"], source="gravel.mozilla.org")),
    (
        ":services.esper.net MODE #foo-bar +o foobar  ",
        Line("MODE", ["#foo-bar", "+o", "foobar"], source="services.esper.net"),
    ),
    ("@tag1=value\\\\ntest COMMAND", Line("COMMAND", [], {"tag1": "value\\ntest"})),
    ("@tag1=value\\1 COMMAND", Line("COMMAND", [], {"tag1": "value1"})),
    ("@tag1=value1\\ COMMAND", Line("COMMAND", [], {"tag1": "value1"})),
    ("@tag1=1;tag2=3;tag3=4;tag1=5 COMMAND", Line("COMMAND", [], {"tag1": "5", "tag2": "3", "tag3": "4"})),
    (
        "@tag1=1;tag2=3;tag3=4;tag1=5;vendor/tag2=8 COMMAND",
        Line("COMMAND", [], {"tag1": "5", "tag2": "3", "tag3": "4", "vendor/tag2": "8"}),
    ),
    (":SomeOp MODE #channel :+i", Line("MODE", ["#channel", "+i"], source="SomeOp")),
    (
        ":SomeOp MODE #channel +oo SomeUser :AnotherUser",
        Line("MODE", ["#channel", "+oo", "SomeUser", "AnotherUser"], source="SomeOp"),
    ),
]
JOINED: list[tuple[Line, set[str]]] = [
    (Line("foo", ["bar", "baz", "asdf"]), {"foo bar baz asdf", "foo bar baz :asdf"}),
    (Line("AWAY", [], source="src"), {":src AWAY"}),
    (Line("AWAY", [""], source="src"), {":src AWAY :"}),
    (
        Line("foo", ["bar", "baz", "asdf"], source="coolguy"),
        {":coolguy foo bar baz asdf", ":coolguy foo bar baz :asdf"},
    ),
    (Line("foo", ["bar", "baz", "asdf quux"]), {"foo bar baz :asdf quux"}),
    (Line("foo", ["bar", "baz", ""]), {"foo bar baz :"}),
    (Line("foo", ["bar", "baz", ":asdf"]), {"foo bar baz ::asdf"}),
    (Line("foo", ["bar", "baz", "asdf quux"], source="coolguy"), {":coolguy foo bar baz :asdf quux"}),
    (Line("foo", ["bar", "baz", "  asdf quux "], source="coolguy"), {":coolguy foo bar baz :  asdf quux "}),
    (Line("PRIVMSG", ["bar", "lol :) "], source="coolguy"), {":coolguy PRIVMSG bar :lol :) "}),
    (Line("foo", ["bar", "baz", ""], source="coolguy"), {":coolguy foo bar baz :"}),
    (Line("foo", ["bar", "baz", "  "], source="coolguy"), {":coolguy foo bar baz :  "}),
    (Line("foo", ["b\tar", "baz"], source="coolguy"), {":coolguy foo b\tar baz", ":coolguy foo b\tar :baz"}),
    (
        Line("foo", ["bar", "baz", "  "], {"asd": ""}, source="coolguy"),
        {"@asd :coolguy foo bar baz :  ", "@asd= :coolguy foo bar baz :  "},
    ),
    (Line("foo", ["bar", "baz", "  "], {"asd": ""}, source="coolguy"), {"@asd :coolguy foo bar baz :  "}),
    (
        Line("foo", [], {"a": "b\\and\nk", "d": "gh;764"}),
        {"@a=b\\\\and\\nk;d=gh\\:764 foo", "@d=gh\\:764;a=b\\\\and\\nk foo"},
    ),
    (
        Line("foo", ["par1", "par2"], {"a": "b\\and\nk", "d": "gh;764"}),
        {
            "@a=b\\\\and\\nk;d=gh\\:764 foo par1 par2",
            "@a=b\\\\and\\nk;d=gh\\:764 foo par1 :par2",
            "@d=gh\\:764;a=b\\\\and\\nk foo par1 par2",
            "@d=gh\\:764;a=b\\\\and\\nk foo par1 :par2",
        },
    ),
    (Line("COMMAND", [], {"foo": "\\\\;\\s \r\n"}), {"@foo=\\\\\\\\\\:\\\\s\\s\\r\\n COMMAND"}),
]
"""A line, and all ways to write it."""
MASKS: list[tuple[str, list[str], list[str]]] = [
    (
        "*@127.0.0.1",
        ["coolguy!ab@127.0.0.1", "cooldud3!~bc@127.0.0.1"],
        ["coolguy!ab@127.0.0.5", "cooldud3!~d@124.0.0.1"],
    ),
    (
        "cool*@*",
        ["coolguy!ab@127.0.0.1", "cooldud3!~bc@127.0.0.1", "cool132!ab@example.com"],
        ["koolguy!ab@127.0.0.5", "cooodud3!~d@124.0.0.1"],
    ),
    (
        "cool!*@*",
        ["cool!guyab@127.0.0.1", "cool!~dudebc@127.0.0.1", "cool!312ab@example.com"],
        ["coolguy!ab@127.0.0.1", "cooldud3!~bc@127.0.0.1", "koolguy!ab@127.0.0.5", "cooodud3!~d@124.0.0.1"],
    ),
    ("cool!?username@*", ["cool!ausername@127.0.0.1", "cool!~username@127.0.0.1"], ["cool!username@127.0.0.1"]),
    ("cool!a?*@*", ["cool!ab@127.0.0.1", "cool!abc@127.0.0.1"], ["cool!a@127.0.0.1"]),
    (
        "cool[guy]!*@*",
        ["cool[guy]!guy@127.0.0.1", "cool[guy]!a@example.com"],
        ["coolg!ab@127.0.0.1", "cool[!ac@127.0.1.1"],
    ),
]
"""A mask, what it matches, and what not."""
SOURCES: list[tuple[str, tuple[str, str, str]]] = [
    ("coolguy", ("coolguy", "", "")),
    ("coolguy!ag@127.0.0.1", ("coolguy", "ag", "127.0.0.1")),
    ("coolguy!~ag@localhost", ("coolguy", "~ag", "localhost")),
    ("coolguy@127.0.0.1", ("coolguy", "", "127.0.0.1")),
    ("coolguy!ag", ("coolguy", "ag", "")),
    ("coolguy!ag@net\x035w\x03ork.admin", ("coolguy", "ag", "net\x035w\x03ork.admin")),
    ("coolguy!~ag@n\x02et\x0305w\x0fork.admin", ("coolguy", "~ag", "n\x02et\x0305w\x0fork.admin")),
]


@pytest.mark.parametrize(("text", "line"), SPLIT)
def test_a_line_is_split(text: str, line: Line) -> None:
    assert parse_line(text) == line


@pytest.mark.parametrize(("line", "written"), JOINED)
def test_a_line_is_joined(line: Line, written: set[str]) -> None:
    data = format_line(line.source, line.command, line.params, line.tags)
    assert data.endswith(b"\r\n") and data.decode()[:-2] in written


@pytest.mark.parametrize(("mask", "matched", "others"), MASKS)
def test_a_mask_matches(mask: str, matched: list[str], others: list[str]) -> None:
    assert [target for target in [*matched, *others] if match_mask(mask, target)] == matched


@pytest.mark.parametrize(("source", "parts"), SOURCES)
def test_a_source_is_split(source: str, parts: tuple[str, str, str]) -> None:
    assert split_source(source) == parts
