"""The server does everything under the restrictions of the shipped unit and of containers."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deployment import filters
from tests.deployment.journey import SandboxedServer, exercise, require_sandbox

EXTRA_SETTINGS: Final = (
    *("setpriority", "getpriority", "ioprio_set", "sched_setaffinity", "sched_getaffinity", "sched_setscheduler"),
    *("sched_getparam", "sched_setparam", "sched_yield", "mlock", "mlock2", "mlockall", "munlock", "setrlimit"),
    *("setsockopt", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"),
    *("statfs", "fstatfs", "fallocate", "fadvise64", "madvise", "getrusage", "sysinfo", "syslog", "inotify_init1"),
)
"""System calls that make something better where they are allowed, and must not be needed."""


def unit() -> dict[str, Any]:
    """Return the restrictions of the shipped unit, as far as they can be applied here."""
    (families,) = filters.settings("RestrictAddressFamilies")
    (limit,) = filters.settings("LimitNOFILE")
    (umask,) = filters.settings("UMask")
    for name, value in (("ProtectSystem", "strict"), ("ProtectHome", "yes"), ("PrivateTmp", "yes")):
        assert filters.settings(name) == [value]
    assert filters.settings("ReadWritePaths") == []  # its state directory, and nothing else
    return {
        "proc": filters.settings("ProcSubset") == ["pid"],
        "mappings": filters.settings("MemoryDenyWriteExecute") == ["yes"],
        "families": families.split(),
        "files": int(limit),
        "umask": int(umask, 8),
    }


def is_clean(log: str) -> bool:
    return "server_stopped" in log and "exit_code=0" in log and not re.search("Traceback|ERROR|log_file_error", log)


def test_the_filter_that_is_committed_is_that_of_the_unit() -> None:
    """Which calls are in a group differs with the release of systemd: compared where it is the same one."""
    committed = filters.load(filters.EXPANDED)
    assert committed["settings"] == filters.settings("SystemCallFilter")
    (code,) = filters.settings("SystemCallErrorNumber")
    assert committed["default"] == getattr(errno, code)
    here = filters.systemd_version()
    if committed["origin"] != f"systemd {here}":
        pytest.skip(f"the filter was expanded by {committed['origin']}, and here is {here or 'none'}")
    assert committed == filters.unit_filter()


def test_the_filter_of_containers_is_that_of_debian() -> None:
    if not filters.SECCOMP_JSON.exists():
        pytest.skip(f"there is no {filters.SECCOMP_JSON} here")
    derived = filters.container_filter(json.loads(filters.SECCOMP_JSON.read_text("utf-8")))
    committed = filters.load(filters.CONTAINER)
    # Later releases of it allow more, and never less: what works here works there.
    assert set(committed["allowed"]) <= set(derived["allowed"]) and committed["default"] == derived["default"]


def test_under_the_unit(tmp_path: Path) -> None:
    spec = unit() | {"filter": str(filters.EXPANDED), "state": str(tmp_path / "state")}
    require_sandbox(**spec | {"state": str(tmp_path)})
    with SandboxedServer(tmp_path, **spec) as server:
        assert is_clean(exercise(server, tmp_path))


def test_under_the_unit_as_the_systemd_of_this_machine_expands_it(tmp_path: Path) -> None:
    if filters.systemd_version() is None:
        pytest.skip("there is no systemd here")
    result = filters.unit_filter()
    if result == filters.load(filters.EXPANDED):
        pytest.skip("it is the same filter")
    (tmp_path / "filter").write_text(json.dumps(result))
    spec = unit() | {"filter": str(tmp_path / "filter"), "state": str(tmp_path / "state")}
    require_sandbox(**spec | {"state": str(tmp_path)})
    with SandboxedServer(tmp_path, **spec) as server:
        assert is_clean(exercise(server, tmp_path))


@pytest.mark.parametrize("read_only", [False, True], ids=["writable", "read-only"])
def test_in_a_container(read_only: bool, tmp_path: Path) -> None:
    """By its default filter; `podman run --read-only` gives it temporary directories."""
    spec: dict[str, Any] = {"filter": str(filters.CONTAINER)}
    require_sandbox(**spec | ({"state": str(tmp_path)} if read_only else {}))
    with SandboxedServer(tmp_path, **spec | ({"state": str(tmp_path / "state")} if read_only else {})) as server:
        assert is_clean(exercise(server, tmp_path))


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get)
def test_without_niceties(code: int, tmp_path: Path) -> None:
    spec = {"refused": EXTRA_SETTINGS, "code": code}
    require_sandbox(**spec)
    with SandboxedServer(tmp_path, **spec) as server:
        assert is_clean(exercise(server, tmp_path))
