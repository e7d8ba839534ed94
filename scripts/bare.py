"""Run `make run` and `make test` on a bare Debian: `make test-bare`, or with `SUITE=forky` on another release.

The system is made by `debootstrap --variant=minbase`, with Python, venv, make and git: no database, no locale, no
terminal, an ordinary user. From this machine it gets only the trusted certificates and pip's configuration. It is kept
in $BARE_FOLDER, by default ~/.cache/gmessenger/bare, and entered in namespaces of its own; a fresh clone of this
checkout is put into it. pytest's summary says which tests are skipped there.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Final, NoReturn

TOP: Final = Path(__file__).resolve().parent.parent
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER: Final = Path(os.environ.get("BARE_FOLDER") or CACHE / "gmessenger" / "bare")
MIRROR: Final = "http://deb.debian.org/debian"
PACKAGES: Final = ("python3", "python3-venv", "make", "git")
TOOLS: Final = {"debootstrap": "debootstrap", "unshare": "util-linux", "git": "git"}
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SCRIPTS: Final = Path("/usr/share/debootstrap/scripts")
CERTIFICATES: Final = Path("etc/ssl/certs/ca-certificates.crt")
USER: Final = "newcomer"
HOME: Final = Path("home", USER)
ID: Final = 1000
PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy")
DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
DEFAULT_PORT: Final = 7777
INSTALL_TIMEOUT: Final = 600.0  # seconds, from `make run` to a server: it downloads and installs everything
ANSWER_TIMEOUT: Final = 60.0  # seconds, for a client to print an expected line
END_TIMEOUT: Final = 60.0  # seconds, from the end of the input to the end of the process


def fail(message: str) -> NoReturn:
    """Print an error and raise SystemExit."""
    print(f"test-bare: {message}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def report(message: str) -> None:
    print(f"test-bare: {message}", flush=True)


def run(*command: str | Path, **environ: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, **environ}, stdin=subprocess.DEVNULL)


def output(*command: str | Path) -> str:
    """Return the standard output of a command; empty if it fails or is not installed."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


# The system.


def install_tools() -> None:
    """Install the tools that make the system, with apt-get; without it, fail if one is missing."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    missing += [] if KEYRING.exists() else ["debian-archive-keyring"]
    if missing and shutil.which("apt-get"):
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, DEBIAN_FRONTEND="noninteractive")
    elif missing:
        fail(f"needs {', '.join(missing)}")


def mirror() -> str:
    """Return the Debian mirror of this machine's apt, or the default one."""
    urls = output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    return next(iter(urls.split()), MIRROR)


def proxies() -> dict[str, str]:
    """Return the proxy variables of this process's environment; apt may have other proxies."""
    values = {name: os.environ.get(name) or os.environ.get(name.upper()) or "" for name in PROXIES}
    return {name: value for name, value in values.items() if value}


def apt_proxy() -> dict[str, str]:
    """Return the proxy of apt's configuration, as a variable."""
    match = re.search(r"='(.+)'", output("apt-config", "shell", "proxy", "Acquire::http::Proxy"))
    return {"http_proxy": match[1]} if match else {}


def make_system(suite: str) -> Path:
    """Make the system unless it exists, and return its root, which is renamed once complete."""
    root = FOLDER / suite
    if root.exists():
        date = time.strftime("%Y-%m-%d", time.localtime(root.stat().st_mtime))
        report(f"{root} was made on {date}; remove it to have it made again")
        return root
    partial = FOLDER / f"{suite}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    report(f"making {root}")
    packages = f"--include={','.join(PACKAGES)}"
    keyring = (f"--keyring={KEYRING}",) if KEYRING.exists() else ()
    with (FOLDER / f"{suite}.log").open("w") as log:
        is_known = (SCRIPTS / suite).exists()  # a release may be newer than the debootstrap of this machine
        script = () if is_known else (SCRIPTS / "sid",)
        command = ("debootstrap", "--variant=minbase", packages, *keyring, suite, partial, mirror(), *script)
        environ = {**os.environ, **apt_proxy()}
        done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ, check=False)
    if done.returncode:
        fail(f"debootstrap ended with {done.returncode}: {log.name}")
    run("chroot", partial, "useradd", "--uid", str(ID), "--create-home", USER)
    partial.rename(root)
    return root


# Configuration from this machine.


def pip_settings() -> dict[str, str]:
    """Return pip's settings by name; the environment takes precedence over files."""
    lines = output(sys.executable, "-m", "pip", "config", "list").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    names = sorted(settings, key=lambda name: name.startswith(":env:"))
    return {name.rpartition(".")[2]: str(ast.literal_eval(settings[name])) for name in names}


def configure(root: Path) -> list[Path]:
    """Copy host names, certificates and pip's settings; return folders that must be mounted."""
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc", name), root / "etc" / name)
    certificates = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or f"/{CERTIFICATES}"
    settings = pip_settings()
    if Path(certificates).exists():
        (root / CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificates, root / CERTIFICATES)
        settings["cert"] = f"/{CERTIFICATES}"
    lines = (f"{name} = {value}".replace("\n", "\n    ") for name, value in settings.items())
    (root / "etc" / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), "utf-8")
    folders = []
    for path in (word.removeprefix("file://") for value in settings.values() for word in value.split()):
        source, target = Path(path), root / path.lstrip("/")
        if path == f"/{CERTIFICATES}" or not source.is_absolute():
            continue
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        elif source.is_dir():  # an index of files links to files beside it
            folders.append(source.parent if source.name == "simple" else source)
    return folders


def clone(root: Path) -> None:
    """Make a new home directory with a clone of this checkout's commits."""
    shutil.rmtree(root / HOME, ignore_errors=True)
    shutil.copytree(root / "etc" / "skel", root / HOME)
    git = ("git", "-c", "safe.directory=*")  # in CI the checkout may be another user's
    if output(*git, "-C", TOP, "status", "--porcelain"):
        report("uncommitted changes are left out")
    run(*git, "clone", "--quiet", "--no-local", TOP, root / HOME / "gmessenger")
    run("chown", "-R", f"{ID}:{ID}", root / HOME)


# Inside the namespaces.


def mount(root: Path, folders: list[Path]) -> None:
    """Mount /proc, devices, terminals, temporary directories, and the folders of `configure`."""
    run("mount", "--bind", root, root)
    run("mount", "-t", "proc", "proc", root / "proc")
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "dev", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        run("mount", "--bind", Path("/dev", name), root / "dev" / name)
    for name, target in {
        "fd": "/proc/self/fd",
        "ptmx": "pts/ptmx",
        "stdin": "fd/0",
        "stdout": "fd/1",
        "stderr": "fd/2",
    }.items():
        (root / "dev" / name).symlink_to(target)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", root / "dev" / "pts")
    for name in ("dev/shm", "tmp", "var/tmp"):
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / name)
    for folder in folders:
        mount_point = root / str(folder).lstrip("/")
        mount_point.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", "-o", "ro", folder, mount_point)


class OrdinaryUser:
    """An ordinary user of the system, whose commands run in the fresh clone."""

    def __init__(self, root: Path, **environ: str) -> None:
        environ = {"HOME": f"/{HOME}", "USER": USER, "PATH": "/usr/bin:/bin"} | proxies() | environ
        self._prefix = (
            *("chroot", f"--userspec={ID}:{ID}", "--groups=", str(root), "env", "-i"),
            *(f"{name}={value}" for name, value in environ.items()),
            *("sh", "-c", 'cd ~/gmessenger && exec sh -c "$1"', "sh"),
        )

    def run(self, command: str) -> int:
        report(f"$ {command}")
        return subprocess.run([*self._prefix, command], stdin=subprocess.DEVNULL, check=False).returncode

    def start(self, command: str) -> PipedProcess:
        report(f"$ {command}")
        return PipedProcess([*self._prefix, command])


class PipedProcess:
    """A program with pipes; its output is echoed, and can be waited for by lines."""

    def __init__(self, command: list[str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(command, text=True, encoding="utf-8", bufsize=1, **pipes)  # type: ignore[call-overload]
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            print(f"  | {line}", end="", flush=True)
            self._lines.put(line)
        self._lines.put("")

    def expect(self, wanted: str, timeout: float) -> str:
        """Return the next line that contains a text. Raises SystemExit after `timeout` seconds."""
        for line in self._lines_until(time.monotonic() + timeout):
            if wanted in line:
                return line
        fail(f"no line with {wanted!r}")

    def _lines_until(self, deadline: float) -> Iterator[str]:
        try:
            while line := self._lines.get(timeout=max(0.0, deadline - time.monotonic())):
                yield line
        except Empty:
            return

    def type(self, line: str) -> None:
        print(f"  > {line}", flush=True)
        self._process.stdin.write(f"{line}\n")

    def end(self) -> int:
        """Close its input and wait for its end; return its exit code."""
        self._process.stdin.close()
        code = self._process.wait(END_TIMEOUT)
        self._reader.join(END_TIMEOUT)
        return int(code)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def try_run(root: Path) -> None:
    """Test `make run` without a terminal, then a second client and a message each way."""
    environ = {} if is_free(DEFAULT_PORT) else {"MESSENGER_PORT": str(DEFAULT_PORT + 10_000)}
    user = OrdinaryUser(root, **environ)
    first = user.start("make run")
    first.expect("For more clients, each in another terminal", INSTALL_TIMEOUT)
    second = user.start(first.expect(" client ", ANSWER_TIMEOUT).strip())
    second.expect("You are test2.", ANSWER_TIMEOUT)
    first.expect("You are test1.", ANSWER_TIMEOUT)
    first.type("/msg test2 is anybody there?")
    second.expect("test1: is anybody there?", ANSWER_TIMEOUT)
    second.type("/msg test1 there is")
    first.expect("test2: there is", ANSWER_TIMEOUT)
    if code := second.end():
        fail(f"the second client ended with {code}")
    if code := first.end():
        fail(f"`make run` ended with {code}")


def run_as_init() -> None:
    """Be process 1 of the namespace, which reaps orphans; return in a child, which does the work.

    This process ends when the child does, with its exit code.
    """
    worker = os.fork()
    if not worker:
        return
    while True:
        pid, status = os.wait()
        if pid == worker:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def run_inside(root: Path, folders: list[Path]) -> None:
    run_as_init()
    mount(root, folders)
    run("chroot", root, "python3", "-VV")
    try_run(root)
    rerun = {name: os.environ[name] for name in ("RERUN_FAILED",) if name in os.environ}
    if code := OrdinaryUser(root, **rerun).run("make test"):
        fail(f"`make test` ended with {code}")
    report("both commands work here")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("suite", nargs="?", default="trixie", help="a release of Debian; default: trixie")
    parser.add_argument("--inside", nargs="+", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return run_inside(options.inside[0], options.inside[1:])
    if os.geteuid():
        fail("needs root, to make and enter a system of its own")
    FOLDER.mkdir(parents=True, exist_ok=True)
    install_tools()
    with (FOLDER / f"{options.suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = make_system(options.suite)
        folders = configure(root)
        clone(root)
        unshare = ("unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--kill-child")
        command = (sys.executable, __file__, options.suite, "--inside", root, *folders)
        code = subprocess.run([*unshare, *command], stdin=subprocess.DEVNULL, check=False).returncode
        shutil.rmtree(root / HOME, ignore_errors=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
