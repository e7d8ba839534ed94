"""What an IRC server tells of itself: numerics, ISUPPORT and capabilities, in lines that fit."""

from __future__ import annotations

import re

import pytest

from gmessenger.wire.irc import numerics
from gmessenger.wire.irc.capabilities import (
    CAPABILITIES,
    add_implied,
    format_cap_list,
    parse_cap_request,
    parse_cap_version,
)
from gmessenger.wire.irc.isupport import MAX_TOKENS, isupport_lines
from gmessenger.wire.irc.lines import format_line
from gmessenger.wire.irc.numerics import NUMERICS, Numeric

LONGEST_NICK = "ж" * 32


def test_each_numeric_has_the_name_of_its_constant_and_a_code_of_its_own() -> None:
    constants = {name: value for name, value in vars(numerics).items() if isinstance(value, Numeric)}
    assert constants == NUMERICS
    assert all(numeric.name == name for name, numeric in constants.items())
    codes = [numeric.code for numeric in NUMERICS.values()]
    assert codes == sorted(set(codes), key=int) and len(codes) > 140
    assert all(re.fullmatch("[0-9]{3}", code) for code in codes)


def test_each_numeric_fits_into_a_line() -> None:
    for numeric in NUMERICS.values():
        assert numeric.name.startswith("ERR_" if numeric.code[0] in "45" else ("RPL_", "ERR_"))
        line = format_line("irc.test", numeric.code, [LONGEST_NICK, numeric.text])
        assert line.endswith(f"{numeric.text}\r\n".encode()) and numeric.text.strip(" .") == numeric.text


def test_tokens_are_told_in_lines_of_thirteen() -> None:
    assert isupport_lines({}) == []
    assert isupport_lines({"NETWORK": "a b=c\\d", "UTF8ONLY": None, "X": "", "Y": "é"}) == [
        ["NETWORK=a\\x20b\\x3Dc\\x5Cd", "UTF8ONLY", "X=", "Y=\\xC3\\xA9"]
    ]
    lines = isupport_lines({f"T{number}": None for number in range(30)})
    assert [len(line) for line in lines] == [MAX_TOKENS, MAX_TOKENS, 4]
    assert [token for line in lines for token in line] == [f"T{number}" for number in range(30)]


@pytest.mark.parametrize("length", [1, 20, 60, 100, 300])
def test_lines_of_tokens_fit(length: int) -> None:
    tokens: dict[str, str | None] = {f"T{number}": "x" * length for number in range(40)}
    lines = isupport_lines(tokens)
    assert sum(map(len, lines)) == 40
    for line in lines:
        written = format_line("irc.example.org", "005", [LONGEST_NICK, *line, numerics.RPL_ISUPPORT.text])
        assert written.endswith(b":are supported by this server\r\n")


@pytest.mark.parametrize(
    ("names", "room", "lines"),
    [
        ([], 10, [""]),
        (["batch"], 10, ["batch"]),
        (["batch", "sasl"], 10, ["batch sasl"]),
        (["batch", "sasl"], 9, ["batch", "sasl"]),
        (["server-time"], 5, ["server-time"]),
        (["batch", "server-time", "sasl"], 5, ["batch", "server-time", "sasl"]),
    ],
)
def test_names_are_listed_in_lines_that_fit(names: list[str], room: int, lines: list[str]) -> None:
    assert format_cap_list(names, room) == lines


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("  ", []),
        ("batch", [("batch", True)]),
        (" batch  -sasl batch ", [("batch", True), ("sasl", False), ("batch", True)]),
        ("- -- -", []),
        ("--batch sasl=PLAIN", [("-batch", False), ("sasl=PLAIN", True)]),
    ],
)
def test_a_request_is_read(text: str, wanted: list[tuple[str, bool]]) -> None:
    assert parse_cap_request(text) == wanted


@pytest.mark.parametrize(
    ("text", "version"),
    [("302", 302), ("", 0), ("0307", 307), ("-1", 0), ("3e2", 0), ("٣٠٢", 0), ("²", 0), ("9" * 5000, 0), ("1 ", 0)],
)
def test_a_version_is_read(text: str, version: int) -> None:
    assert parse_cap_version(text) == version


def test_capabilities_are_listed_with_values_and_imply_only_each_other() -> None:
    assert CAPABILITIES["sasl"].listed == "sasl=PLAIN" and CAPABILITIES["sasl"].secret
    assert CAPABILITIES["draft/multiline"].listed == "draft/multiline=max-bytes=16384,max-lines=100"
    assert CAPABILITIES["batch"].listed == "batch"
    assert list(CAPABILITIES) == sorted(CAPABILITIES)
    for capability in CAPABILITIES.values():
        assert capability.implies <= CAPABILITIES.keys()
        assert add_implied(capability.implies) == capability.implies
    assert add_implied(["labeled-response", "unknown"]) == {"labeled-response", "batch", "unknown"}
    assert add_implied([]) == frozenset()
