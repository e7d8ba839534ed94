"""Run launcher.py as a process: its windows, its menu, its cluster, and that no process outlives it."""

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gmessenger.launcher import services, supervise, windows
from gmessenger.launcher.poll import poll_until
from tests import ROOT
from tests.support.irc import IrcConnection
from tests.support.ports import free_port
from tests.support.timeouts import TEST_TIMEOUT

LAUNCHER = ROOT / "launcher.py"
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and tmux are POSIX")


def until(condition: Callable[[], object], description: str) -> None:
    """Wait until the condition holds; fail with the description after PATIENCE seconds."""
    assert poll_until(lambda: bool(condition()), TEST_TIMEOUT, 0.02), f"{description}: not within {TEST_TIMEOUT} s"


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


PORTS = 5
"""Of two servers and their pages."""


class Sandbox:
    """Free ports and a directory for one test, and an environment variable that marks all processes it starts."""

    def __init__(self, home: Path) -> None:
        self.home, self.mark = home, f"LAUNCHER_TEST={uuid.uuid4()}"
        self.port = free_port(count=PORTS)
        ours = ("TMUX", "TMUX_PANE", "DISPLAY", "WAYLAND_DISPLAY")
        self.env = {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("MESSENGER_")}
        self.env |= {"TMUX_TMPDIR": str(home), "TERM": "screen", "MESSENGER_LOG_FILE": str(home / "log")}
        self.outer: list[str] = []

    def start(self, *options: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the launcher with a pipe for the menu; its output goes to a file."""
        argv = [sys.executable, str(LAUNCHER), "--port", str(self.port), *options]
        with Path(self.home, "output").open("wb") as output:
            marked = self.env | env | dict([self.mark.split("=")])
            self.started = subprocess.Popen(argv, env=marked, stdin=subprocess.PIPE, stdout=output, stderr=output)
            return self.started

    def output(self) -> str:
        return Path(self.home, "output").read_text("utf-8")

    def wait_for_output(self, text: str) -> None:
        """Wait for a text in the output of the launcher, which must not end without it."""
        until(lambda: self.started.poll() is not None or text in self.output(), f"{text!r} in the output")
        assert text in self.output(), self.output()

    def wait_for_exit(self, started: subprocess.Popen[bytes]) -> int:
        """Wait until the launcher and all its processes have ended; return its exit code."""
        code = started.wait(TEST_TIMEOUT)
        until(lambda: not self.processes() and not listens(self.port), "the end of everything that was started")
        return code

    def processes(self) -> list[int]:
        """Return the ids of all processes with the mark in their environment (Linux only)."""
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    pids.append(int(process.name))
        return pids

    def tmux(self, socket_name: str, *words: str) -> str:
        command = ["tmux", "-u", "-f", os.devnull, "-L", socket_name, *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True).stdout

    def open_terminal(self, command: str) -> None:
        """Run a shell command on a terminal: an outer tmux, which is not the launcher's."""
        self.outer = ["sh", "-c", f"{command}; echo left with $?; exec cat"]
        self.tmux("outer", "new-session", "-d", "-x", "110", "-y", "30", "-n", "terminal", *self.outer)

    def launch_command(self) -> str:
        argv = [sys.executable, str(LAUNCHER), "--port", str(self.port)]
        return f"env {self.mark} {shlex.join(argv)}"

    def screen(self, socket_name: str = "outer", window: str = "terminal") -> str:
        return self.tmux(socket_name, "capture-pane", "-p", "-t", f":{window}")

    def wait_for_screen(self, text: str, socket_name: str = "outer", window: str = "terminal") -> None:
        until(lambda: text in self.screen(socket_name, window), f"{text!r} in window {window}")

    def windows(self, socket_name: str) -> list[str]:
        return self.tmux(socket_name, "list-windows", "-F", "#W").split()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with tempfile.TemporaryDirectory(prefix="gm") as home:  # short: a socket's path may have 100 characters
        sandbox = Sandbox(Path(home))
        yield sandbox
        if sandbox.outer:
            sandbox.tmux("outer", "kill-server")
        for pid in sandbox.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def type_line(started: subprocess.Popen[bytes], line: str) -> None:
    assert started.stdin
    started.stdin.write(f"{line}\n".encode())
    started.stdin.flush()


def close_input(started: subprocess.Popen[bytes]) -> None:
    assert started.stdin
    started.stdin.close()


# --- which window

TMUX, XTERM, SCREEN = {"TMUX": "/tmp/x,1,0"}, {"DISPLAY": ":0"}, {"TERM": "xterm"}


@pytest.mark.parametrize(
    ("wanted", "environ", "platform", "tty", "installed", "kind"),
    [
        ("auto", SCREEN, "linux", True, {"tmux", "xterm"}, "session"),
        ("auto", SCREEN | TMUX, "linux", True, {"tmux"}, "inside"),
        ("auto", SCREEN, "linux", False, {"tmux"}, "tmux"),
        ("auto", TMUX, "linux", False, {"tmux"}, "inside"),
        ("auto", {"TERM": "dumb"}, "linux", True, {"tmux"}, "none"),
        ("auto", {}, "linux", True, {"tmux"}, "none"),
        ("auto", SCREEN | XTERM, "linux", True, {"xterm"}, "terminal"),
        ("auto", {"WAYLAND_DISPLAY": "wayland-0"}, "linux", False, {"foot"}, "terminal"),
        ("auto", SCREEN, "linux", True, {"xterm"}, "none"),
        ("auto", SCREEN | XTERM, "linux", True, set(), "none"),
        ("auto", {}, "win32", True, set(), "console"),
        ("auto", {}, "win32", True, {"tmux"}, "console"),
        ("terminal", SCREEN | XTERM, "linux", True, {"tmux", "konsole"}, "terminal"),
        ("tmux", SCREEN, "darwin", False, {"tmux"}, "tmux"),
        ("none", SCREEN | XTERM, "linux", True, {"tmux", "xterm"}, "none"),
    ],
)
def test_choice(wanted: str, environ: dict[str, str], platform: str, tty: bool, installed: set[str], kind: str) -> None:
    assert windows.choose(wanted, environ, platform, tty, lambda name: name if name in installed else None) == kind


@pytest.mark.parametrize("wanted", ["tmux", "terminal", "console"])
def test_a_wanted_window_that_cannot_be_had(wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        windows.choose(wanted, {}, "linux", True, lambda name: None)
    assert ended.value.code == 2
    assert f"--window {wanted}" in capsys.readouterr().err


def test_the_first_emulator_found_is_used() -> None:
    assert windows.emulator(XTERM, lambda name: name if name in ("xterm", "kitty") else None) == "kitty"


@pytest.mark.parametrize(
    ("options", "env", "message"),
    [
        (["--clients", "21"], {}, "--clients"),
        (["--clients", "-1"], {}, "--clients"),
        (["--nodes", "0"], {}, "--nodes"),
        (["--port", "0"], {}, "'0' is not a port"),
        ([], {"MESSENGER_PORT": "seven"}, "MESSENGER_PORT"),
    ],
)
def test_bad_options(options: list[str], env: dict[str, str], message: str, sandbox: Sandbox) -> None:
    argv = [sys.executable, str(LAUNCHER), *options]
    done = subprocess.run(argv, env=sandbox.env | env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr


# --- without windows


def test_none_is_a_server_and_a_client_that_quits(sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "none", "--clients", "3")
    sandbox.wait_for_output("help")  # the client's own
    assert listens(sandbox.port)
    for name in ("test2", "test3"):
        assert f"client 127.0.0.1 {sandbox.port} --name {name}" in sandbox.output()
    type_line(started, "/users")
    sandbox.wait_for_output("test1 (you)")
    type_line(started, "/quit")
    assert sandbox.wait_for_exit(started) == 0


def test_checks_whether_the_server_answers_are_not_logged(sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "none", "--clients", "0", MESSENGER_LOG_LEVEL="info")
    sandbox.wait_for_output("quit")
    close_input(started)
    assert sandbox.wait_for_exit(started) == 0
    events = [line.split()[3] for line in (sandbox.home / "log").read_text("utf-8").splitlines()]
    assert events == ["server_started", "server_stopping", "server_stopped"]


def test_none_without_clients_is_a_server_and_the_menu(sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "none", "--clients", "0")
    sandbox.wait_for_output("quit")
    until(lambda: listens(sandbox.port), "the server")
    type_line(started, "x")
    until(lambda: not listens(sandbox.port), "the end of the server")
    sandbox.wait_for_output("All closed.")
    close_input(started)
    assert sandbox.wait_for_exit(started) == 0


def test_the_port_comes_from_the_environment(sandbox: Sandbox) -> None:
    argv = [sys.executable, str(LAUNCHER), "--window", "none", "--clients", "0"]
    env = sandbox.env | {"MESSENGER_PORT": str(sandbox.port)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"server on port {sandbox.port} of 127.0.0.1" in done.stdout


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_everything(number: signal.Signals, sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "none")
    sandbox.wait_for_output("help")
    started.send_signal(number)
    assert sandbox.wait_for_exit(started) == (-number if number == signal.SIGKILL else 0)
    assert "Traceback" not in sandbox.output()


@pytest.fixture
def cluster(sandbox: Sandbox, postgres: object, redis_server: object) -> Sandbox:
    """A sandbox where PostgreSQL and Redis are installed."""
    return sandbox


def test_nodes_share_a_store_and_people_meet(cluster: Sandbox) -> None:
    started = cluster.start("--window", "none", "--clients", "2", "--nodes", "2")
    cluster.wait_for_output("help")
    output = cluster.output()
    assert f"server1 on port {cluster.port} of 127.0.0.1, server2 on port {cluster.port + 1} of" in output
    assert "--store 'postgresql://" in output and "--bus 'unix://" in output
    assert f"client 127.0.0.1 {cluster.port + 1} --name test2" in output
    command = [sys.executable, "-m", "gmessenger", "client", "127.0.0.1", str(cluster.port + 1), "--name", "test2"]
    with subprocess.Popen(command, env=cluster.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as dale:
        type_line(dale, "/msg test1 hello from the other node")
        cluster.wait_for_output("hello from the other node")
        dale.communicate(b"/quit\n", timeout=TEST_TIMEOUT)
    type_line(started, "/quit")
    assert cluster.wait_for_exit(started) == 0
    assert not listens(cluster.port + 1)


def test_nothing_of_a_cluster_outlives_a_launcher_that_is_killed(cluster: Sandbox, tmp_path: Path) -> None:
    started = cluster.start("--window", "none", "--clients", "0", "--nodes", "2", TMPDIR=str(cluster.home))
    cluster.home.chmod(0o711)  # PostgreSQL may run as another user
    cluster.wait_for_output("quit")
    assert list(cluster.home.glob("postgres-*")) and list(cluster.home.glob("redis-*"))
    started.kill()
    assert cluster.wait_for_exit(started) == -signal.SIGKILL
    assert not list(cluster.home.glob("postgres-*")) and not list(cluster.home.glob("redis-*"))


def test_missing_services_are_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "missing", lambda: ["PostgreSQL", "Redis"])
    with contextlib.ExitStack() as running:
        error = supervise.start_services(running, ["Redis"])["error"]
    assert error.startswith("Redis is not installed: apt-get install postgresql redis-server")


@posix
def test_a_signal_in_the_midst_of_starting(sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "none")
    until(lambda: len(sandbox.processes()) > 1, "the first helper")
    started.send_signal(signal.SIGTERM)
    assert sandbox.wait_for_exit(started) == 0


@pytest.mark.parametrize("window", ["none", pytest.param("tmux", marks=needs_tmux)])
def test_port_in_use(window: str, sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", sandbox.port)):
        started = sandbox.start("--window", window)
        assert started.wait(TEST_TIMEOUT) == 69
    assert sandbox.wait_for_exit(started) == 69
    (line,) = sandbox.output().splitlines()
    assert str(sandbox.port) in line
    assert "server" in line and f"MESSENGER_PORT={sandbox.port + 1}" in line


def test_the_page_is_elsewhere_where_another_program_has_its_port(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", sandbox.port + 3)):
        started = sandbox.start("--window", "none", "--clients", "0")
        sandbox.wait_for_output(f"In a browser: http://127.0.0.1:{sandbox.port + 4}/")
    assert listens(sandbox.port + 4)
    type_line(started, "q")
    assert sandbox.wait_for_exit(started) == 0


def test_an_irc_client_is_told_where_to_connect(sandbox: Sandbox) -> None:
    first = sandbox.port - 1110  # 6667 where the server has 7777
    with socket.create_server(("127.0.0.1", first)):
        started = sandbox.start("--window", "none", "--clients", "0")
        sandbox.wait_for_output("In an IRC client: 127.0.0.1, port ")
    number = int(sandbox.output().partition("In an IRC client: 127.0.0.1, port ")[2].partition(",")[0])
    assert number > first
    with closing(socket.create_connection(("127.0.0.1", number), TEST_TIMEOUT)) as sock, IrcConnection(sock) as hank:
        hank.send(b"NICK hank", b"USER hank 0 * :hank")
        assert hank.receive_until(b"001").startswith(b":")
    type_line(started, "q")
    assert sandbox.wait_for_exit(started) == 0


@posix
def test_a_program_that_ignores_sigterm_is_killed() -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    launcher_end, helper_end = socket.socketpair()
    with subprocess.Popen([sys.executable, "-c", ignore], stdout=subprocess.PIPE) as child, launcher_end, helper_end:
        assert child.stdout
        child.stdout.readline()
        launcher_end.close()
        supervise.terminate_on_close(helper_end, child, grace=0.1)
        assert child.wait(TEST_TIMEOUT) == -signal.SIGKILL


# --- windows


@posix
@needs_tmux
def test_tmux_windows_talk_and_q_ends_them_and_only_them(sandbox: Sandbox) -> None:
    sandbox.open_terminal("true")  # a tmux that is not the launcher's
    user_config = sandbox.home / "config" / "gmessenger" / "client.ini"
    user_config.parent.mkdir(parents=True)
    user_config.write_text("[client]\ntls = yes\nport = 1\n", "utf-8")  # for a server elsewhere
    started = sandbox.start("--window", "tmux", XDG_CONFIG_HOME=str(sandbox.home / "config"))
    own = f"gmessenger-{started.pid}"
    sandbox.wait_for_output(f"tmux -u -L {own} attach")
    assert sandbox.windows(own) == ["server", "test1", "test2"]
    for name in ("test1", "test2"):
        sandbox.wait_for_screen("help", own, name)
    sandbox.tmux(own, "send-keys", "-t", ":test1", "/msg test2 hello from one", "Enter")
    sandbox.wait_for_screen("writes to you", own, "test2")
    sandbox.tmux(own, "send-keys", "-t", ":test2", "M-1")
    sandbox.wait_for_screen("hello from one", own, "test2")
    sandbox.tmux(own, "send-keys", "-t", ":test2", "/quit", "Enter")
    until(lambda: sandbox.windows(own) == ["server", "test1"], "test2's leaving")
    type_line(started, "s")
    until(lambda: sandbox.windows(own) == ["server", "test1", "test2"], "test2 again")
    type_line(started, "s")
    until(lambda: sandbox.windows(own) == ["server", "test1", "test2", "test3"], "one more")
    type_line(started, "x")
    sandbox.wait_for_output("All closed.")
    type_line(started, "s")
    until(lambda: sandbox.windows(own) == ["server", "test1", "test2", "test3"], "everything again")
    type_line(started, "q")
    assert sandbox.wait_for_exit(started) == 0
    assert sandbox.windows("outer") == ["terminal"]
    assert not list(sandbox.home.glob(f"tmux-*/{own}"))


@posix
@needs_tmux
def test_inside_tmux_it_adds_windows_to_the_session(sandbox: Sandbox) -> None:
    sandbox.open_terminal(sandbox.launch_command())
    sandbox.wait_for_screen("Running")
    assert sandbox.windows("outer") == ["terminal", "server", "test1", "test2"]
    sandbox.wait_for_screen("help", window="test1")
    sandbox.tmux("outer", "send-keys", "-t", ":terminal", "q", "Enter")
    sandbox.wait_for_screen("left with 0")
    until(lambda: sandbox.windows("outer") == ["terminal"], "the end of the windows")
    assert not listens(sandbox.port)


@posix
@needs_tmux
def test_a_client_that_fails_can_be_read(sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "tmux", "--clients", "0")
    own = f"gmessenger-{started.pid}"
    sandbox.wait_for_output("quit")
    stranger = [sys.executable, "-m", "gmessenger", "client", "127.0.0.1", str(sandbox.port), "--name", "test1"]
    with subprocess.Popen(stranger, env=sandbox.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        until(lambda: b"help" in holder.stdout.readline(), "the stranger's login")
        type_line(started, "s")
        sandbox.wait_for_screen("ended with code 77; Enter closes this window", own, "test1")
        sandbox.tmux(own, "send-keys", "-t", ":test1", "Enter")
        until(lambda: sandbox.windows(own) == ["server"], "the end of the window")
        holder.terminate()
    type_line(started, "q")
    assert sandbox.wait_for_exit(started) == 0


@posix
@needs_tmux
@pytest.mark.parametrize("leave", [("C-b", "0", "q", "Enter"), ("C-b", "d"), ("C-b", "0", "C-c")], ids=" ".join)
def test_a_bare_terminal_becomes_a_session_that_shows_a_client(leave: tuple[str, ...], sandbox: Sandbox) -> None:
    sandbox.open_terminal(f"env -u TMUX -u TMUX_PANE {sandbox.launch_command()}")
    sandbox.wait_for_screen("2:test1* 3:test2")
    sandbox.wait_for_screen("[● connected] [test1]")
    if "0" in leave:
        sandbox.tmux("outer", "send-keys", *leave[:2])
        sandbox.wait_for_screen("q  quit")
        leave = leave[2:]
    sandbox.tmux("outer", "send-keys", *leave)
    sandbox.wait_for_screen("left with 0")
    assert "All closed." in sandbox.screen()
    until(lambda: not sandbox.processes() and not listens(sandbox.port), "the end of everything")


@posix
@needs_tmux
def test_a_session_that_cannot_start_says_so_on_the_terminal(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", sandbox.port)):
        sandbox.open_terminal(f"env -u TMUX -u TMUX_PANE {sandbox.launch_command()}")
        sandbox.wait_for_screen("left with 69")
    assert "launcher: gmessenger-server: " in sandbox.screen()
    until(lambda: not sandbox.processes(), "the end of everything")


@posix
@needs_tmux
def test_a_killed_launcher_leaves_no_windows(sandbox: Sandbox) -> None:
    started = sandbox.start("--window", "tmux")
    sandbox.wait_for_output("quit")
    started.kill()
    assert sandbox.wait_for_exit(started) == -signal.SIGKILL


@posix
def test_terminal_emulator(sandbox: Sandbox) -> None:
    """A fake xterm gets the title and the command that the table has."""
    stand_in = sandbox.home / "xterm"
    script = f"""#!{sys.executable}
import pty, sys
print(*sys.argv[1:4], file=open({str(sandbox.home / "titles")!r}, "a"))
pty.spawn(sys.argv[4:])
"""
    stand_in.write_text(script, "utf-8")
    stand_in.chmod(0o755)
    started = sandbox.start(PATH=str(sandbox.home), DISPLAY=":9")
    sandbox.wait_for_output("test1, test2")
    titles = (sandbox.home / "titles").read_text("utf-8")
    assert titles.splitlines() == ["-T server -e", "-T test1 -e", "-T test2 -e"]
    close_input(started)
    assert sandbox.wait_for_exit(started) == 0


@posix
def test_a_window_that_does_not_open(sandbox: Sandbox) -> None:
    (sandbox.home / "xterm").symlink_to("/bin/false")
    started = sandbox.start(PATH=str(sandbox.home), DISPLAY=":9")
    assert sandbox.wait_for_exit(started) == 1
    assert sandbox.output() == "launcher: no window opened for server (terminal); --window none does without\n"
