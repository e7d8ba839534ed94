"""System-call filters: of the shipped unit as systemd expands it, and the default of containers.

Both are committed (`unit.json`, `container.json`), so that tests need neither systemd nor podman; `python -m
tests.deployment.filters` regenerates them where both are installed.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
UNIT: Final = HERE.parent.parent / "config" / "gmessenger.service"
EXPANDED: Final = HERE / "unit.json"
CONTAINER: Final = HERE / "container.json"
SECCOMP_JSON: Final = Path("/usr/share/containers/seccomp.json")
"""The default profile of podman, from Debian's golang-github-containers-common."""
DEFAULT_GROUP: Final = "@default"
"""The group that systemd adds to every allow list (systemd.exec(5), SystemCallFilter=)."""
MACHINES: Final = frozenset({"amd64", "arm64"})

Filter = dict[str, Any]
"""`default`: the errno of what is not named; `allowed`: names; `refused`: errnos by name; `conditions`: by name, what
its arguments must be for it to be allowed, as lists of (argument, comparison, value, second value)."""


def load(file: Path) -> Filter:
    return dict(json.loads(file.read_text("utf-8")))


def settings(name: str) -> list[str]:
    """Return the values of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def systemd_version() -> str | None:
    """Return the installed systemd release; None if there is none."""
    if shutil.which("systemd-analyze") is None:
        return None
    done = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def expand(group: str) -> set[str]:
    """Return the system calls of a group like @system-service in the installed systemd."""
    if not group.startswith("@"):
        return {group}
    command = ["systemd-analyze", "syscall-filter", group]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    options = [line.strip() for line in lines]
    return set().union(*(expand(word) for word in options if word and not word.startswith("#")))


def unit_filter() -> Filter:
    """Return the filter of the unit as the installed systemd expands it."""
    lines = settings("SystemCallFilter")
    allowed = expand(DEFAULT_GROUP)
    for line in lines:
        named = set().union(*(expand(word) for word in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    (code,) = settings("SystemCallErrorNumber")
    return {
        "origin": f"systemd {systemd_version()}",
        "settings": lines,
        "default": getattr(errno, code),
        "allowed": sorted(allowed),
    }


def container_filter(profile: dict[str, Any]) -> Filter:
    """Reduce a container profile to what applies to a process without capabilities on usual machines."""
    result: Filter = {"default": profile["defaultErrnoRet"], "allowed": set(), "refused": {}, "conditions": {}}
    for rule in profile["syscalls"]:
        arches = rule.get("includes", {}).get("arches")
        if rule.get("includes", {}).get("caps") or (arches and not MACHINES & set(arches)):
            continue
        arguments = [[each["index"], _operator(each), each["value"], each["valueTwo"]] for each in rule["args"] or []]
        for name in rule["names"]:
            if rule["action"] == "SCMP_ACT_ERRNO":
                if not arguments:  # those with arguments repeat what no other rule allows
                    result["refused"][name] = rule["errnoRet"]
            elif arguments:
                result["conditions"].setdefault(name, []).append(arguments)
            else:
                result["allowed"].add(name)
    result["allowed"] = sorted(result["allowed"])
    return {"origin": "golang-github-containers-common of Debian, Apache-2.0", **result}


def _operator(argument: dict[str, Any]) -> str:
    return str(argument["op"]).removeprefix("SCMP_CMP_")


def write_files() -> None:
    """Write both files from the installed systemd and profile."""
    profile = json.loads(SECCOMP_JSON.read_text("utf-8"))
    for file, result in ((EXPANDED, unit_filter()), (CONTAINER, container_filter(profile))):
        file.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    write_files()
