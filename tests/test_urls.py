"""No password of a URL is ever shown, also where the URL is mistyped."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gmessenger.admin.commands import run_command
from gmessenger.bus import check_bus_url, open_bus
from gmessenger.config.parser import ADMIN, SERVER, parse_options
from gmessenger.errors import ExitError
from gmessenger.server.check import check
from gmessenger.server.start import run
from gmessenger.store import open_store, verify_store
from gmessenger.urls import redact_error, redact_text, redact_url
from tests import ROOT

SECRET = "hunter2zebra"
PIECES = ("hunter2", "zebra")
"""What a parser may have cut the password into; neither is a word of any sentence."""
SHAPES = (
    "{scheme}://{user}:{secret}@{host}/0",
    "{scheme}://{user}:{secret}@{host}:port/0",
    "{scheme}://{user}:{secret}@{host}:99999/0",
    "{scheme}://{user}:{secret}@/0",
    "{scheme}://{user}:{secret}@",
    "{scheme}://:{secret}@{host}",
    "{scheme}://:{secret}{host}",
    "{scheme}://{user}:{secret}",
    "{scheme}://{user}:{secret}/0",
    "{scheme}://{user}:{secret}:{host}",
    "{scheme}://:{secret}",
    "{scheme}://{host}:{secret}@",
    "{scheme}://{user}%3A{secret}@{host}",
    "{scheme}://{user}%3A{secret}%40{host}/0",
    "{scheme}://{user}:{secret}%40{host}/0",
    "{scheme}%3A//{user}:{secret}@{host}",
    "{scheme}:///{user}:{secret}@{host}/0",
    "{scheme}:////{user}:{secret}@{host}/0",
    "{scheme}:/{user}:{secret}@{host}/0",
    "{scheme}:{user}:{secret}@{host}/0",
    "{scheme}:{secret}",
    "{scheme}:/:{secret}",
    "{scheme}//{user}:{secret}@{host}/0",
    "{scheme};//{user}:{secret}@{host}/0",
    "{scheme} ://{user}:{secret}@{host}/0",
    " {scheme}://{user}:{secret}@{host}/0",
    "{scheme}:\\\\{user}:{secret}@{host}",
    "//{user}:{secret}@{host}/0",
    "{user}:{secret}@{host}/0",
    ":{secret}@{host}",
    "{scheme}s://{user}:{secret}@{host}/0",
    "{scheme}x://{user}:{secret}@{host}/0",
    "{scheme}://{user}:{secret}@{host}:{secret}/0",
    "{scheme}://{user}@{host}:{secret}/0",
    "{scheme}://{user}:{secret}@{host}@{host}/0",
    "{scheme}://{host}/0?password={secret}",
    "{scheme}://{host}/0?pass%77ord={secret}",
    "{scheme}://{host}/0?PASSWORD={secret}",
    "{scheme}://{host}/0?pasword={secret}",
    "{scheme}://{host}/0?sslpassword={secret}&ssl_password={secret}",
    "{scheme}://{host}/0?sslmode=require;password={secret}",
    "{scheme}://{host}/0?{secret}",
    "{scheme}://{host}/0&password={secret}",
    "{scheme}://{host}/0#password={secret}",
    "{scheme}://{host}?user={user}:{secret}@{host}",
    "{scheme}://{host}/0?password=a@{secret}",
    "{scheme}://{host}/0?password={secret}@x&user={user}",
    "host={host} user={user} password={secret}",
    "host={host} user={user} pasword = '{secret}'",
    "memory://{user}:{secret}@{host}",
    "sqlite://{user}:{secret}@{host}/0",
    "sqlite:{user}:{secret}@{host}/0",
)
SECRETS = (
    "hunter2zebra",
    "hunter2/zebra",
    "hunter2@zebra",
    "hunter2:zebra",
    "hunter2?zebra",
    "hunter2#zebra",
    "hunter2&zebra",
    "hunter2%zebra",
    "hunter2%40zebra",
    "hunter2[zebra]",
    "hunter2 zebra",
)
A_PATH = ("unix", "{scheme}:{secret}")
SCHEMES = ("postgresql", "redis", "unix")


def hidden(text: str) -> bool:
    return not any(piece in text.lower() for piece in PIECES)


def is_decidable(shape: str, secret: str) -> bool:
    """Return False if the shape with that password is a well-formed URL of another host."""
    return "@" not in secret or "@{host}" in shape.rpartition("{secret}")[2]


URLS = [
    shape.format(scheme=scheme, user="hank", host="nowhere.invalid", secret=secret)
    for scheme in SCHEMES
    for shape in SHAPES
    for secret in SECRETS
    if is_decidable(shape, secret) and (scheme, shape) != A_PATH
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_password_of_a_mistyped_url_is_shown(shape: str, scheme: str) -> None:
    for secret in SECRETS:
        if not is_decidable(shape, secret):
            continue
        url = shape.format(scheme=scheme, user="hank", host="db.example", secret=secret)
        assert hidden(redact_url(url)), (url, redact_url(url))
        assert redact_url(redact_url(url)) == redact_url(url)
        for sentence in (f"unrecognized arguments: --bsu {url}", f"argument --port: invalid int value: {url!r}"):
            output = redact_text(sentence)
            assert hidden(output) or (scheme, shape) == A_PATH, (url, output)


@pytest.mark.parametrize(
    "url",
    [
        *("redis://db:6379/0", "rediss://db.example?ssl_ca_certs=/etc/ca.pem", "unix:///run/redis/redis.sock", "redis"),
        *("postgresql://hank@db/chat?sslmode=require", "postgresql:///chat?host=/run", "postgresql://a,b:5433/chat"),
        *("postgresql://[::1]:5432/chat", "postgresql://%2Fvar%2Frun/chat", "postgresql://hank%40azure@db/chat"),
        *("sqlite:////var/lib/a@b.db", "/var/lib/x.db", "~/x.db", "./x", "memory:", "", "http://db.example"),
    ],
)
def test_what_has_no_password_is_shown_as_it_is(url: str) -> None:
    assert redact_url(url) == url
    assert redact_text(f"It is {url}") == f"It is {url}"


def test_what_is_expected_is_said_as_it_is_and_what_was_given_is_not() -> None:
    for begins in ("expected HOST:PORT or unix:/PATH, not ", "Argument --health: expected unix:/PATH, not "):
        assert redact_error(f"{begins}'9777'") == f"{begins}'9777'"
        assert hidden(redact_error(f"{begins}'redis://:{SECRET}, not x@db'"))
    assert hidden(redact_error(f"argument --port: invalid int value: 'redis://:{SECRET}, not x@db'"))
    assert hidden(redact_error(f"unrecognized arguments: redis://:{SECRET}, not x@db"))


def test_sentences_are_left_alone() -> None:
    for text in (
        "expected a port: 5, not 'x'",
        "me@example.org",
        "Port 7777: hank@db is here",
        "a: b@c",
        "see --help.",
    ):
        assert redact_text(text) == text


@given(
    some.text(max_size=20),
    some.sampled_from(["redis://", "postgresql://", "unix://", "rediss:/", "postgres:", "//", ""]),
    some.text(max_size=12),
    some.text(max_size=20),
)
def test_what_stands_between_a_colon_and_an_at_is_never_shown(
    before: str, scheme: str, secret: str, after: str
) -> None:
    marked = f"\ue000{secret}\ue001"
    output = redact_url(f"{scheme}{before}:{marked}@{after}")
    assert "\ue000" not in output and "\ue001" not in output


def fails_quietly(function: Callable[[str], object], url: str) -> None:
    """Check that a call raises nothing, or an error that does not tell the password, nor does its cause."""
    try:
        function(url)
    except ExitError as error:
        output: BaseException | None = error
        while output is not None:
            assert hidden(str(output)) and hidden(repr(output)), (url, output)
            output = output.__cause__ or (None if output.__suppress_context__ else output.__context__)


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up."""

    def unknown(host: str, *_: object, **__: object) -> None:
        raise OSError(-2, f"{host}: Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "1")


@pytest.mark.usefixtures("without_network")
@pytest.mark.parametrize("function", [open_store, verify_store, check_bus_url], ids=lambda function: function.__name__)
def test_what_cannot_be_opened_is_named_without_its_password(
    function: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in URLS:
        if "://:hunter2" not in url or function is not check_bus_url or "nowhere" in url:
            fails_quietly(function, url)


@pytest.mark.usefixtures("without_network")
def test_the_bus_of_a_mistyped_url_tells_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gmessenger")
    for url in URLS:
        addresses: list[str] = []
        fails_quietly(lambda url: addresses.append(_bus(url)._endpoint.address), url)  # noqa: B023
        assert all(map(hidden, addresses)), url
    assert hidden(caplog.text)


def _bus(url: str) -> Any:
    return open_bus(url, "hank", "springfield", b"k" * 32)


@pytest.mark.usefixtures("without_network")
@pytest.mark.parametrize("option", ["--store", "--bus"])
def test_a_check_shows_no_password(
    option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared = ["--store", "postgresql://nowhere.invalid/chat"] if option == "--bus" else []
    for url in URLS[::89]:
        for arguments in ([*shared, f"{option}={url}"],):
            check([*arguments, "--port", "0"])
            output = capsys.readouterr()
            assert hidden(output.out) and hidden(output.err), (url, output)


@pytest.mark.parametrize("arguments", ["--bsu {}", "{}", "--prot={}", "--port {}", "--max-text {}"])
def test_mistyped_options_show_no_password(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    for url in map(str.strip, URLS[::31]):
        assert run([argument.format(url) for argument in arguments.split()]) != 0
        output = capsys.readouterr()
        assert hidden(output.out + output.err), (arguments, url, output)


@pytest.mark.parametrize("text", ["bus = {}\n", "[server]\n{}\n", "[server]\nbus {}\n", "[server]\nport = {}\n"])
def test_mistyped_files_show_no_password(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "server.ini"
    for url in map(str.strip, URLS[::31]):
        file.write_text(text.format(url))
        assert run(["-c", str(file)]) != 0
        output = capsys.readouterr()
        assert hidden(output.out + output.err), (text, url, output)


def test_the_administrators_mistyped_words_show_no_password() -> None:
    options = parse_options(ADMIN, [], {})
    for url in URLS[::7]:
        for arguments in (
            [url],
            ["copy", url],
            ["copy", "memory:", url],
            ["backup", "x", url],
            ["copy", "a", "b", url],
        ):
            with pytest.raises(ExitError) as problem:
                run_command(options, arguments)
            assert hidden(str(problem.value)), (arguments, problem.value)


def test_a_server_that_cannot_start_shows_no_password(tmp_path: Path) -> None:
    url = f"postgresql://hank:{SECRET}@localhost:1/chat"
    for arguments in (["--store", url], ["--store", f"redis:/hank:{SECRET}@h"], ["--store", f"{url}@x"]):
        command = [sys.executable, "-m", "gmessenger", "server", "--port", "0", "--log-level", "debug", *arguments]
        completed = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={"HOME": str(tmp_path)}
        )
        assert completed.returncode in (73, 78) and hidden(completed.stdout + completed.stderr), completed
        assert "Traceback" not in completed.stderr and "***" in completed.stderr
    with pytest.raises(SystemExit):
        parse_options(SERVER, ["--store", url, "--print-config"], {})
