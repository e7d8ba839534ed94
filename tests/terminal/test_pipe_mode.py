"""The client as a command: `--to`, `--listen`, and line mode in a pipe."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from socket import EAI_AGAIN, EAI_NONAME, gaierror
from typing import Any

import pytest
from gevent.select import select

from gmessenger.errors import Unreachable
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.main import main
from gmessenger.text import Text
from tests import ROOT
from tests.support.pty_client import TIMEOUT, close, command, environment
from tests.support.scripted_server import ClientConnection, FakeServer
from tests.terminal.conftest import StartClient

Process = subprocess.Popen[bytes]


def finish(process: Process, stdin: bytes | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(stdin, timeout=TIMEOUT)
    return process.returncode, (out or b"").decode(errors="replace"), (err or b"").decode()


def feed(process: Process, data: bytes, *, end: bool = True) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()
    if end:
        process.stdin.close()
        process.stdin = None


def start_sending(
    start_client: StartClient, fake: FakeServer, data: bytes, to: str = "hank", *more: str
) -> tuple[Process, ClientConnection]:
    process = start_client(fake, "--name", "cron", "--to", to, *more)
    feed(process, data)
    return process, fake.accept_and_log_in()


def refuse(peer: ClientConnection, code: str = "not_here", error: str = "They have left.", response: int = 410) -> None:
    peer.respond(peer.expect("msg"), response, code=code, error=error)


def test_every_line_is_sent_that_says_something(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, "backup done\n\n \t\u3000\r\n  привет\r\nlast\n\n".encode())
    assert peer.accept_messages(3) == ["backup done", "  привет", "last"]
    assert peer.receive() == {"action": "quit"}
    assert finish(process) == (0, "", "")


def test_the_whole_input_is_one_message(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, "backup done\n\n  привет\r\nlast\n".encode(), "hank", "--whole")
    assert peer.accept_messages(1) == ["backup done\n\n  привет\nlast"]
    assert peer.receive() == {"action": "quit"}
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("answer", [b'{"response": 400, "error": "Bad Request"}', b'{"response": 200}'])
def test_a_server_that_does_not_speak_jim_2_is_named_at_once(
    fake: FakeServer, start_client: StartClient, answer: bytes
) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank")
    peer = fake.accept()
    peer.expect("presence")
    peer.send_bytes(answer)
    reason = f"this server does not speak JIM 2; it answered {answer.decode()}"
    code, _, errors = finish(process, b"backup done\n")
    assert (code, errors) == (
        69,
        f"gmessenger-client: Cannot reach 127.0.0.1:{fake.port}: {reason}.\n",
    )


def test_a_whole_input_of_nothing_is_no_message(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"\n \n", "hank", "--whole")
    assert peer.receive() == {"action": "quit"}
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("data", [b"x" * 300_000, b"xx\n" * 100_000])
def test_a_whole_input_that_is_too_long(fake: FakeServer, start_client: StartClient, data: bytes) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank", "--whole")
    fake.accept_and_log_in()
    assert finish(process, data) == (
        75,
        "",
        "-- not sent: The input is longer than 262144 characters.\n"
        "gmessenger-client: Not sent: The input is longer than 262144 characters.\n",
    )


def test_a_refused_line(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"one\ntwo\nthree\n")
    peer.accept_messages(1)
    refuse(peer, error="They have left\x1b.")
    refuse(peer, error="They are still away.")
    assert finish(process) == (
        75,
        "",
        "-- not sent: They have left^[.\ngmessenger-client: Not sent: 2 of 3 lines. The first: They have left^[.\n",
    )


def test_a_line_too_long_is_reported_and_the_others_sent(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank")
    peer = fake.accept_and_log_in()
    feed(process, b"one\n" + b"x" * 70_000 + b"\n" + b"y" * 300_000 + b"\nfour\n")
    assert peer.accept_messages(2) == ["one", "four"]
    code, _, err = finish(process)
    assert code == 75
    assert "Not sent: 2 of 4 lines. The first: " in err
    assert "65536" in err or "262144" in err


def test_unanswered_lines_after_a_loss_for_good(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"one\ntwo\n", "hank", "--retry-for", "0.2")
    peer.accept_messages(1)
    peer.expect("msg")
    fake.stop_listening()
    peer.close()
    code, out, err = finish(process)
    assert (code, out) == (75, "")
    assert "-- connection lost" in err
    assert "Not sent: " in err and "could not be restored within 0.2 s" in err


def test_a_loss_in_between(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"one\ntwo\n")
    first = peer.expect("msg")
    peer.restart()
    peer = fake.accept_and_log_in()
    assert peer.expect("msg") == first
    peer.respond(first)
    peer.accept_messages(1)
    assert finish(process)[0] == 0


def test_the_input_is_read_as_fast_as_it_is_answered(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank")
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    peer = fake.accept_and_log_in()
    written = 0
    line = b"x" * 1023 + b"\n"
    while select([], [process.stdin.fileno()], [], 0.4)[1] and written < 10_000_000:
        written += os.write(process.stdin.fileno(), line * 16)
    assert written < 5_000_000  # nothing is acknowledged
    os.set_blocking(process.stdin.fileno(), True)
    process.stdin.close()
    process.stdin = None
    peer.accept_messages(-(-written // 1024))
    assert finish(process)[0] == 0


def test_later_is_tried_again(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"one\n")
    peer.respond(peer.expect("msg"), 429, code="recipient_busy", error="Busy.", retry_after=0.05)
    assert peer.accept_messages(1) == ["one"]
    assert finish(process) == (0, "", "")


def test_a_room_is_joined_first(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"one\n", "#ops")
    peer.respond(peer.expect("join"), 200, members=["cron"])
    assert peer.expect("msg")["to"] == "#ops"
    peer.sock.sendall(b"")
    process.kill()


@pytest.mark.parametrize(
    ("response", "code", "error", "expected"),
    [
        (400, "unknown_action", "There is no such action.", "Cannot join #ops: this server has no rooms."),
        (403, "forbidden", "Members only.", "Cannot join #ops: Members only."),
    ],
)
def test_a_room_that_cannot_be_joined(
    fake: FakeServer, start_client: StartClient, response: int, code: str, error: str, expected: str
) -> None:
    process, peer = start_sending(start_client, fake, b"one\n", "#ops")
    peer.respond(peer.expect("join"), response, code=code, error=error)
    peer.expect_closed()
    assert finish(process) == (77, "", f"gmessenger-client: {expected}\n")


def test_everybody_needs_no_joining(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_sending(start_client, fake, b"one\n", "#all")
    assert peer.accept_messages(1) == ["one"]
    assert finish(process)[0] == 0


@pytest.mark.parametrize(("answered", "code"), [(False, 130), (True, 0)])
def test_control_c_while_sending(fake: FakeServer, start_client: StartClient, answered: bool, code: int) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank")
    feed(process, b"one\n", end=False)
    peer = fake.accept_and_log_in()
    message = peer.expect("msg")
    if answered:
        peer.respond(message)
        feed(process, b"two\n", end=False)
        peer.accept_messages(1)
        peer.send({"action": "probe"})
        peer.receive()  # so the answer before it was heard
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == code


def test_control_c_before_anything_was_sent(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank")
    fake.accept().expect("presence")
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130


def test_what_was_not_answered_is_counted_however_it_ends(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "hank")
    feed(process, b"/msg dale one\n/msg dale two\n", end=False)
    peer = fake.accept_and_log_in()
    peer.expect("msg"), peer.expect("msg")
    process.send_signal(signal.SIGTERM)
    code, _, err = finish(process)
    assert (code, err) == (143, "gmessenger-client: Messages without an answer from the server: 2.\n")


def test_nohup(fake: FakeServer, log: Path) -> None:
    process = subprocess.Popen(
        command(fake, "--name", "bot", "--listen"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(log),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    peer = fake.accept_and_log_in()
    process.send_signal(signal.SIGHUP)
    peer.push_message("dale", "still there?", "bot")
    assert process.stdout is not None
    assert b"still there?" in process.stdout.readline()
    process.terminate()
    assert finish(process)[0] == 143


FRAMES = [
    b'{"action":"msg", "from":"dale","to":"bot","time":1.5,"message":"\xd0\xbf\\u001b[2J","later":[1]}',
    b'{"action":"msg","from":"bob","to":"bot","time":1.5,"message":"one\\ntwo"}',
]


def start_listening(
    start_client: StartClient, fake: FakeServer, *more: str, **streams: Any
) -> tuple[Process, ClientConnection]:
    process = start_client(fake, "--name", "bot", "--listen", *more, **({"stdin": subprocess.DEVNULL} | streams))
    return process, fake.accept_and_log_in()


def test_listening_prints_the_very_frames_at_once(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_listening(start_client, fake, "--json")
    assert process.stdout is not None and process.stderr is not None
    for frame in FRAMES:
        peer.send_bytes(frame + b"\n")
        peer.send({"action": "synced"})
        assert process.stdout.readline() == frame + b"\n"
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err) == (0, "", "Connected to fake/1.\nBe kind.\n")


def test_what_the_account_says_itself_is_for_programs_that_ask_for_it(
    fake: FakeServer, start_client: StartClient
) -> None:
    own = b'{"action":"msg","from":"bot","to":"dale","time":1.5,"message":"said elsewhere","id":"x1","seq":1}'
    for more, printed in (((), [FRAMES[0]]), (("--own",), [own, FRAMES[0]])):
        process, peer = start_listening(start_client, fake, "--json", *more)
        peer.send_bytes(own + b"\n" + FRAMES[0] + b"\n")
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in printed] == [frame + b"\n" for frame in printed]
        process.send_signal(signal.SIGINT)
        assert finish(process)[:2] == (0, "")


def test_amendments_and_notices_are_printed_as_they_came(fake: FakeServer, start_client: StartClient) -> None:
    head = b'{"action":"msg","from":"dale","to":"#dev","time":1.5,'
    edit = head + b'"message":"now","seq":2,"about":1,"what":"edit"}'
    notice = head + b'"message":"build 7","seq":3,"kind":"notice"}'
    own = edit.replace(b"dale", b"bot").replace(b'"seq":2', b'"seq":4')
    process, peer = start_listening(start_client, fake, "--json")
    peer.send_bytes(own.replace(b'"seq":4', b'"seq":1') + b"\n" + edit + b"\n" + notice + b"\n")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [edit + b"\n", notice + b"\n"]
    process.send_signal(signal.SIGINT)
    assert finish(process)[:2] == (0, "")


def test_listening_in_words(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_listening(start_client, fake)
    peer.send_bytes(b"\n".join(FRAMES) + b"\n")
    assert process.stdout is not None
    lines = [process.stdout.readline().decode().split("] ")[-1] for _ in range(3)]
    assert lines == ["dale: п^[[2J\n", "bob: one\n", "        two\n"]
    peer.restart()
    fake.accept_and_log_in()
    assert process.stderr is not None
    lines = [process.stderr.readline().decode() for _ in range(3)]
    assert lines[:2] == ["Connected to fake/1.\n", "Be kind.\n"] and lines[2].startswith("-- connection lost")
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143


def test_listening_never_reads(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_listening(start_client, fake, stdin=subprocess.PIPE)
    feed(process, b"exit\n/quit\n")
    peer.push_message("dale", "hi", "bot")
    assert process.stdout is not None
    assert b"dale: hi" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 0


def test_a_reader_that_leaves_is_the_end_of_listening(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_listening(start_client, fake, "--json")
    peer.send_bytes(FRAMES[0] + b"\n")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()  # and nothing more is to be printed
    process.stdout = None
    peer.expect_closed()
    assert process.wait(timeout=TIMEOUT) == 0
    assert process.stderr.read() == b"Connected to fake/1.\nBe kind.\n"


def test_a_full_disk(fake: FakeServer, start_client: StartClient) -> None:
    with Path("/dev/full").open("wb") as full:
        process, peer = start_listening(start_client, fake, "--json", stdout=full)
        peer.send_bytes(FRAMES[0] + b"\n")
        code, _, err = finish(process)
    assert code == 73
    assert err.endswith("gmessenger-client: Cannot write the output: No space left on device.\n")


def test_a_slow_reader_does_not_stop_the_heartbeat(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_listening(start_client, fake, "--json", "--probe-after", "0.1", "--answer-timeout", "0.2")
    frame = FRAMES[0][:-1] + b',"pad":"' + b"x" * 1000 + b'"}\n'
    for _ in range(2000):
        peer.send_bytes(frame)
    for _ in range(4):
        assert peer.receive() == {"action": "probe"}
    assert process.stdout is not None
    for _ in range(2000):
        assert process.stdout.readline() == frame
    process.send_signal(signal.SIGINT)
    assert "is down" not in finish(process)[2]


def test_line_mode_in_a_pipe(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "hank")
    peer = fake.accept_and_log_in()
    feed(process, b"1\ndale\nhi\n\nplain\nhelp\n/msg bob yo", end=True)
    assert peer.accept_messages(3) == ["hi", "plain", "yo"]
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert out.count("-- sent to dale\n") == 2
    assert "-- sent to bob\n" in out
    assert "\r" not in out and "> " not in out


def test_line_mode_with_unanswered_lines(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "hank", "--answer-timeout", "0.1")
    peer = fake.accept_and_log_in()
    feed(process, b"/msg dale hi\n")
    peer.expect("msg")
    assert finish(process)[0] == 75


def test_line_mode_whose_reader_leaves_still_sends(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "hank")
    peer = fake.accept_and_log_in()
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    feed(process, b"/msg dale one\n/users\n", end=False)
    requests = {request["action"]: request for request in (peer.receive(), peer.receive())}
    peer.respond(requests["users"], 200, users=[])
    peer.respond(requests["msg"])
    peer.expect_closed()
    assert process.wait(timeout=TIMEOUT) == 0


@pytest.mark.parametrize("closed", [(0,), (1, 2)])
def test_closed_standard_streams(fake: FakeServer, log: Path, closed: tuple[int, ...]) -> None:
    argv = command(fake, "--name", "hank")
    shut = " ".join(f"{fd}<&-" for fd in closed)
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {shut}', "sh", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(log),
    )
    assert fake.accept_and_log_in().receive() == {"action": "quit"}
    assert process.wait(timeout=TIMEOUT) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--name", "a", "--to", "b", "--listen"], "Use --to or --listen, not both."),
        (["--name", "a", "--json"], "--json works only with --listen."),
        (["--name", "a", "--listen", "--own"], "--own works only with --listen --json."),
        (["--name", "a", "--listen", "--whole"], "--whole works only with --to."),
        (["--to", "b"], "--to and --listen need --name."),
        (["--listen"], "--to and --listen need --name."),
        (["--name", "a", "--to", ""], "--to needs a name or a #room."),
        ([], "Give a name with --name: without a terminal, the client cannot ask for it."),
        (["--bogus"], "bogus"),
        (["--port", "x"], "port"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gmessenger-client: ") and expected in err and err.count("\n") == 1


def test_a_bad_config_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "client.ini").write_text("[client]\nnaem = hank\n")
    assert main(["-c", str(tmp_path / "client.ini")]) == 78
    err = capsys.readouterr().err
    assert "name" in err and err.count("\n") == 1


def test_unreachable(fake: FakeServer, start_client: StartClient) -> None:
    fake.stop_listening()
    expected = f"Cannot reach 127.0.0.1:{fake.port}: Connection refused."
    for mode in (["--to", "dale"], ["--listen"], []):
        process = start_client(fake, "--name", "hank", *mode, "--retry-for", "0.2")
        code, out, err = finish(process, b"x\n" if "--listen" not in mode else None)
        assert code == 69
        shown = out + err
        assert re.fullmatch(rf"-- {expected} Trying again in 0.\d s\.\ngmessenger-client: {expected}\n", shown), shown


@pytest.mark.parametrize("mode", [["--to", "dale"], ["--listen"], []], ids=["to", "listen", "line mode"])
def test_a_server_that_is_not_there_yet_is_waited_for(start_client: StartClient, mode: list[str]) -> None:
    with FakeServer() as closed_server:
        closed_server.stop_listening()
        process = start_client(closed_server, "--name", "hank", *mode)
        lines = process.stderr if mode else process.stdout
        assert lines is not None
        assert b"Connection refused. Trying again in " in lines.readline()
        with FakeServer(closed_server.port) as fake:
            peer = fake.accept_and_log_in()
            if mode == ["--to", "dale"]:
                feed(process, b"at last\n")
                assert peer.accept_messages(1) == ["at last"]
                assert finish(process)[0] == 0


class UnreachableClient:
    """A client whose start always fails for the same cause."""

    def __init__(self, cause: OSError) -> None:
        self.cause, self.tries = cause, 0

    def start(self, password: str | None) -> None:
        self.tries += 1
        raise Unreachable(Text("Nobody there.")) from self.cause


@pytest.mark.parametrize(
    ("cause", "typed", "waits"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True, True),
        (TimeoutError("no answer"), True, True),
        (ConnectionError("the server closed the connection"), False, True),
        (gaierror(EAI_AGAIN, "Temporary failure in name resolution"), False, True),
        (gaierror(EAI_AGAIN, "Temporary failure in name resolution"), True, False),
        (gaierror(EAI_NONAME, "Name or service not known"), False, False),
        (OSError(Text("this is not a host name")), False, False),
    ],
)
def test_what_is_waited_for_is_what_may_come(cause: OSError, typed: bool, waits: bool) -> None:
    client, notices = UnreachableClient(cause), list[str]()
    with pytest.raises(Unreachable):
        StartupRetry(0.05, notices.append, interactive=typed).start(client)  # type: ignore[arg-type]
    assert (client.tries > 1, bool(notices)) == (waits, waits)


def test_a_server_without_room_is_waited_for(fake: FakeServer, start_client: StartClient) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank")
    feed(process, b"one\n")
    fake.accept().reject_login(503, "server_full", "The server is full.", retry_after=0.1)
    assert process.stderr is not None
    assert b"The server is full. Trying again in" in process.stderr.readline()
    assert fake.accept_and_log_in().accept_messages(1) == ["one"]
    assert finish(process)[0] == 0


def test_a_log_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--name", "hank", "--listen", "--log-file", "/dev/null/x"]) == 73
    assert capsys.readouterr().err.count("\n") == 1


def test_the_log_tells_what_happened_but_not_what_was_said(
    fake: FakeServer, start_client: StartClient, log: Path
) -> None:
    process = start_client(fake, "--name", "cron", "--to", "hank", "--log-level", "debug", "--log-format", "json")
    feed(process, b"the secret text\n")
    peer = fake.accept_and_log_in()
    peer.push_message("hank", "a secret answer", "cron")
    peer.accept_messages(1)
    assert finish(process)[0] == 0
    text = log.read_text()
    assert "secret" not in text
    assert [json.loads(line)["event"] for line in text.splitlines()] == [
        "client_connected",
        "client_sent",
        "client_stopped",
    ]


def test_an_unexpected_fault_is_one_sentence_and_a_traceback_in_the_log(
    fake: FakeServer, log: Path, tmp_path: Path
) -> None:
    broken = "import gmessenger.terminal.format_events as r; r.EVENT_FORMATTERS.clear()\n"
    program = f"{broken}from gmessenger.terminal.main import main; raise SystemExit(main())"
    argv = [sys.executable, "-c", program, *command(fake, "--name", "hank")[4:]]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment(log))
    fake.accept_and_log_in()
    code, _, err = finish(process)
    assert code == 1
    assert err.count("\n") == 1 and "KeyError" in err and str(log) in err
    assert "Traceback" in log.read_text()


def test_nothing_is_patched_and_little_is_imported() -> None:
    program = (
        "import sys, gmessenger.terminal.main\n"
        "from gevent import monkey\n"
        "assert not monkey.saved\n"
        "heavy = {'ssl', 'asyncio', 'gevent.ssl', 'http', 'subprocess', 'multiprocessing'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_not_utf_8(fake: FakeServer, log: Path) -> None:
    argv = [os.fsencode(word) for word in command(fake, "--name")]
    process = subprocess.Popen(
        [*argv, b"h\xffnk"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, env=environment(log)
    )
    code, _, err = finish(process)
    assert code == 77 and "name" in err and err.count("\n") == 1


def test_an_input_that_never_ends_is_no_obstacle_to_leaving(fake: FakeServer, start_client: StartClient) -> None:
    reading, writing = os.pipe()
    process = start_client(fake, "--name", "cron", "--to", "hank", stdin=reading)
    peer = fake.accept_and_log_in()
    peer.send({"response": 409, "code": "replaced", "error": "You are elsewhere.", "time": 1.0})
    code, out, err = finish(process)
    assert (code, out) == (77, "") and err.startswith("gmessenger-client: You are elsewhere. (Two clients")
    close(reading), close(writing)
