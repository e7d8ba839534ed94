"""Fuzz targets beyond the wire, each with its oracle: folding, names, config files, control socket, sessions.

A target takes any bytes. It may refuse them with the errors that are meant for that. Any other exception, work out of
proportion to the input, and anything that is left afterwards is a defect.
"""

from __future__ import annotations

import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from inspect import isfunction, signature
from pathlib import Path
from typing import Any, Final

import gevent
from gevent import socket

from gmessenger import names
from gmessenger.chat.admin import ADMIN_METHODS
from gmessenger.config.files import open_file, section_parser
from gmessenger.config.parser import CLIENT, SERVER, default_config, parse_options
from gmessenger.errors import BadName, ExitError
from gmessenger.paths import control_socket
from gmessenger.store import search_text
from tests.fuzz import irc, jim, web
from tests.fuzz.draws import Draw
from tests.fuzz.servers import TIMEOUT, add_account, server

GROWTH_MARGIN: Final = 256
GROWTH: Final = 64
"""Characters that one may become: NFKC makes 18 of one, and bigrams twice as many."""

Attempt = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """What is run for each input, and the first inputs; `open` sets up, and checks afterwards that nothing is left."""

    open: Callable[[], AbstractContextManager[Attempt]]
    seeds: Callable[[], Iterable[bytes]]


# Folding and names: texts.

TEXTS: Final = (
    *(
        "hello world",
        "grüße Łódź smørrebrød",
        "ЁЖИК їжак",
        "東京都 今日は",
        "ภาษาไทย",
        "हिन्दी",
        "한국어 가각",
        "é" * 9,
        "İıſß",
    ),
    *(
        "\ufdfa" * 64,
        "\uac01" * 64,
        "e\u0301\u0323" * 64,
        "\u0e33\u0eb3" * 32,
        "\U0001f1e6\U0001f1e7" * 32,
        "👩\u200d👩\u200d👧",
    ),
    *(
        "a" * 400,
        "a b " * 200,
        "\u3300" * 64,
        "\u202eabc\u2066",
        "\x00\x1b[2J",
        "hаnk",
        "ＨＡＮＫ",
        "paypa1",
        "a\u200bb",
        "-._",
    ),
)


def text_of(data: bytes) -> str:
    """Return a text as the wire may accept: UTF-8 without NUL; other bytes choose characters."""
    try:
        return data.decode().replace("\0", "")
    except UnicodeDecodeError:
        draw = Draw(data)
        blocks = (
            0x20,
            0x300,
            0x590,
            0x900,
            0xE00,
            0x1100,
            0x3040,
            0x4E00,
            0xAC00,
            0xFB00,
            0xFDF0,
            0xFF00,
            0x1F1E6,
            0x1D400,
        )
        return "".join(chr(draw.choice(blocks) + draw.byte()) for _ in range(len(data) // 2))


def weight(result: object) -> int:
    """Return the number of characters of a result."""
    return len(result) if isinstance(result, str) else sum(map(weight, result)) if isinstance(result, Iterable) else 1


FOLDERS: Final = {
    name: function
    for name, function in vars(search_text).items()
    if isfunction(function)
    and not name.startswith("_")
    and function.__module__ == search_text.__name__
    and [parameter.annotation for parameter in signature(function).parameters.values()] == ["str"]
}
"""All public functions of search_text that take a text."""


def fold_text(data: bytes) -> None:
    text = text_of(data)
    for name, function in FOLDERS.items():
        result = function(text)
        assert weight(result) <= GROWTH * len(text) + GROWTH_MARGIN, f"{name} makes too much of it"
        assert result == function(text), f"{name} is not the same twice"
    query_words = {piece for phrase in search_text.parse_query(text) for piece in phrase}
    words = next(FOLDERS[name] for name in ("tokenize", "words") if name in FOLDERS)(text)
    assert len(text) > 500 or query_words <= set(words), "what is said is not found by itself"


def require_message_for_people(error: Exception) -> None:
    """Check that an error is one line for people, of bounded length."""
    message = str(error)
    assert message.strip() and "\n" not in message.strip() and "Traceback" not in message, message
    assert len(message) < 20_000, message


def name_text(data: bytes) -> None:
    text = text_of(data)
    assert names.fold(names.fold(text)) == names.fold(text) or len(text) > names.MAX_RAW_NAME, "folding goes on and on"
    try:
        name = names.check_name(text)
    except BadName as error:
        require_message_for_people(error)
        return
    assert names.check_name(name) == name, "what is taken is not taken again"
    assert 0 < len(name) <= names.MAX_NAME and unicodedata.is_normalized("NFKC", name)
    assert name.isprintable() and not any(unicodedata.bidirectional(char) in ("RLO", "LRO", "RLI") for char in name)
    assert " " not in name and names.fold(name) not in names.RESERVED | names.SERVICE_NAMES
    assert names.fold(name) == names.fold(text)


# Config files: their content is accepted, or refused with one line.


COMMANDS: Final = (SERVER, CLIENT)
VALUES: Final = (
    "",
    "yes",
    "-1",
    "1e309",
    "9" * 400,
    "x\0y",
    "[::1]:7",
    "~",
    "%(x)s",
    "\n  a\n  b",
    "ж # ;",
    "\u202e",
    "1 ; 2",
)
FULL_PARSE_INTERVAL: Final = 48
"""One of so many inputs is parsed with the whole command line, which takes a hundred times as long."""


def config_seeds() -> Iterator[bytes]:
    for command in COMMANDS:
        yield default_config(command).encode()
        for number, row in enumerate(command.rows):
            for value in (row.default_text, *(VALUES[(number + index) % len(VALUES)] for index in range(4))):
                yield f"[{command.section}]\n{row.key.replace('_', '-')} = {value}\n".encode()
    yield from (
        b"",
        b"[server",
        b"port=1",
        b"[server]\nport=1\nport=2",
        b"\xef\xbb\xbf[server]\n",
        b"\xff\xfe",
        b"[DEFAULT]\nx=1",
    )


@contextmanager
def config_file() -> Iterator[Attempt]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "it.ini")

        def attempt(data: bytes) -> None:
            file.write_bytes(data)
            for command in COMMANDS:
                try:
                    with open_file(str(file)) as stream:
                        section_parser(command.section, command.rows, command.rows)().parse(stream)
                    if sum(data) % FULL_PARSE_INTERVAL == 0:
                        parse_options(command, ["-c", str(file)], {"HOME": folder})
                except ExitError as error:
                    require_message_for_people(error)

        yield attempt


# The control socket: any line gets a response, and none causes an internal error.


def control_seeds() -> Iterator[bytes]:
    values: tuple[Any, ...] = ("hank", "#dev", "", "1.2.3.4", "x\0", "\ud7ff", 0, -1, 2**63, 1e308, None, True, [], {})
    for name, method in ADMIN_METHODS.items():
        fields = [field.name for field in method.fields]
        for value in values:
            yield json.dumps({"verb": name, "arguments": dict.fromkeys(fields, value)}).encode()
        yield json.dumps({"verb": name, "arguments": {}}).encode()
    yield from (b"{}", b"[]", b'{"verb":{}}', b'{"verb":"status","arguments":[]}', b"\xff", b"[" * 5000, b"null")


@contextmanager
def operator() -> Iterator[Attempt]:
    with tempfile.TemporaryDirectory() as folder, server(store=f"sqlite:///{folder}/fuzzed.db") as app:
        path = str(control_socket(Path(folder, "fuzzed.db"), app.port))

        def attempt(data: bytes) -> None:
            with gevent.Timeout(TIMEOUT), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                sock.sendall(data.replace(b"\n", b" ") + b"\n")
                response = json.loads(sock.makefile("rb").readline())
            assert set(response) in ({"answer"}, {"error", "sentence"})
            assert response.get("error") != "internal_error" and app.supervisor.failure_count == 0, response

        yield attempt


# Sessions.


def irc_session(data: bytes) -> None:
    """Run one input on a server of its own."""
    options = {"irc_port": 0, "irc_name": "irc.fuzz", "irc_guest_rooms": True, "message_rate": 0, "request_rate": 0}
    irc.run_session(
        lambda: server(store="memory:", **options),
        add_account,
        lambda app: jim.open_connection(app, "account", 0),
        jim.frame,
        data,
    )


@contextmanager
def without_setup(attempt: Attempt) -> Iterator[Attempt]:
    yield attempt


TARGETS: Final[dict[str, Target]] = {
    "folding": Target(lambda: without_setup(fold_text), lambda: (text.encode() for text in TEXTS)),
    "names": Target(lambda: without_setup(name_text), lambda: (text.encode() for text in TEXTS)),
    "config": Target(config_file, config_seeds),
    "control": Target(operator, control_seeds),
    "sessions": Target(lambda: without_setup(jim.run_session), jim.seeds),
    "irc": Target(lambda: without_setup(irc_session), irc.seeds),
    "web": Target(
        lambda: web.web_endpoint(lambda: server(store="memory:", web="127.0.0.1:0", web_timeout=1.0)), web.seeds
    ),
}
