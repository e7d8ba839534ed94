"""Hostile text in every field that a client can fill: no program passes it to the terminal."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import gevent
import pytest
from gevent import socket as cooperative
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.admin.commands import ARGUMENTS, COMMANDS, AdminCommand
from gmessenger.chat.admin import ADMIN_METHODS
from gmessenger.console import SanitizedStderr
from gmessenger.paths import control_socket
from gmessenger.sanitize import sanitize_json
from gmessenger.terminal.commands import COMMANDS as TYPED_COMMANDS
from gmessenger.terminal.commands import ChatCommand as TypedCommand
from tests import ROOT
from tests.support.admin_cli import StoreDirectory
from tests.support.hostile_text import (
    CONTROL_ANSWERS,
    FORGED,
    HOSTILE,
    LAST_MESSAGE,
    LONG,
    MARK,
    TYPED,
    HostileServer,
    check,
    check_characters,
    check_drawn,
)
from tests.support.pty_client import PtyClient, command, environment
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tui_client import TuiClient

PACKAGE = ROOT / "gmessenger"


class TerminalWatcher(PtyClient):
    """A user whose terminal does not echo: `all` that is written to it comes from the program."""

    def __init__(self, argv: list[str], log: Path, **more: Any) -> None:
        self.all, self.encoding = "", more.pop("encoding", "utf-8")
        super().__init__(argv, log, **more)
        flags = termios.tcgetattr(self.master)
        flags[3] &= ~termios.ECHO
        termios.tcsetattr(self.master, termios.TCSANOW, flags)

    def _on_output(self, data: bytes) -> None:
        super()._on_output(data)
        self.all += data.decode(self.encoding)


def lines_of(command: TypedCommand) -> list[str]:
    """Return typed lines of a command: with hostile text for each argument, and without optional ones."""
    usual = {"FILE": f"/nowhere/{TYPED}", "N": "3", "MINUTES": "3", "me": "me", "TIME": "3m", "#ROOM": f"#{TYPED}"}
    usual["add|list|revoke"] = "add"
    parts = command.arguments.replace("[", "").replace("]", "").split()
    full = " ".join(usual.get(part, TYPED) for part in parts)
    lines = [f"{command.names[0]} {full}".strip()]
    return [*lines, command.names[0]] if command.arguments.startswith("[") else lines


ENDING = ("/quit", "/forget", "/register", "/password", "/logout", "/q")
WALK = [line for item in TYPED_COMMANDS if item.names[0] not in ENDING for line in lines_of(item) if line != "/msg"]
WALK += ["/hook list", f"/hook revoke {TYPED}"]
MISTAKES = (TYPED, f"/{TYPED}", f"/join {TYPED} {TYPED}", "/msg", TYPED, TYPED, f"/go {TYPED}", "/again")
ANSWERED = {
    "registers": ["/register " + TYPED, "secret", "secret"],
    "keeps": ["/forget me", ""],
    "changes": ["/password", "old", "new", "new"],
}


@pytest.mark.parametrize("refuses", [False, True], ids=["answers", "refusals"])
def test_line_mode(tmp_path: Path, *, refuses: bool) -> None:
    with HostileServer(refuses=refuses) as server:
        argv = command(server, "--plain", "--name", "hank")
        with TerminalWatcher(argv, tmp_path / "client.log", STATE_DIRECTORY=str(tmp_path)) as terminal:
            terminal.wait_for("to all")
            for line in (
                *WALK,
                *MISTAKES,
                *ANSWERED["registers"],
                *ANSWERED["keeps"],
                *ANSWERED["changes"],
                f"/logout {TYPED}",
                "/msg end now",
            ):
                terminal.type_line(line)
            terminal.wait_for(LAST_MESSAGE)
            terminal.type_line("/quit")
            terminal.wait_for_exit()
            check(terminal.all, "\r\n\x07")
    assert MARK in terminal.all
    assert {"users", "join", "members", "search", "kick", "ban", "bans", "register"} <= set(server.actions)


@pytest.mark.parametrize("refuses", [False, True], ids=["answers", "refusals"])
def test_full_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: bool) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with (
        HostileServer(refuses=refuses, account=True) as server,
        TuiClient(server, "hank", columns=160, rows=50) as hank,
    ):
        for line in (
            *WALK,
            *MISTAKES,
            *ANSWERED["registers"],
            *ANSWERED["keeps"],
            *ANSWERED["changes"],
            f"/logout {TYPED}",
        ):
            hank.type_lines(line)
            gevent.sleep(0)
        for number, _ in enumerate(hank.model):
            hank.type_lines(f"/go {number}")
        for text in ("/", "/msg ", "/join ", "/go ", "@", "#", "x @"):  # what is offered, and taken
            hank.type(text)
            hank.type("\t\t\x15")
        hank.wait_until(lambda: shows_last_message(hank), f"{LAST_MESSAGE!r} is not shown")
        hank.type_lines("/go 0")
        hank.wait_for("gmessenger")
        check_drawn(hank.screen_output.raw)
    assert MARK in hank.screen_output.raw


def shows_last_message(terminal: TuiClient) -> bool:
    """Ask for the last message and look for it; late answers to earlier commands may turn away or push it off."""
    terminal.type_lines("/msg end now")
    gevent.sleep(0.2)
    return LAST_MESSAGE in terminal.text


@pytest.mark.parametrize("arguments", [["--listen"], ["--listen", "--json"]], ids=["lines", "json"])
@pytest.mark.parametrize("language", ["C.UTF-8", "ru_RU.KOI8-R", "C"])
def test_listening_at_a_terminal(tmp_path: Path, arguments: list[str], language: str) -> None:
    encoding = {"ru_RU.KOI8-R": "koi8-r", "C": "ascii"}.get(language, "utf-8")
    with HostileServer() as server:
        argv = (
            command(server, *arguments, "--name", "hank", "--own")
            if "--json" in arguments
            else command(server, *arguments, "--name", "hank")
        )
        with TerminalWatcher(
            argv, tmp_path / "log", LANG=language, PYTHONIOENCODING=encoding, encoding=encoding
        ) as terminal:
            for _ in range(4):
                terminal.wait_for("OWNED\r?\n" if "--json" not in arguments else r"\}\r\n")
            terminal.signal(signal.SIGINT)
            terminal.wait_for_exit()
            check(terminal.all, "\r\n")
    if "--json" in arguments:
        frames = [json.loads(line) for line in terminal.all.splitlines() if line.startswith("{")]
        assert frames[0]["from"] == HOSTILE and frames[0]["message"] == HOSTILE + LONG


def test_listening_in_a_pipe_is_byte_exact(tmp_path: Path) -> None:
    with HostileServer() as server:
        argv = command(server, "--listen", "--json", "--name", "hank")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT, env=environment(tmp_path / "log")) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.terminate()
    assert (
        line.decode().startswith('{"action": "msg", "from": "\\u001b]0;OWNED\\u0007')
        and "\u202eOWNED\u2028" in line.decode()
    )


@pytest.mark.parametrize("language", ["C.UTF-8", "C"])
def test_a_command_for_each_message(tmp_path: Path, language: str) -> None:
    """It is told the text as it was sent (but for NUL), and what becomes of it is said in safe words."""
    script = "import os, sys; open(sys.argv[1], 'ab').write(os.environb[b'GMESSENGER_FROM'] + b'|'); sys.exit(3)"
    file = tmp_path / "told"
    run = f'{sys.executable} -c "{script}" {file}'
    with HostileServer() as server:
        argv = command(server, "--listen", "--exec", run, "--name", "hank")
        with TerminalWatcher(
            argv, tmp_path / "log", LANG=language, PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"
        ) as terminal:
            for _ in range(3):
                terminal.wait_for("exit code 3")
            terminal.signal(signal.SIGINT)
            terminal.wait_for_exit()
            check(terminal.all, "\r\n")
    assert file.read_bytes().startswith(HOSTILE.replace("\0", "\ufffd").encode() + b"|")


@pytest.mark.parametrize("code", ["name_in_use", "bad_request", "forbidden", "x\x1b"])
@pytest.mark.parametrize("mode", [["--plain"], ["--listen"], ["--to", "dale"]], ids=["plain", "listen", "to"])
def test_a_server_that_lets_nobody_in(tmp_path: Path, code: str, mode: list[str]) -> None:
    from tests.support.scripted_server import FakeServer

    with (
        FakeServer() as server,
        TerminalWatcher(command(server, "--name", "hank", *mode), tmp_path / "log") as terminal,
    ):
        server.accept().reject_login(400, code, HOSTILE)
        terminal.wait_for_exit()
        check(terminal.all, "\r\n")
        assert MARK in terminal.all


BAD = os.fsencode(HOSTILE.replace("\0", "").replace("\n", "\x0b")) + b"\xff\xfe\x9b31m"
RUNS: dict[str, list[list[bytes]]] = {
    "client": [
        [b"--check", b"--name", BAD, b"--device", BAD],
        [b"--" + BAD],
        [b"--port", BAD],
        [BAD, b"--name", b"hank", b"--listen"],
        [b"--name", BAD, b"--listen", b"--password-file", BAD],
        [b"--listen", b"--name", b"hank", b"--exec", BAD],
        [b"-c", BAD],
        [b"--tls", b"--ca", BAD, b"--name", b"hank", b"--listen"],
        [b"--log-file", b"/nowhere/" + BAD, b"--name", b"hank", b"--listen"],
        [b"--print-completion", BAD],
    ],
    "server": [
        [b"--check", b"--greeting", BAD],
        [b"--check", b"--store", BAD],
        [b"--check", b"--log-file", b"/nowhere/" + BAD],
        [b"--check", b"--ip", BAD],
        [b"--check", b"--bus", BAD],
        [b"--check", b"--health", b"unix:/nowhere/" + BAD],
        [b"--check", b"--tls-certificate", BAD],
        [b"--" + BAD],
        [b"--port", BAD],
        [b"-c", BAD],
        [b"--ip", BAD],
        [b"--store", b"sqlite:////nowhere/" + BAD],
    ],
    "admin": [
        [BAD],
        [b"--" + BAD],
        [b"user", b"add", BAD],
        [b"verify", BAD],
        [b"restore", BAD],
        [b"copy", BAD, BAD],
        [b"cert", b"show", BAD],
        [b"cert", b"self-signed", b"--host", BAD, b"/nowhere/x"],
        [b"cert", b"self-signed", b"/nowhere/" + BAD],
        [b"--store", BAD, b"status"],
        [b"prune", b"--older-than", BAD],
        [b"-c", BAD, b"status"],
    ],
}


@pytest.mark.parametrize(
    ("program", "words"),
    [(program, words) for program, runs in RUNS.items() for words in runs],
    ids=lambda value: value if isinstance(value, str) else " ".join(w.decode(errors="ignore")[:18] for w in value[:2]),
)
def test_what_is_given_to_a_program(tmp_path: Path, program: str, words: list[bytes]) -> None:
    argv = [sys.executable.encode(), b"-m", b"gmessenger", program.encode(), *words]
    env = environment(tmp_path / "log", STATE_DIRECTORY=str(tmp_path))
    completed = subprocess.run(argv, cwd=ROOT, env=env, input=b"", capture_output=True, timeout=TEST_TIMEOUT)
    assert completed.returncode != 0 or b"--check" in words
    for output in (completed.stdout, completed.stderr):
        check(output.decode())
    if b"--ip" not in words and words[0] is not BAD:  # what the host is resolved by prints one
        assert b"Traceback" not in completed.stderr


@pytest.mark.parametrize("program", ["client", "server", "admin"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tmp_path: Path, program: str, shell: str) -> None:
    argv = [sys.executable, "-m", "gmessenger", program, "--print-completion", shell]
    env = environment(tmp_path / "log", MESSENGER_NAME=TYPED)
    completed = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=True)
    check(completed.stdout + completed.stderr, "\n\t")


@pytest.mark.parametrize("program", ["client", "server"])
def test_a_config_file(tmp_path: Path, program: str) -> None:
    file = tmp_path / f"x\u202e\x1b[31m{program}.ini"
    for number, line in enumerate(
        (f"name = {TYPED}\x1b[31m", f"{TYPED}\x1b = 1", f"port = {TYPED}\x1b", f"[{TYPED}\x1b")
    ):
        file.write_text(f"[{program}]\n{line}\n")
        argv = [sys.executable, "-m", "gmessenger", program, "-c", str(file), "--check"]
        completed = subprocess.run(
            argv, cwd=ROOT, env=environment(tmp_path / "log"), capture_output=True, text=True, timeout=30
        )
        check(completed.stdout + completed.stderr)
        assert number < 2 or completed.returncode == 78


class HostileControl:
    """The control socket of a server that answers whatever it is asked, or refuses it, with nothing but HOSTILE."""

    def __init__(self, path: Path, *, refuses: bool) -> None:
        self.refuses = refuses
        self._open: list[Any] = []
        self._socket = cooperative.socket(cooperative.AF_UNIX, cooperative.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._greenlet = gevent.spawn(self._serve)

    def _serve(self) -> None:
        while True:
            sock, _ = self._socket.accept()
            self._open.append(sock)
            gevent.spawn(self._answer, sock)

    def _answer(self, sock: Any) -> None:
        with contextlib.suppress(OSError), sock.makefile("rb") as lines:
            for line in lines:
                verb = json.loads(line).get("verb")
                refused = {"error": "bad_request", "sentence": HOSTILE}
                answer = refused if verb is None or self.refuses else {"answer": CONTROL_ANSWERS.get(verb)}
                sock.sendall(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        self._greenlet.kill()
        for item in (*self._open, self._socket):
            item.close()


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    store_dir = StoreDirectory(tmp_path)
    yield store_dir
    store_dir.close()


def arguments_for(item: AdminCommand, folder: Path) -> list[str]:
    values = {"SEQ": "3", "--for": "10m", "--days": "3", "--older-than": "3d"}
    words = item.name.split()
    for argument in (ARGUMENTS[name] for name in item.arguments):
        name = HOSTILE.replace("\0", "")
        if argument.name == "which":
            words += [f"#{name}", "3"]
        elif argument.name.startswith("--"):
            words += [argument.name, values.get(argument.name, name)]
        else:
            words.append(str(folder / name.replace("/", "")) if argument.name == "file" else name)
    return words


@pytest.mark.parametrize("refuses", [False, True], ids=["answers", "refusals"])
@pytest.mark.parametrize("item", COMMANDS, ids=lambda item: item.name)
def test_every_command_of_the_admin(store_dir: StoreDirectory, item: AdminCommand, *, refuses: bool) -> None:
    store_dir.create_store()
    control = HostileControl(control_socket(store_dir.file, 7777), refuses=refuses)
    completed = store_dir.try_run(*arguments_for(item, store_dir.folder), typed="secret\n")
    control.close()
    if item.name == "export":  # of which lines are JSON, for programs
        completed = store_dir.try_run("export", typed="")
    check(completed.stdout, "\n\t")
    check(completed.stderr)
    assert "Internal error" not in completed.stderr
    assert item.name in ("copy", "status") or (completed.stdout + completed.stderr).count("\n") < 20 or refuses


def test_every_verb_of_the_control_socket_has_a_hostile_answer() -> None:
    silent = {"add_account", "set_password", "disable", "enable", "delete_account", "delete_room", "grant", "revoke"}
    silent |= {"mute", "unmute", "unban", "close_room", "open_room", "erase_message", "revoke_invite", "revoke_hook"}
    silent |= {"set_rule", "set_room_role", "shut_out", "let_in", "silence", "unsilence", "invite", "uninvite"}
    assert set(ADMIN_METHODS) == silent | set(CONTROL_ANSWERS)


def test_export_at_a_terminal_is_json_with_escapes(store_dir: StoreDirectory, tmp_path: Path) -> None:
    store_dir.create_store()
    control = HostileControl(control_socket(store_dir.file, 7777), refuses=False)
    argv = [sys.executable, "-m", "gmessenger", "admin", "--store", store_dir.url, "export"]
    with TerminalWatcher(argv, tmp_path / "log") as terminal:
        terminal.wait_for_exit()
        check(terminal.all, "\r\n")
    control.close()
    lines = [json.loads(line) for line in terminal.all.splitlines()]
    assert lines[0]["name"] == HOSTILE and lines[2]["text"] == HOSTILE + "\x7f\u202e"


def test_a_certificate(store_dir: StoreDirectory, tmp_path: Path) -> None:
    """An ESC is a letter as any other to those who wrote the standard."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x\x1b]0;OWNED\x07\u202e")])
    alternatives = x509.SubjectAlternativeName([x509.DNSName("a\x1b[31;42;77mOWNED\nFORGED\x7f")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7)
    builder = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime.now(UTC) + timedelta(9)
    )
    pem = (
        builder.add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    file = tmp_path / "cert.pem"
    file.write_bytes(pem)
    output = store_dir.run("cert", "show", str(file))
    check(output)
    assert "OWNED" in output and FORGED in output


@pytest.mark.parametrize("style", ["plain", "json"])
def test_the_servers_log(store_dir: StoreDirectory, style: str) -> None:
    server = store_dir.start_server("--log-level", "debug", "--log-format", style)
    port = server.wait_for_port()
    for name in (HOSTILE, "x" * 5000, "hank"):
        line = store_dir.connect(port)
        line.log_in(name, device=HOSTILE, password=HOSTILE)
        if name == "hank":
            line.request(action=HOSTILE, id="1")
            line.request(action="msg", id=HOSTILE[:60], to=HOSTILE, message=HOSTILE)
            line.request(action="join", id="3", room=f"#{HOSTILE}")
            line.request(action="status", id="4", status=HOSTILE)
        line.sock.sendall(HOSTILE.encode() + b"\n")
    store_dir.close()
    code, log = server.stop(signal.SIGTERM)
    assert code == 0
    check(log)


def test_a_traceback_in_the_log_is_no_line_of_its_own(tmp_path: Path) -> None:
    from gmessenger import log

    for style in log.FORMATS:
        log_path = tmp_path / style
        log.configure(str(log_path), log_format=style)
        try:
            raise LookupError(HOSTILE)
        except LookupError as failure:
            log.log_event("greenlet_failed", exception=failure, what=HOSTILE, address="\x7f\u202e")
        log.configure(log.NO_LOG)
        check(log_path.read_text())


def test_what_gevent_prints_of_a_greenlet_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise LookupError(HOSTILE)

    hub = gevent.get_hub()
    before, hub.exception_stream = hub.exception_stream, cast(TextIO, SanitizedStderr())
    gevent.spawn(fail).join()
    hub.exception_stream = before
    output = capsys.readouterr().err
    assert MARK in output
    check_characters(output, "\n")


def test_the_launcher(tmp_path: Path) -> None:
    bad = BAD.replace(b"/", b"")
    for words in ([b"--" + bad], [b"--port", bad], [b"--ip", bad, b"--window", b"none"], [b"--window", bad]):
        argv = [sys.executable.encode(), str(ROOT / "launcher.py").encode(), *words]
        env = environment(tmp_path / "log")
        completed = subprocess.run(argv, input=b"", capture_output=True, env=env, timeout=60)
        check((completed.stdout + completed.stderr).decode())
        assert completed.returncode not in (0, -9)


def test_what_a_program_of_the_launchers_says_is_passed_on_safely(tmp_path: Path) -> None:
    import socket

    from gmessenger.launcher.supervise import LAUNCHER, LEASH

    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = [*LAUNCHER, LEASH, str(listener.getsockname()[1]), "test"]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, env=environment(tmp_path / "log")) as leash:
            line, _ = listener.accept()
            says = [sys.executable, "-c", f"import sys; sys.stderr.buffer.write({HOSTILE.encode() + bytes([10])!r})"]
            line.sendall(json.dumps({"argv": says, "stay": False}).encode() + b"\n")
            _, err = leash.communicate(timeout=TEST_TIMEOUT)
            line.close()
    assert MARK in err.decode()
    assert not [char for char in err.decode() if not char.isprintable() and char != "\n"]


def test_nothing_is_printed_but_through_the_one_place() -> None:
    """A module that prints does it by `sanitize`, or is listed here with the reason."""
    allowed = {
        "sanitize.py": "it is the place",
        "__main__.py": "fixed words",
        "console.py": "whole texts, which were made safe before or are the program's own",
        "config/parser.py": "the shipped config file",
        "config/completion.py": "words of the parser",
        "admin/accounts.py": "an empty line",
        "admin/maintenance.py": "names of tables, in place on stderr",
        "launcher/main.py": "made safe by `output.safe`, before the package's requirements may be there",
        "launcher/output.py": "the same",
        "launcher/supervise.py": "a number",
    }
    modules = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called == "print" or called.endswith((".stdout.write", ".stderr.write")):
                modules.add(str(path.relative_to(PACKAGE)))
    assert modules <= set(allowed)


@given(st.recursive(st.text(st.characters()) | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
@pytest.mark.parametrize("encoding", ["utf-8", "koi8-r", "ascii"])
def test_json_for_a_terminal_is_the_same_json(encoding: str, value: object) -> None:
    safe = sanitize_json(json.dumps(value, ensure_ascii=False, indent=1), encoding)
    check(safe.encode(encoding).decode(encoding), "")
    assert json.loads(safe) == value
