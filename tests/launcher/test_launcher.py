"""launcher.py as a process of its own: what it opens, how people talk through it, and that nothing of it remains."""

import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gmessenger.launcher import services, supervise, windows
from tests import ROOT
from tests.support.timeouts import PATIENCE

LAUNCHER = ROOT / "launcher.py"
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and tmux are POSIX")


def until(look: Callable[[], object], what: str) -> None:
    """Poll until `look` finds something; fail with `what` was awaited."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
        time.sleep(0.02)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Desk:
    """Where one test starts things: a free port, an environment of its own, and a mark on all its descendants."""

    def __init__(self, home: Path) -> None:
        self.home, self.mark = home, f"LAUNCHER_TEST={uuid.uuid4()}"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        ours = ("TMUX", "TMUX_PANE", "DISPLAY", "WAYLAND_DISPLAY")
        self.env = {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("MESSENGER_")}
        self.env |= {"TMUX_TMPDIR": str(home), "TERM": "screen", "MESSENGER_LOG_FILE": str(home / "log")}
        self.outer: list[str] = []

    def start(self, *options: str, **env: str) -> subprocess.Popen[bytes]:
        """The launcher with a pipe for a menu; what it says is in `said`."""
        argv = [sys.executable, str(LAUNCHER), "--port", str(self.port), *options]
        with Path(self.home, "said").open("wb") as said:
            marked = self.env | env | dict([self.mark.split("=")])
            return subprocess.Popen(argv, env=marked, stdin=subprocess.PIPE, stdout=said, stderr=said)

    def said(self) -> str:
        return Path(self.home, "said").read_text("utf-8")

    def hears(self, text: str) -> None:
        until(lambda: text in self.said(), f"{text!r} in the output")

    def leaves(self, started: subprocess.Popen[bytes]) -> int:
        """The exit code, when the launcher and everything it started are gone."""
        code = started.wait(PATIENCE)
        until(lambda: not self.remaining() and not listens(self.port), "the end of everything that was started")
        return code

    def remaining(self) -> list[int]:
        """Everything that descends from the launcher of this test, wherever it was put (Linux can tell)."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return found

    def tmux(self, socket_name: str, *words: str) -> str:
        command = ["tmux", "-u", "-f", os.devnull, "-L", socket_name, *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True).stdout

    def terminal(self, command: str) -> None:
        """Run a shell command on a terminal (an outer tmux, which is not the launcher's), and stay there."""
        self.outer = ["sh", "-c", f"{command}; echo left with $?; exec cat"]
        self.tmux("outer", "new-session", "-d", "-x", "110", "-y", "30", "-n", "desk", *self.outer)

    def launch_line(self) -> str:
        argv = [sys.executable, str(LAUNCHER), "--port", str(self.port)]
        return f"env {self.mark} {shlex.join(argv)}"

    def screen(self, socket_name: str = "outer", window: str = "desk") -> str:
        return self.tmux(socket_name, "capture-pane", "-p", "-t", f":{window}")

    def shows(self, text: str, socket_name: str = "outer", window: str = "desk") -> None:
        until(lambda: text in self.screen(socket_name, window), f"{text!r} in window {window}")

    def windows(self, socket_name: str) -> list[str]:
        return self.tmux(socket_name, "list-windows", "-F", "#W").split()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="gm") as home:  # short: a socket's path may have 100 characters
        desk = Desk(Path(home))
        yield desk
        if desk.outer:
            desk.tmux("outer", "kill-server")
        for pid in desk.remaining():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def tell(started: subprocess.Popen[bytes], line: str) -> None:
    assert started.stdin
    started.stdin.write(f"{line}\n".encode())
    started.stdin.flush()


def hang_up(started: subprocess.Popen[bytes]) -> None:
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
    ("options", "env", "told"),
    [
        (["--clients", "21"], {}, "--clients"),
        (["--clients", "-1"], {}, "--clients"),
        (["--nodes", "0"], {}, "--nodes"),
        (["--port", "0"], {}, "'0' is not a port"),
        ([], {"MESSENGER_PORT": "seven"}, "MESSENGER_PORT"),
    ],
)
def test_bad_options(options: list[str], env: dict[str, str], told: str, desk: Desk) -> None:
    argv = [sys.executable, str(LAUNCHER), *options]
    done = subprocess.run(argv, env=desk.env | env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert told in done.stderr


# --- without windows


def test_none_is_a_server_and_a_client_that_quits(desk: Desk) -> None:
    started = desk.start("--window", "none", "--clients", "3")
    desk.hears("help")  # the client's own
    assert listens(desk.port)
    for name in ("test2", "test3"):
        assert f"client 127.0.0.1 {desk.port} --name {name}" in desk.said()
    tell(started, "/users")
    desk.hears("test1 (you)")
    tell(started, "/quit")
    assert desk.leaves(started) == 0


def test_its_own_knocks_are_not_in_the_log(desk: Desk) -> None:
    started = desk.start("--window", "none", "--clients", "0", MESSENGER_LOG_LEVEL="info")
    desk.hears("quit")
    hang_up(started)
    assert desk.leaves(started) == 0
    events = [line.split()[3] for line in (desk.home / "log").read_text("utf-8").splitlines()]
    assert events == ["server_started", "server_stopping", "server_stopped"]


def test_none_without_clients_is_a_server_and_the_menu(desk: Desk) -> None:
    started = desk.start("--window", "none", "--clients", "0")
    desk.hears("quit")
    until(lambda: listens(desk.port), "the server")
    tell(started, "x")
    until(lambda: not listens(desk.port), "the end of the server")
    desk.hears("All closed.")
    hang_up(started)
    assert desk.leaves(started) == 0


def test_the_port_comes_from_the_environment(desk: Desk) -> None:
    argv = [sys.executable, str(LAUNCHER), "--window", "none", "--clients", "0"]
    env = desk.env | {"MESSENGER_PORT": str(desk.port)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"server on port {desk.port} of 127.0.0.1" in done.stdout


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_everything(number: signal.Signals, desk: Desk) -> None:
    started = desk.start("--window", "none")
    desk.hears("help")
    started.send_signal(number)
    assert desk.leaves(started) == (-number if number == signal.SIGKILL else 0)
    assert "Traceback" not in desk.said()


@pytest.fixture
def cluster(desk: Desk, postgres: object, redis_server: object) -> Desk:
    """A desk where PostgreSQL and Redis can be had, and two ports side by side that the system gives to nobody else."""
    while listens(port := random.randrange(20_000, 30_000)) or listens(port + 1):
        pass
    desk.port = port
    return desk


def test_nodes_share_a_store_and_people_meet(cluster: Desk) -> None:
    started = cluster.start("--window", "none", "--clients", "2", "--nodes", "2")
    cluster.hears("help")
    said = cluster.said()
    assert f"server1 on port {cluster.port} of 127.0.0.1, server2 on port {cluster.port + 1} of" in said
    assert "--store 'postgresql://" in said and "--bus 'unix://" in said
    assert f"client 127.0.0.1 {cluster.port + 1} --name test2" in said
    other = [sys.executable, "-m", "gmessenger", "client", "127.0.0.1", str(cluster.port + 1), "--name", "test2"]
    with subprocess.Popen(other, env=cluster.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as dale:
        tell(dale, "/msg test1 hello from the other node")
        cluster.hears("hello from the other node")
        dale.communicate(b"/quit\n", timeout=PATIENCE)
    tell(started, "/quit")
    assert cluster.leaves(started) == 0
    assert not listens(cluster.port + 1)


def test_nothing_of_a_cluster_outlives_a_launcher_that_is_killed(cluster: Desk, tmp_path: Path) -> None:
    started = cluster.start("--window", "none", "--clients", "0", "--nodes", "2", TMPDIR=str(cluster.home))
    cluster.home.chmod(0o711)  # PostgreSQL may run as somebody else
    cluster.hears("quit")
    assert list(cluster.home.glob("postgres-*")) and list(cluster.home.glob("redis-*"))
    started.kill()
    assert cluster.leaves(started) == -signal.SIGKILL
    assert not list(cluster.home.glob("postgres-*")) and not list(cluster.home.glob("redis-*"))


def test_what_a_cluster_lacks_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "missing", lambda: ["PostgreSQL", "Redis"])
    with contextlib.ExitStack() as running:
        told = supervise.start_services(running, ["Redis"])["error"]
    assert told.startswith("Redis is not installed: apt-get install postgresql redis-server")


@posix
def test_a_signal_in_the_midst_of_starting(desk: Desk) -> None:
    started = desk.start("--window", "none")
    until(lambda: len(desk.remaining()) > 1, "the first helper")
    started.send_signal(signal.SIGTERM)
    assert desk.leaves(started) == 0


@pytest.mark.parametrize("window", ["none", pytest.param("tmux", marks=needs_tmux)])
def test_port_in_use(window: str, desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", desk.port)):
        started = desk.start("--window", window)
        assert started.wait(PATIENCE) == 69
    assert desk.leaves(started) == 69
    (line,) = desk.said().splitlines()
    assert str(desk.port) in line
    assert "server" in line and f"MESSENGER_PORT={desk.port + 1}" in line


@posix
def test_a_program_that_ignores_sigterm_is_killed() -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    ours, its = socket.socketpair()
    with subprocess.Popen([sys.executable, "-c", ignore], stdout=subprocess.PIPE) as child, ours, its:
        assert child.stdout
        child.stdout.readline()
        ours.close()
        supervise.end_with(its, child, grace=0.1)
        assert child.wait(PATIENCE) == -signal.SIGKILL


# --- windows


@posix
@needs_tmux
def test_tmux_windows_talk_and_q_ends_them_and_only_them(desk: Desk) -> None:
    desk.terminal("true")  # somebody else's tmux
    mine = desk.home / "config" / "gmessenger" / "client.ini"
    mine.parent.mkdir(parents=True)
    mine.write_text("[client]\ntls = yes\nport = 1\n", "utf-8")  # about a server elsewhere
    started = desk.start("--window", "tmux", XDG_CONFIG_HOME=str(desk.home / "config"))
    own = f"gmessenger-{started.pid}"
    desk.hears(f"tmux -u -L {own} attach")
    assert desk.windows(own) == ["server", "test1", "test2"]
    for name in ("test1", "test2"):
        desk.shows("help", own, name)
    desk.tmux(own, "send-keys", "-t", ":test1", "/msg test2 hello from one", "Enter")
    desk.shows("writes to you", own, "test2")
    desk.tmux(own, "send-keys", "-t", ":test2", "M-1")
    desk.shows("hello from one", own, "test2")
    desk.tmux(own, "send-keys", "-t", ":test2", "/quit", "Enter")
    until(lambda: desk.windows(own) == ["server", "test1"], "test2's leaving")
    tell(started, "s")
    until(lambda: desk.windows(own) == ["server", "test1", "test2"], "test2 again")
    tell(started, "s")
    until(lambda: desk.windows(own) == ["server", "test1", "test2", "test3"], "one more")
    tell(started, "x")
    desk.hears("All closed.")
    tell(started, "s")
    until(lambda: desk.windows(own) == ["server", "test1", "test2", "test3"], "everything again")
    tell(started, "q")
    assert desk.leaves(started) == 0
    assert desk.windows("outer") == ["desk"]
    assert not list(desk.home.glob(f"tmux-*/{own}"))


@posix
@needs_tmux
def test_inside_tmux_it_adds_windows_to_the_session(desk: Desk) -> None:
    desk.terminal(desk.launch_line())
    desk.shows("Running")
    assert desk.windows("outer") == ["desk", "server", "test1", "test2"]
    desk.shows("help", window="test1")
    desk.tmux("outer", "send-keys", "-t", ":desk", "q", "Enter")
    desk.shows("left with 0")
    until(lambda: desk.windows("outer") == ["desk"], "the end of the windows")
    assert not listens(desk.port)


@posix
@needs_tmux
def test_a_client_that_fails_can_be_read(desk: Desk) -> None:
    started = desk.start("--window", "tmux", "--clients", "0")
    own = f"gmessenger-{started.pid}"
    desk.hears("quit")
    stranger = [sys.executable, "-m", "gmessenger", "client", "127.0.0.1", str(desk.port), "--name", "test1"]
    with subprocess.Popen(stranger, env=desk.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        until(lambda: b"help" in holder.stdout.readline(), "the stranger's login")
        tell(started, "s")
        desk.shows("ended with code 77; Enter closes this window", own, "test1")
        desk.tmux(own, "send-keys", "-t", ":test1", "Enter")
        until(lambda: desk.windows(own) == ["server"], "the end of the window")
        holder.terminate()
    tell(started, "q")
    assert desk.leaves(started) == 0


@posix
@needs_tmux
@pytest.mark.parametrize("leave", [("C-b", "0", "q", "Enter"), ("C-b", "d"), ("C-b", "0", "C-c")], ids=" ".join)
def test_a_bare_terminal_becomes_a_session_that_shows_a_client(leave: tuple[str, ...], desk: Desk) -> None:
    desk.terminal(f"env -u TMUX -u TMUX_PANE {desk.launch_line()}")
    desk.shows("2:test1* 3:test2")
    desk.shows("[● connected] [test1]")
    if "0" in leave:
        desk.tmux("outer", "send-keys", *leave[:2])
        desk.shows("q  quit")
        leave = leave[2:]
    desk.tmux("outer", "send-keys", *leave)
    desk.shows("left with 0")
    assert "All closed." in desk.screen()
    until(lambda: not desk.remaining() and not listens(desk.port), "the end of everything")


@posix
@needs_tmux
def test_a_session_that_cannot_start_says_so_on_the_terminal(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", desk.port)):
        desk.terminal(f"env -u TMUX -u TMUX_PANE {desk.launch_line()}")
        desk.shows("left with 69")
    assert "launcher: gmessenger-server: " in desk.screen()
    until(lambda: not desk.remaining(), "the end of everything")


@posix
@needs_tmux
def test_a_killed_launcher_leaves_no_windows(desk: Desk) -> None:
    started = desk.start("--window", "tmux")
    desk.hears("quit")
    started.kill()
    assert desk.leaves(started) == -signal.SIGKILL


@posix
def test_terminal_emulator(desk: Desk) -> None:
    """With a stand-in for xterm: the title and the command come as the table says."""
    stand_in = desk.home / "xterm"
    script = f"""#!{sys.executable}
import pty, sys
print(*sys.argv[1:4], file=open({str(desk.home / "titles")!r}, "a"))
pty.spawn(sys.argv[4:])
"""
    stand_in.write_text(script, "utf-8")
    stand_in.chmod(0o755)
    started = desk.start(PATH=str(desk.home), DISPLAY=":9")
    desk.hears("test1, test2")
    assert (desk.home / "titles").read_text("utf-8").split("\n") == ["-T server -e", "-T test1 -e", "-T test2 -e", ""]
    hang_up(started)
    assert desk.leaves(started) == 0


@posix
def test_a_window_that_does_not_open(desk: Desk) -> None:
    (desk.home / "xterm").symlink_to("/bin/false")
    started = desk.start(PATH=str(desk.home), DISPLAY=":9")
    assert desk.leaves(started) == 1
    assert desk.said() == "launcher: no window opened for server (terminal); --window none does without\n"
