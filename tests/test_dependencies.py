"""Dependencies: lock files agree with setup.py; libraries whose private API is used have an upper bound."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import runpy
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gmessenger
from tests import ROOT

LOCKS: dict[str, tuple[str, ...]] = runpy.run_path(str(ROOT / "scripts/lock.py"))["LOCKS"]
PYTHONS = ("3.11.2", "3.11.9", "3.12.9", "3.13.5", "3.14.0")
"""Debian 12 has a 3.11.2, which some libraries make up for."""
ENTRY = re.compile(r"^(?P<requirement>[^\s#-][^\\\n]*?) \\\n(?P<hashes>(?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE)


@cache
def metadata() -> dict[str, Any]:
    """Return the arguments of setup.py."""
    with pytest.MonkeyPatch.context() as patch:
        arguments: dict[str, Any] = {}
        patch.setattr(setuptools, "setup", arguments.update)
        runpy.run_path(str(ROOT / "setup.py"))
    return arguments


def requirements(*extras: str) -> Iterator[Requirement]:
    """Yield the requirements of the project with some extras, and of its build."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    optional = [row for extra in extras for row in metadata()["extras_require"][extra]]
    yield from map(Requirement, (*build, *metadata()["install_requires"], *optional))


def environment(python: str) -> dict[str, str]:
    return {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python}


def pins(name: str, python: str) -> dict[str, str]:
    """Return the version that is locked for a Python, by distribution."""
    versions: dict[str, str] = {}
    for entry in ENTRY.finditer((ROOT / name).read_text("utf-8")):
        locked = Requirement(entry["requirement"])
        if locked.marker is None or locked.marker.evaluate(environment(python)):
            (pin,) = locked.specifier
            assert pin.operator == "=="
            assert versions.setdefault(canonicalize_name(locked.name), pin.version) == pin.version
    return versions


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKS)
def test_the_ranges_of_setup_py_are_locked(name: str, python: str) -> None:
    locked = pins(name, python)
    for requirement in requirements(*LOCKS[name]):
        if requirement.marker is None or requirement.marker.evaluate(environment(python)):
            assert locked[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement}: make lock"


@pytest.mark.parametrize("python", PYTHONS)
def test_all_lock_files_hold_the_same_versions(python: str) -> None:
    first, *other_locks = (pins(name, python) for name in LOCKS)
    for lock in other_locks:
        assert {name: first[name] for name in first if name in lock} == {
            name: lock[name] for name in lock if name in first
        }


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_holds_versions_and_hashes_and_says_nothing_of_a_machine(name: str) -> None:
    written = (ROOT / name).read_text("utf-8")
    rest = re.sub(r"^ *#.*\n", "", ENTRY.sub("", written), flags=re.MULTILINE)
    assert rest == ""
    assert not re.search(
        r"://|--(?!hash=sha256:)|@|(?<!# )\bfile:", re.sub(r"^ *#   -c \S+$", "", written, flags=re.MULTILINE)
    )
    hashes = re.findall(r"--hash=(\S+)", written)
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes)


def test_every_lock_file_is_made_by_the_one_command() -> None:
    assert {file.name for file in ROOT.glob("requirements*.txt")} == set(LOCKS)


def test_make_installs_nothing_that_is_not_locked() -> None:
    """Beside the newest of everything, where that is asked for, and the locker itself."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = [
        line.strip() for line in makefile.splitlines() if line.startswith("\t") and re.search(r"\$\(PIP\)|pip ", line)
    ]
    newest = [line for line in commands if "-newest/" in line]
    assert len(newest) == 1
    assert set(commands) - set(newest) == {
        "$(PIP) --require-hashes -r $(1)",
        "$(PIP) --no-deps --no-build-isolation -e .",
        "$(PIP) 'uv>=0.9'",
    }


def ours(name: str) -> bool:
    return name.partition(".")[0] in {"gmessenger", "builtins"}


def private_parts() -> Iterator[tuple[str, str]]:
    """Yield the modules of libraries whose private parts our classes use, each with the place of use."""
    for module in pkgutil.walk_packages(gmessenger.__path__, "gmessenger."):
        if module.name.endswith("__main__"):
            continue
        classes = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        for _, kind in classes:
            if kind.__module__ != module.name:
                continue
            for base in kind.__mro__[1:]:
                replaced = {name for name in vars(kind) if name in vars(base) and not name.startswith("__")}
                replaced -= {"_abc_impl", "_is_protocol"}  # of Python's own
                if not ours(base.__module__) and any(
                    name.startswith("_") for name in (base.__name__, *replaced) if replaced
                ):
                    yield base.__module__.partition(".")[0], f"{kind.__module__}.{kind.__qualname__}"


def test_where_private_parts_of_a_library_are_used_it_has_an_upper_bound() -> None:
    bounded = {
        canonicalize_name(requirement.name)
        for requirement in requirements(*metadata()["extras_require"])
        if any(specifier.operator in {"<", "<=", "==", "~="} for specifier in requirement.specifier)
    }
    distributions = packages_distributions()
    versions = {(name, where) for module, where in private_parts() for name in distributions.get(module, ())}
    assert {name for name, _ in versions} >= {"gevent", "redis"}  # or this looks at nothing
    assert {canonicalize_name(name) for name, _ in versions} - bounded == set(), versions
