"""Precedence of options (command line, environment, file, default), and errors that name their source."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gmessenger.config.options import FLAG
from gmessenger.config.parser import ADMIN, CLIENT, SERVER, Program, default_config, parse_options
from gmessenger.config.types import OptionType
from gmessenger.errors import ConfigError, UsageError
from tests import ROOT

EXAMPLES: dict[type, tuple[str, Any]] = {int: ("4321", 4321), float: ("1.5", 1.5), bool: ("no", False), str: ("x", "x")}
DIGEST = ("SHA256:" + ":".join(["Ab"] * 32), "sha256:" + "ab" * 32)
EXAMPLES[tuple] = ("192.0.2.0/24,::1", (ip_network("192.0.2.0/24"), ip_network("::1")))
ROWS = [(command, row) for command in (SERVER, CLIENT) for row in command.rows]


def example(kind: OptionType, default: Any) -> tuple[str, Any]:
    """Return a value that is not the default: as text, and parsed."""
    if kind is FLAG:
        return "yes", True
    if kind.choices:
        other = next(choice for choice in kind.choices if choice != default)
        return other, other
    if kind.repeatable:
        return "graph.png", ("graph.png",)
    if kind.metavar == "sha256:HEX":
        return DIGEST
    if kind.metavar in ("SITE", "URL") and default == "":
        return "https://chat.example.org", "https://chat.example.org"
    if kind.metavar == "HOST,…":
        return "Push.example.org,example.net", ("push.example.org", "example.net")
    if kind.metavar == "SITE,…":
        return "https://gamja.example.org/, http://[::1]:8080", ("https://gamja.example.org", "http://[::1]:8080")
    if kind.metavar == "SITE":
        return "https://chat.example.org", "https://chat.example.org"
    if kind.metavar == "PORT":
        return EXAMPLES[int]
    if kind.metavar == "SECONDS":
        return EXAMPLES[float]
    if kind.metavar == "HOSTNAME":
        return "irc", "irc.local"
    if kind.metavar == "RULES":
        return "invited guests=no", "invited guests=no"
    if kind.metavar in ("PLACE", "HOST:PORT"):
        return "[::1]:9777", "[::1]:9777"
    return EXAMPLES[str if default is None else type(default)]


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    return tmp_path / "some.ini"


@pytest.mark.parametrize(
    ("command", "row"), ROWS, ids=lambda value: getattr(value, "key", getattr(value, "section", ""))
)
def test_every_option_comes_from_anywhere(command: Program[Any], row: Any, ini: Path) -> None:
    text, value = example(row.value_type, row.default)
    ini.write_text(f"[{command.section}]\n{row.long_name[2:]} = {text}\n")
    on_line = [row.long_name] if row.value_type is FLAG else [row.long_name, text]
    assert getattr(parse_options(command, [], {}), row.key) == row.default
    assert getattr(parse_options(command, on_line, {}), row.key) == value
    if row.in_environment:
        assert getattr(parse_options(command, [], {row.env_var: text}), row.key) == value
    if row.in_files:
        assert getattr(parse_options(command, ["-c", str(ini)], {}), row.key) == value
        assert getattr(parse_options(command, [], {"MESSENGER_CONFIG": str(ini)}), row.key) == value


def test_each_source_wins_over_the_next(ini: Path) -> None:
    ini.write_text("[server]\nport = 3\n")
    file, env = ["-c", str(ini)], {"MESSENGER_PORT": "2"}
    assert parse_options(SERVER, [], {}).port == 7777
    assert parse_options(SERVER, file, {}).port == 3
    assert parse_options(SERVER, file, env).port == 2
    assert parse_options(SERVER, [*file, "-p", "1"], env).port == 1


def test_a_persons_own_file_is_read_where_no_other_one_is_named(tmp_path: Path, ini: Path) -> None:
    (own := tmp_path / "gmessenger" / "client.ini").parent.mkdir()
    own.write_text("[client]\nname = own\ntls = yes\n")
    ini.write_text("[client]\nname = other\n")
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    named = [([], env), (["-c", str(ini)], env), ([], env | {"MESSENGER_CONFIG": str(ini)})]
    found = [parse_options(CLIENT, arguments, environ) for arguments, environ in named]
    assert [(options.name, options.tls) for options in found] == [("own", True), ("other", False), ("other", False)]
    assert parse_options(SERVER, [], env).port == 7777  # a server has no user config


def test_an_empty_variable_is_no_variable() -> None:
    assert parse_options(SERVER, [], {"MESSENGER_PORT": "", "MESSENGER_IP": ""}).port == 7777


def test_the_client_takes_host_and_port_without_dashes() -> None:
    options = parse_options(
        CLIENT, ["chat.example", "8888", "-n", "hank"], {"MESSENGER_HOST": "other", "MESSENGER_PORT": "1"}
    )
    assert (options.host, options.port, options.name) == ("chat.example", 8888, "hank")


@pytest.mark.parametrize("spelling", ["-a", "--ip", "--host"])
def test_the_course_spellings_of_the_address_work(spelling: str) -> None:
    assert parse_options(CLIENT, [spelling, "10.0.0.1"], {}).host == "10.0.0.1"


URL = "wss://chat.example.org/jim"


@pytest.mark.parametrize("source", ["command line", "positional", "environment", "file"])
def test_a_url_is_a_server_from_anywhere_and_its_port_wins(source: str, ini: Path) -> None:
    link = "https://chat.example.org/#invite=let-me-in"
    ini.write_text("[client]\nport = 7000\n" + (f"host = {link}\n" if source == "file" else ""))
    words = {"command line": ["-a", link], "positional": [link]}.get(source, [])
    environ = {"MESSENGER_HOST": link} if source == "environment" else {}
    options = parse_options(CLIENT, [*words, "-c", str(ini)], environ)
    assert (options.host, options.server_host, options.server_port) == (URL, "chat.example.org", 443)
    assert (options.is_encrypted, options.invite) == (True, "let-me-in")
    assert parse_options(CLIENT, ["--invite", "other", *words, "-c", str(ini)], environ).invite == "other"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["wss://chat.example.org", "-p", "8443"], "has its port in itself; 8443 is another one."),
        (["wss://chat.example.org", "8443"], "has its port in itself"),
        (["wss://"], "expected wss://HOST"),
        (["wss://hank:secret@chat.example.org"], "expected wss://HOST"),
        (["ftp://chat.example.org"], "expected HOST, HOST:PORT"),
    ],
)
def test_a_url_that_cannot_be_is_told_without_its_password(words: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as problem:
        parse_options(CLIENT, words, {})
    assert sentence in str(problem.value) and "secret" not in str(problem.value)


def test_the_port_of_the_url_may_be_repeated_and_one_of_a_file_does_not_matter(ini: Path) -> None:
    assert parse_options(CLIENT, ["wss://chat.example.org:8443", "-p", "8443"], {}).server_port == 8443
    ini.write_text(f"[client]\nhost = {URL}\n")
    with pytest.raises(UsageError, match="has its port in itself"):
        parse_options(CLIENT, ["-c", str(ini), "-p", "7777"], {})


def test_a_server_listens_at_no_url() -> None:
    with pytest.raises(UsageError, match="expected HOST"):
        parse_options(SERVER, ["--ip", URL], {})


def test_a_percent_sign_is_a_percent_sign(ini: Path) -> None:
    ini.write_text("[server]\nip = 100%(x)s\n")
    assert parse_options(SERVER, ["-c", str(ini)], {}).ip == "100%(x)s"


BAD_FILES = {
    "[server]\nprot = 1": "unknown key prot; did you mean port?",
    "[server]\nsomething-else = 1": "unknown key something-else",
    "[client]\nport = 1": "unknown section [client]; this command reads [server].",
    "[server]\nport = 1\n[other]\nx = 1": "unknown section [other]",
    "[server]\nport = one": "port: expected a port from 0 to 65535, not 'one'.",
    "[server]\nguests = perhaps": "guests: expected yes or no, not 'perhaps'.",
    "[server]\nport = 1\nport = 2": "already exists",
    "port = 1": "no section headers",
    "[server]\nnonsense": "parsing errors",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_file_is_named_with_its_fault(text: str, ini: Path) -> None:
    ini.write_text(text + "\n")
    with pytest.raises(ConfigError) as problem:
        parse_options(SERVER, ["-c", str(ini)], {})
    assert str(ini) in str(problem.value) and BAD_FILES[text] in str(problem.value)


def test_a_file_that_is_no_text_is_named(ini: Path) -> None:
    ini.write_bytes(b"[server]\nip = \xff\xfe\n")
    with pytest.raises(ConfigError, match=str(ini)):
        parse_options(SERVER, ["-c", str(ini)], {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(ini: Path) -> None:
    ini.touch(mode=0)
    with pytest.raises(ConfigError, match="Permission denied"):
        parse_options(SERVER, ["-c", str(ini)], {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "-1"),
        ("MAX_TEXT", "0"),
        ("DRAIN_TIMEOUT", "nan"),
        ("LOG_LEVEL", "loud"),
        ("GUESTS", "2"),
        ("HEALTH", "9777"),
        ("HEALTH", ":9777"),
        ("HEALTH", "127.0.0.1:"),
        ("HEALTH", "127.0.0.1:65536"),
        ("HEALTH", "unix:relative"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"MESSENGER_{name}: expected .*, not '{value}'"):
        parse_options(SERVER, [], {f"MESSENGER_{name}": value})


@pytest.mark.parametrize(
    "arguments", [["--port"], ["--port", "x"], ["--prot", "1"], ["--por", "1"], ["stray"], ["--log-level", "loud"]]
)
def test_a_bad_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="gmessenger-server --help"):
        parse_options(SERVER, arguments, {})


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_the_shipped_file_is_the_printed_one_and_says_the_defaults(
    command: Program[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = ROOT / "config" / f"{command.section}.ini"
    assert shipped.read_text("utf-8") == default_config(command)
    assert parse_options(command, ["-c", str(shipped)], {}) == parse_options(command, [], {})
    with pytest.raises(SystemExit) as ended:
        parse_options(command, ["--print-config"], {})
    assert (ended.value.code, capsys.readouterr().out) == (0, default_config(command))


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_the_shipped_file_with_every_key_uncommented_is_still_right(command: Program[Any], ini: Path) -> None:
    text = default_config(command)
    for row in command.rows:
        text = text.replace(f"# {row.long_name[2:]} =", f"{row.long_name[2:]} =")
    ini.write_text(text)
    assert parse_options(command, ["-c", str(ini)], {}) == parse_options(command, [], {})


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_help_names_every_option(command: Program[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(command, ["--help"], {})
    shown = capsys.readouterr().out
    assert all(row.long_name in shown for row in command.rows)


def test_the_admin_takes_what_it_knows_from_the_servers_file(ini: Path) -> None:
    ini.write_text("[server]\nstore = memory:\nmax-text = 5\nport = 8888\n")
    options = parse_options(ADMIN, ["-c", str(ini)], {})
    assert (options.store_url, options.port) == ("memory:", 8888)
    ini.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError, match="did you mean port"):
        parse_options(ADMIN, ["-c", str(ini)], {})


def test_the_admin_means_the_store_of_the_server_on_its_port() -> None:
    for port in ("7777", "8888"):
        asked, served = (parse_options(command, [], {"MESSENGER_PORT": port}) for command in (ADMIN, SERVER))
        assert asked.store_url == served.store_url


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--irc-name", "chat"], "chat.local"),
        (["--irc-name", "Chat.Example.org"], "Chat.Example.org"),
        (["--irc-websocket", "web"], "web"),
        (["--irc-websocket", "unix:/run/irc"], "unix:/run/irc"),
        (["--irc-network", "Наш-чат"], "Наш-чат"),
        (["--irc-port", "0"], 0),
        (["--irc-sts", "0"], 0.0),
    ],
)
def test_values_for_irc(words: list[str], value: object) -> None:
    assert getattr(parse_options(SERVER, words, {}), words[0][2:].replace("-", "_")) == value


@pytest.mark.parametrize(
    "words",
    [
        *(["--irc-name", name] for name in ("a b", "a_b.c", "-a.b", "a..b", "192.0.2.7", ":a.b", "a" * 62 + ".b")),
        *(["--irc-network", name] for name in ("", "a b", ":a", "a=b", "a,b", "a\\b", "a\x07", "a" * 33)),
        *(["--irc-websocket", place] for place in ("webb", "6680", "unix:")),
        *(["--irc-port", number] for number in ("-1", "65536", "no")),
        ["--irc-sts-port", "0"],
        ["--irc-sts", "-1"],
    ],
)
def test_bad_values_for_irc_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="expected"):
        parse_options(SERVER, words, {})
