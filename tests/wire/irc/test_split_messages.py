"""Reads of many plain messages: the same as `LineDecoder` finds, or nothing."""

from __future__ import annotations

import random

import pytest

from gmessenger.wire.irc.lines import Line, LineDecoder, split_messages

PLAIN = [
    b"PRIVMSG dale :hi\r\n" * 3,
    b"PRIVMSG dale :one\r\nPRIVMSG #alley :two\r\nPRIVMSG dale :three\r\n",
    b"PRIVMSG dale :one\nPRIVMSG dale :two\n",
    "PRIVMSG дейл :привет\r\nPRIVMSG дейл :как дела\r\n".encode(),
    b"PRIVMSG dale :a\r\nPRIVMSG dale :PRIVMSG dale :b\r\n",
]
OTHERS = [
    b"PRIVMSG dale :one\r\nPING x\r\n",
    b"PRIVMSG dale :one\r\nPRIVMSG dale :\r\n",
    b"PRIVMSG dale :one\r\nPRIVMSG dale :\x01VERSION\x01\r\n",
    b"PRIVMSG dale,bill :one\r\nPRIVMSG dale,bill :two\r\n",
    b"PRIVMSG $* :one\r\nPRIVMSG $* :two\r\n",
    b"PRIVMSG dale :one\r\nprivmsg dale :two\r\n",
    b"PRIVMSG dale :caf\xe9\r\nPRIVMSG dale :two\r\n",
    b"PRIVMSG dale :nul\0\r\nPRIVMSG dale :two\r\n",
    b"PRIVMSG dale :cr\rcr\r\nPRIVMSG dale :two\r\n",
    b"PRIVMSG dale :one\r\n\r\nPRIVMSG dale :two\r\n",
    b"PRIVMSG dale :" + b"x" * 500 + b"\r\nPRIVMSG dale :two\r\n",
    b"PRIVMSG dale one\r\nPRIVMSG dale :two\r\n",
    b"PRIVMSG dale :no end",
]


def by_target(data: bytes) -> dict[str, list[str]]:
    """Return what `LineDecoder` makes of messages."""
    found: dict[str, list[str]] = {}
    for line in LineDecoder().feed(data):
        assert isinstance(line, Line)
        found.setdefault(line.params[0], []).append(line.params[1])
    return found


@pytest.mark.parametrize("data", PLAIN)
@pytest.mark.parametrize("rest", [b"", b"PRIVMSG dale :half", b"x"])
def test_plain_messages_are_found_as_line_by_line(data: bytes, rest: bytes) -> None:
    assert split_messages(data + rest) == (by_target(data), rest)


@pytest.mark.parametrize("data", OTHERS)
def test_anything_else_is_left(data: bytes) -> None:
    assert split_messages(data) == ({}, data)


def test_random_reads_are_never_understood_in_another_way() -> None:
    draw = random.Random(7)
    pieces = [b"PRIVMSG ", b"dale", b" :", b"\r\n", b"\n", b"x", b"\r", b"\0", b"\x01", b":", b" ", b"#a", b","]
    understood = 0
    for _ in range(20_000):
        data = b"PRIVMSG dale :" + b"".join(
            draw.choices(pieces, weights=[6, 6, 6, 6, *[1] * 9], k=draw.randrange(1, 14))
        )
        messages, rest = split_messages(data)
        if messages:
            understood += 1
            assert by_target(data[: len(data) - len(rest)]) == messages
    assert understood > 500
