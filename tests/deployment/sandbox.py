"""Runs a program with the restrictions of systemd or a container.

`python -m tests.deployment.sandbox '{"command": [...], ...}'` is called through `start`, which puts unshare(1) before
it: the new mount namespace is this process's own. What the kernel refuses ends it with REFUSED and a sentence, before
the program is started.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from tests import ROOT
from tests.deployment.filters import Filter, load

REFUSED: Final = 99
STATE: Final = Path("/var/lib/gmessenger")
HIDDEN_DIRS: Final = ("/home", "/root", "/run/user")
"""Directories hidden by ProtectHome=."""
TEMPORARY_DIRS: Final = ("/tmp", "/var/tmp", "/dev/shm")
REQUIRED_DIRS: Final = tuple(dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix)))
"""Directories of the program; a checkout in a home stands for /opt/gmessenger."""

MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
MOUNT_ATTR_RDONLY: Final = 1
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_SETATTR: Final = 442  # the same number everywhere
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES: Final = range(64)
PROT_WRITE_EXEC, PROT_EXEC = 6, 4
_libc: Final = ctypes.CDLL(None, use_errno=True)


def start(command: list[str], *, environ: dict[str, str] | None = None, **spec: Any) -> subprocess.Popen[str]:
    """Start a command in a sandbox; its standard output and error are pipes.

    Args:
        environ: all of its environment.
        state: a directory that it sees, and may write to, at STATE; without one it sees the file system as it is.
        proc: hide what ProcSubset=pid hides.
        filter: the file of a system-call filter.
        refused: names of system calls that fail alone, with the errno `code`.
        mappings: refuse memory that can be written and executed, as MemoryDenyWriteExecute= does.
        families: the only kinds of sockets that may be made, as in RestrictAddressFamilies=.
        files, umask: limits of the process.
    """
    options = json.dumps({"command": command, "environ": environ or {}, **spec})
    # An ordinary user is root in a namespace of users; its rights reach no further than that.
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    here = [sys.executable, "-m", "tests.deployment.sandbox", options]
    return subprocess.Popen(
        [*(alone if "state" in spec else []), *here],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def main(spec: dict[str, Any]) -> None:
    """Set up the restrictions as `start` describes, and execute the program."""
    try:
        if "state" in spec:
            _restrict_mounts(Path(spec["state"]), proc=spec.get("proc", False))
        _set_limits(spec)
        for each in _filters(spec):
            each.load()
    except OSError as error:
        _refuse(f"{error.strerror or error}")
    os.execve(spec["command"][0], spec["command"], spec["environ"])


def _refuse(reason: str) -> NoReturn:
    print(f"the kernel refuses to take away what the unit does: {reason}", file=sys.stderr)
    raise SystemExit(REFUSED)


def _restrict_mounts(state: Path, *, proc: bool) -> None:
    """Make the file system read-only but for the state and temporary directories of its own."""
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    handles = {path: os.open(path, os.O_PATH) for path in REQUIRED_DIRS}
    state_handle = os.open(state, os.O_PATH)
    for path in (*HIDDEN_DIRS, *TEMPORARY_DIRS, str(STATE.parent)):
        if Path(path).is_dir():
            _mount("tmpfs", path, "tmpfs", 0, "mode=1777" if path in TEMPORARY_DIRS else "mode=755")
    STATE.mkdir()
    _bind(state_handle, str(STATE))
    for path, handle in handles.items():
        if not Path(path).exists():
            Path(path).mkdir(parents=True)
            _bind(handle, path)
    if proc and _is_root_of_the_machine():
        _mount("proc", "/proc", "proc", 0, "subset=pid")
    _set_writable("/", False, everything=True)
    for path in (str(STATE), "/dev", *TEMPORARY_DIRS):
        if Path(path).is_dir():
            _set_writable(path, True)
    os.chdir("/")


def _is_root_of_the_machine() -> bool:
    """Return whether we are root outside of a user namespace: only then another /proc can be mounted."""
    return Path("/proc/self/uid_map").read_text("ascii").split() == ["0", "0", "4294967295"]


def _bind(handle: int, path: str) -> None:
    _mount(f"/proc/self/fd/{handle}", path, None, MS_BIND | MS_REC)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    options = [None if each is None else each.encode() for each in (source, target, kind)]
    if _libc.mount(*options, ctypes.c_ulong(flags), data.encode() if data else None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {target}: {os.strerror(code)}")


def _set_writable(path: str, writable: bool, *, everything: bool = False) -> None:
    """Change a mount, and with `everything` all below it: mount_setattr(2), Linux 5.12."""
    on, off = (0, MOUNT_ATTR_RDONLY) if writable else (MOUNT_ATTR_RDONLY, 0)
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)
    size, flags = ctypes.c_size_t(ctypes.sizeof(attributes)), AT_RECURSIVE if everything else 0
    if _libc.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, attributes, size) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount_setattr {path}: {os.strerror(code)}")


def _set_limits(spec: dict[str, Any]) -> None:
    for number in CAPABILITIES:  # those that there are not are refused
        _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if wanted := spec.get("files"):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.umask(spec.get("umask", 0o022))


def _filters(spec: dict[str, Any]) -> list[Any]:
    """Return what to load, in this order: after the last one, hardly any system call is left."""
    import pyseccomp

    result = []
    if spec.get("mappings"):
        result.append(_memory_filter(pyseccomp))
    if families := spec.get("families"):
        result.append(_socket_filter(pyseccomp, families))
    if refused := spec.get("refused"):
        result.append(
            _system_call_filter(pyseccomp, {"default": None, "refused": dict.fromkeys(refused, spec["code"])})
        )
    if "filter" in spec:
        result.append(_system_call_filter(pyseccomp, load(Path(spec["filter"]))))
    return result


def _system_call_filter(seccomp: Any, table: Filter) -> Any:
    default = table["default"]
    result = seccomp.SyscallFilter(seccomp.ALLOW if default is None else seccomp.ERRNO(default))
    actions = dict.fromkeys(table.get("allowed", ()), seccomp.ALLOW)
    actions |= {name: seccomp.ERRNO(code) for name, code in table.get("refused", {}).items() if code != default}
    for name, action in actions.items():
        if _is_known(seccomp, name):
            result.add_rule(action, name)
    for name, cases in table.get("conditions", {}).items():
        for case in cases:
            result.add_rule(
                seccomp.ALLOW,
                name,
                *(seccomp.Arg(at, getattr(seccomp, comparison), *to) for at, comparison, *to in case),
            )
    return result


def _is_known(seccomp: Any, name: str) -> bool:
    """Return whether the machine and its libseccomp know a system call; others have negative numbers."""
    try:
        return int(seccomp.resolve_syscall(seccomp.system_arch(), name)) >= 0
    except (OSError, ValueError):
        return False


def _memory_filter(seccomp: Any) -> Any:
    result = seccomp.SyscallFilter(seccomp.ALLOW)
    both = seccomp.Arg(2, seccomp.MASKED_EQ, PROT_WRITE_EXEC, PROT_WRITE_EXEC)
    code = seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, PROT_EXEC)
    for name, argument in (("mmap", both), ("mprotect", code), ("pkey_mprotect", code)):
        result.add_rule(seccomp.ERRNO(1), name, argument)
    return result


def _socket_filter(seccomp: Any, names: list[str]) -> Any:
    import socket

    wanted = {int(getattr(socket, name)) for name in names}
    result = seccomp.SyscallFilter(seccomp.ALLOW)
    for number in set(range(1, 64)) - wanted:
        result.add_rule(seccomp.ERRNO(97), "socket", seccomp.Arg(0, seccomp.EQ, number))
    return result


if __name__ == "__main__":
    if platform.system() != "Linux":
        _refuse("this is no Linux")
    main(json.loads(sys.argv[1]))
