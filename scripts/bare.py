"""Run the README's two commands on a bare Debian: `make test-bare`, or with `SUITE=forky` on another release.

The system is what `debootstrap --variant=minbase` makes, with Python, venv, make and git: no database, no locale, no
terminal, an ordinary user. Of this machine it gets the certificates that it trusts and how pip reaches its index,
nothing else. It lies in $BARE_FOLDER, by default ~/.cache/gmessenger/bare, is kept where it exists, and is entered in
namespaces of its own; a fresh clone of this checkout is put into it. What is skipped there is said at the end.
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
INSTALL_TIMEOUT: Final = 600.0  # seconds, from `make run` to a server: everything is fetched and installed
ANSWER_TIMEOUT: Final = 60.0  # seconds, for a client to say what is waited for
END_TIMEOUT: Final = 60.0  # seconds, from the end of the input to the end of everything


def fail(sentence: str) -> NoReturn:
    print(f"test-bare: {sentence}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def say(sentence: str) -> None:
    print(f"test-bare: {sentence}", flush=True)


def run(*command: str | Path, **environ: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, **environ}, stdin=subprocess.DEVNULL)


def output(*command: str | Path) -> str:
    """What a command says; nothing where it is not there or fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


# The system.


def install_tools() -> None:
    """Install what makes the system, on a Debian; elsewhere it has to be there."""
    lacking = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    lacking += [] if KEYRING.exists() else ["debian-archive-keyring"]
    if lacking and shutil.which("apt-get"):
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *lacking, DEBIAN_FRONTEND="noninteractive")
    elif lacking:
        fail(f"needs {', '.join(lacking)}")


def mirror() -> str:
    """Where this machine has its Debian from, if it is one."""
    told = output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    return next(iter(told.split()), MIRROR)


def proxies() -> dict[str, str]:
    """How this machine reaches others, by variable; apt may have a way of its own."""
    found = {name: os.environ.get(name) or os.environ.get(name.upper()) or "" for name in PROXIES}
    return {name: value for name, value in found.items() if value}


def apt_proxy() -> dict[str, str]:
    told = re.search(r"='(.+)'", output("apt-config", "shell", "found", "Acquire::http::Proxy"))
    return {"http_proxy": told[1]} if told else {}


def make_system(suite: str) -> Path:
    """The root of the system, made unless it is there. One that is half made is never taken for one."""
    root = FOLDER / suite
    if root.exists():
        made = time.strftime("%Y-%m-%d", time.localtime(root.stat().st_mtime))
        say(f"{root} is of {made}; remove it to have it made again")
        return root
    partial = FOLDER / f"{suite}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    say(f"making {root}")
    packages = f"--include={','.join(PACKAGES)}"
    trusted = (f"--keyring={KEYRING}",) if KEYRING.exists() else ()
    with (FOLDER / f"{suite}.log").open("w") as log:
        known = (SCRIPTS / suite).exists()  # a release may be younger than the debootstrap of this machine
        script = () if known else (SCRIPTS / "sid",)
        command = ("debootstrap", "--variant=minbase", packages, *trusted, suite, partial, mirror(), *script)
        environ = {**os.environ, **apt_proxy()}
        ended = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ, check=False)
    if ended.returncode:
        fail(f"debootstrap ended with {ended.returncode}: {log.name}")
    run("chroot", partial, "useradd", "--uid", str(ID), "--create-home", USER)
    partial.rename(root)
    return root


# What is brought in.


def pip_settings() -> dict[str, str]:
    """How pip is configured here, by name; what the environment says wins over files, as with pip itself."""
    lines = output(sys.executable, "-m", "pip", "config", "list").splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    ordered = sorted(found, key=lambda name: name.startswith(":env:"))
    return {name.rpartition(".")[2]: str(ast.literal_eval(found[name])) for name in ordered}


def bring_in(root: Path) -> list[Path]:
    """Bring in names, certificates and how pip is configured. Returns the folders that are still to be mounted."""
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc", name), root / "etc" / name)
    trusted = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or f"/{CERTIFICATES}"
    settings = pip_settings()
    if Path(trusted).exists():
        (root / CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trusted, root / CERTIFICATES)
        settings["cert"] = f"/{CERTIFICATES}"
    lines = (f"{name} = {value}".replace("\n", "\n    ") for name, value in settings.items())
    (root / "etc" / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), "utf-8")
    folders = []
    for named in (word.removeprefix("file://") for value in settings.values() for word in value.split()):
        here, there = Path(named), root / named.lstrip("/")
        if named == f"/{CERTIFICATES}" or not here.is_absolute():
            continue
        if here.is_file():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here, there)
        elif here.is_dir():  # an index of files links to what lies beside it
            folders.append(here.parent if here.name == "simple" else here)
    return folders


def clone(root: Path) -> None:
    """A home as it is on the first day, and in it what has been committed here."""
    shutil.rmtree(root / HOME, ignore_errors=True)
    shutil.copytree(root / "etc" / "skel", root / HOME)
    trusting = ("git", "-c", "safe.directory=*")  # in CI the checkout may be another user's
    if output(*trusting, "-C", TOP, "status", "--porcelain"):
        say("what is not committed is left out")
    run(*trusting, "clone", "--quiet", "--no-local", TOP, root / HOME / "gmessenger")
    run("chown", "-R", f"{ID}:{ID}", root / HOME)


# Inside of the namespaces.


def mount(root: Path, folders: list[Path]) -> None:
    """What every system has mounted: processes, devices, terminals, shared memory; and places for what is temporary."""
    run("mount", "--bind", root, root)
    run("mount", "-t", "proc", "proc", root / "proc")
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "dev", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        run("mount", "--bind", Path("/dev", name), root / "dev" / name)
    for name, there in {
        "fd": "/proc/self/fd",
        "ptmx": "pts/ptmx",
        "stdin": "fd/0",
        "stdout": "fd/1",
        "stderr": "fd/2",
    }.items():
        (root / "dev" / name).symlink_to(there)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", root / "dev" / "pts")
    for place in ("dev/shm", "tmp", "var/tmp"):
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / place)
    for folder in folders:
        place_for = root / str(folder).lstrip("/")
        place_for.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", "-o", "ro", folder, place_for)


class Newcomer:
    """An ordinary user of the system, whose commands run in the fresh clone."""

    def __init__(self, root: Path, **environ: str) -> None:
        environ = {"HOME": f"/{HOME}", "USER": USER, "PATH": "/usr/bin:/bin"} | proxies() | environ
        self._before = (
            *("chroot", f"--userspec={ID}:{ID}", "--groups=", str(root), "env", "-i"),
            *(f"{name}={value}" for name, value in environ.items()),
            *("sh", "-c", 'cd ~/gmessenger && exec sh -c "$1"', "sh"),
        )

    def run(self, command: str) -> int:
        say(f"$ {command}")
        return subprocess.run([*self._before, command], stdin=subprocess.DEVNULL, check=False).returncode

    def talk(self, command: str) -> Talk:
        say(f"$ {command}")
        return Talk([*self._before, command])


class Talk:
    """A program that reads and writes by pipes, with what it has said so far."""

    def __init__(self, command: list[str]) -> None:
        piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(command, text=True, encoding="utf-8", bufsize=1, **piped)  # type: ignore[call-overload]
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, said: IO[str]) -> None:
        for line in said:
            print(f"  | {line}", end="", flush=True)
            self._lines.put(line)
        self._lines.put("")

    def expect(self, wanted: str, timeout: float) -> str:
        """The next line with these words."""
        for line in self._until(time.monotonic() + timeout):
            if wanted in line:
                return line
        fail(f"{wanted!r} was not said")

    def _until(self, deadline: float) -> Iterator[str]:
        try:
            while line := self._lines.get(timeout=max(0.0, deadline - time.monotonic())):
                yield line
        except Empty:
            return

    def type(self, line: str) -> None:
        print(f"  > {line}", flush=True)
        self._process.stdin.write(f"{line}\n")

    def end(self) -> int:
        """Say nothing more, and wait for its end. Returns its exit code."""
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
    """`make run` without a terminal: a server and a client; then a second client, and a message to it and back."""
    elsewhere = {} if is_free(DEFAULT_PORT) else {"MESSENGER_PORT": str(DEFAULT_PORT + 10_000)}
    user = Newcomer(root, **elsewhere)
    first = user.talk("make run")
    first.expect("For more clients, each in another terminal", INSTALL_TIMEOUT)
    second = user.talk(first.expect(" client ", ANSWER_TIMEOUT).strip())
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


def as_first_process() -> None:
    """Stay behind as what the first process of a system is there for: it waits for all that others left.

    Returns in a child, which does the work; the whole ends when that does, with its exit code.
    """
    worker = os.fork()
    if not worker:
        return
    while True:
        ended, status = os.wait()
        if ended == worker:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def inside(root: Path, folders: list[Path]) -> None:
    as_first_process()
    mount(root, folders)
    run("chroot", root, "python3", "-VV")
    try_run(root)
    rerun = {name: os.environ[name] for name in ("RERUN_FAILED",) if name in os.environ}
    if code := Newcomer(root, **rerun).run("make test"):
        fail(f"`make test` ended with {code}")
    say("both commands work here")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("suite", nargs="?", default="trixie", help="a release of Debian; default: trixie")
    parser.add_argument("--inside", nargs="+", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options.inside[0], options.inside[1:])
    if os.geteuid():
        fail("it makes and enters a system of its own, which takes root")
    FOLDER.mkdir(parents=True, exist_ok=True)
    install_tools()
    with (FOLDER / f"{options.suite}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        root = make_system(options.suite)
        folders = bring_in(root)
        clone(root)
        apart = ("unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--kill-child")
        again = (sys.executable, __file__, options.suite, "--inside", root, *folders)
        code = subprocess.run([*apart, *again], stdin=subprocess.DEVNULL, check=False).returncode
        shutil.rmtree(root / HOME, ignore_errors=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
