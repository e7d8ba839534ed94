"""Values in config files: comments after them, home directories, hosts with ports, and bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmessenger.config.parser import CLIENT, SERVER, Program, default_config, parse_options
from gmessenger.errors import ConfigError, UsageError


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    return tmp_path / "some.ini"


COMMENTED = [
    (SERVER, "port", "4711 # the usual", 4711),
    (SERVER, "port", "4711\t; the usual", 4711),
    (SERVER, "port", "4711 #the usual", 4711),
    (SERVER, "log-level", "debug ; while looking", "debug"),
    (SERVER, "guests", "no # not here", False),
    (SERVER, "ip", "127.0.0.1 # only here", "127.0.0.1"),
    (SERVER, "store", "sqlite:////srv/chat.db # on the fast disk", "sqlite:////srv/chat.db"),
    (SERVER, "store", "sqlite:////srv/my chat#1.db", "sqlite:////srv/my chat#1.db"),
    (SERVER, "proxy-from", "192.0.2.1, 192.0.2.2 # both", None),
    (SERVER, "greeting", "Welcome to #dev ; have fun # shown to all", "Welcome to #dev ; have fun"),
    (SERVER, "greeting", "We are #1", "We are #1"),
    (SERVER, "greeting", "It's 5 o'clock # don't ask", "It's 5 o'clock"),
    (CLIENT, "name", "hank # that is me", "hank"),
    (SERVER, "greeting", "# none", ""),
    (SERVER, "greeting", "#dev is where we meet", "#dev is where we meet"),
]


@pytest.mark.parametrize(
    ("command", "key", "text", "value"), COMMENTED, ids=[f"{row[1]}-{row[2]}" for row in COMMENTED]
)
def test_a_comment_behind_a_value_is_no_part_of_it(
    command: Program[object], key: str, text: str, value: object, ini: Path
) -> None:
    ini.write_text(f"[{command.section}]\n{key} = {text}\n")
    found = getattr(parse_options(command, ["-c", str(ini)], {}), key.replace("-", "_"))
    assert str(found[1]) == "192.0.2.2/32" if value is None else found == value


@pytest.mark.parametrize("comment", ["# none", "; none", "\t#none", "# a # b"])
@pytest.mark.parametrize(
    ("command", "key"),
    [*((SERVER, key) for key in ("port", "max-rooms", "log-file", "bus", "store", "proxy-from")), (CLIENT, "name")],
)
def test_a_comment_behind_no_value_sets_nothing(command: Program[object], key: str, comment: str, ini: Path) -> None:
    ini.write_text(f"[{command.section}]\n{key} = {comment}\n")
    assert parse_options(command, ["-c", str(ini)], {}) == parse_options(command, [], {})


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_every_key_of_the_shipped_file_may_have_a_comment_behind_it(command: Program[object], ini: Path) -> None:
    lines = default_config(command).splitlines()
    for row in command.rows:
        lines = [line.replace(f"# {row.long_name[2:]} =", f"{row.long_name[2:]} =", 1) for line in lines]
    ini.write_text("\n".join(f"{line} # as shipped" if " = " in line and line[0] != "#" else line for line in lines))
    assert parse_options(command, ["-c", str(ini)], {}) == parse_options(command, [], {})


@pytest.mark.parametrize("key", ["tls-certificate", "log-file", "store", "ip", "health", "greeting", "port"])
def test_a_nul_is_named_and_never_gets_further(key: str, ini: Path) -> None:
    ini.write_bytes(f"[server]\n{key} = a\0b\n".encode())
    with pytest.raises(ConfigError, match=f"{key} holds a NUL character"):
        parse_options(SERVER, ["-c", str(ini)], {})


def test_a_home_directory_is_a_tilde(ini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/hank")
    ini.write_text("[server]\ntls-certificate = ~/server.pem\nlog-file = -\n")
    options = parse_options(SERVER, ["-c", str(ini)], {})
    assert (options.tls_certificate, options.log_file) == ("/home/of/hank/server.pem", "-")
    assert parse_options(CLIENT, ["--password-file=~/password"], {}).password_file == "/home/of/hank/password"


ENDPOINTS = [
    ("chat.example", "chat.example", 0),
    ("chat.example:4711", "chat.example", 4711),
    ("[::1]", "::1", 0),
    ("[::1]:4711", "::1", 4711),
    ("::1", "::1", 0),
]


@pytest.mark.parametrize(("text", "host", "port"), ENDPOINTS)
def test_a_host_may_have_a_port(text: str, host: str, port: int, ini: Path) -> None:
    ini.write_text(f"[client]\nhost = {text}\n")
    ways = [
        ([text], {}),
        (["--host", text], {}),
        (["-a", text], {}),
        ([], {"MESSENGER_HOST": text}),
        (["-c", str(ini)], {}),
    ]
    for words, environ in ways:
        options = parse_options(CLIENT, words, environ)
        assert (options.host, options.port) == (host, port)
    served = parse_options(SERVER, ["--ip", text], {})
    assert (served.ip, served.port) == (host, port or 7777)


def test_of_two_ports_that_of_the_command_line_wins(ini: Path) -> None:
    ini.write_text("[client]\nhost = chat.example:1\nport = 2\n")
    file = ["-c", str(ini)]
    assert parse_options(CLIENT, file, {}).port == 1
    assert parse_options(CLIENT, [*file, "other.example:3"], {}).port == 3
    assert parse_options(CLIENT, [*file, "-p", "4"], {}).port == 4
    assert parse_options(CLIENT, ["other.example:3"], {"MESSENGER_PORT": "5"}).port == 3
    assert parse_options(CLIENT, ["other.example:3", "3"], {}).port == 3
    with pytest.raises(UsageError, match="The port is given twice: 3 and 4"):
        parse_options(CLIENT, ["other.example:3", "4"], {})


@pytest.mark.parametrize("text", ["chat..example", "a b", "[chat]", "chat:0", "chat:70000", "x" * 64, "[::1", "a/b"])
def test_what_is_no_host_is_named(text: str, ini: Path) -> None:
    with pytest.raises(UsageError, match="expected HOST"):
        parse_options(CLIENT, [text], {})
    ini.write_text(f"[server]\nip = {text}\n")
    with pytest.raises(ConfigError, match="ip: expected HOST"):
        parse_options(SERVER, ["-c", str(ini)], {})
