"""The architecture: which package may import which, and what the pure packages must not import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT

PACKAGE = ROOT / "gmessenger"
STORAGE = ("chat.storage", "chat.room_storage", "chat.records", "chat.room_access", "chat.stats")
"""What chat and store share: the contract of a store, and the records that pass between them."""
SHARED = ("cluster.interfaces",)
"""What a node, the shared store and the bus between nodes have in common."""
GROUND = {
    "account_settings",
    "backoff",
    "console",
    "constants",
    "durability",
    "errors",
    "extras",
    "field_types",
    "hosts",
    "identifiers",
    "lru_map",
    "names",
    "processes",
    "profiles",
    "room_roles",
    "room_rules",
    "sanitize",
    "server_urls",
    "text",
    "text_files",
    "threads",
    "timeslice",
    "urls",
}
"""Modules that import nothing of ours, or only each other; everything may import them."""
MAY_IMPORT: dict[str, set[str]] = {
    "account_settings": {"errors", "field_types", "names"},
    "backoff": set(),
    "console": {"errors", "sanitize", "text"},
    "constants": set(),
    "durability": {"errors"},
    "errors": set(),
    "extras": set(),
    "field_types": {"constants", "errors", "names"},
    "hosts": set(),
    "identifiers": set(),
    "lru_map": set(),
    "names": {"errors", "identifiers"},
    "room_roles": {"errors"},
    "processes": set(),
    "profiles": {"errors"},
    "room_rules": {"errors"},
    "sanitize": set(),
    "server_urls": {"hosts"},
    "text": set(),
    "text_files": {"errors", "text"},
    "threads": set(),
    "timeslice": set(),
    "urls": set(),
    "certificates": GROUND,
    "log_files": set(),
    "patch": set(),
    "paths": GROUND,
    "log": {"log_files", "paths", *GROUND},
    "config": {"gmessenger", "log", "paths", *GROUND},
    "wire": GROUND,
    "chat": {"log", *STORAGE, *GROUND},
    "store": {"log", "store.sqlite", "store.postgres", *STORAGE, *SHARED, *GROUND},
    "bus": {"log", *SHARED, *GROUND},
    "cluster": {"log", "chat", *STORAGE, *SHARED, *GROUND},
    "server.net": {"certificates", "config", "log", "paths", "wire", *GROUND},
    "contents": GROUND,
    "server.web": {"log", "config", "wire", "chat", "contents", "server.net", *STORAGE, *GROUND},
    "server.push": {"log", "config", "wire", "chat", *STORAGE, *GROUND},
    "server.protocol": {"log", "chat", "server.net", *STORAGE, *GROUND},
    "server.jim": {"gmessenger", "log", "wire", "chat", "server.net", "server.protocol", *STORAGE, *GROUND},
    "server.irc": {"gmessenger", "log", "config", "wire", "chat", "server.net", "server.protocol", *STORAGE, *GROUND},
    "server": {
        *("gmessenger", "log", "config", "patch", "paths", "chat", "wire", "server.jim", "server.net", "server.web"),
        *("server.irc", "server.protocol"),
        *("server.push", "contents"),
        *("store", "store.sqlite", "store.postgres", "bus", "cluster"),
        *(*STORAGE, *SHARED, *GROUND),
    },
    "cluster.interfaces": {*STORAGE, *GROUND},
    "chat.storage": {"chat.room_storage", "chat.records", "chat.stats", *GROUND},
    "chat.room_storage": {"chat.records", "chat.room_access", *GROUND},
    "chat.records": GROUND,
    "chat.room_access": GROUND,
    "chat.stats": set(),
    "store.sqlite": {"store", *STORAGE, *GROUND},
    "store.postgres": {"store", *STORAGE, *SHARED, *GROUND},
    "admin": {
        *("certificates", "config", "contents", "patch", "paths", "chat", "store", "store.sqlite", "store.postgres"),
        *(*STORAGE, *SHARED, *GROUND),
    },
    "client": {"wire", *GROUND},
    "launcher": {"paths", *GROUND},
    "terminal": {"gmessenger", "client", "config", "log", "log_files", "paths", "terminal.tui", *GROUND},
    "terminal.tui": {"client", "config", "log", "terminal", *GROUND},
}
"""One direction only; a package may of course import itself, and main modules the package's version."""
FOREIGN: dict[str, set[str]] = {
    "wire": {"gevent", "socket", "time", "datetime", "logging", "threading", "asyncio", "select", "os", "random"},
    "chat": {"socket", "ssl", "json", "sqlite3", "time", "datetime", "logging", "threading"},
    "cluster": {"socket", "ssl", "sqlite3", "psycopg", "redis", "logging", "threading"},
    "client": {"logging", "argparse", "configargparse"},
    "terminal": {"socket", "json"},
    "terminal.tui": {"socket", "json"},
    "launcher": {"gevent", "asyncio", "tests"},
}
"""What a package must not know, of the world outside."""


def part(module: str) -> str:
    """Return the row of the table that a module falls under: the longest that names it or a package around it."""
    inner = module.removeprefix("gmessenger").removeprefix(".")
    rows = [row for row in MAY_IMPORT if inner == row or inner.startswith(f"{row}.")]
    return max(rows, key=len, default=inner.split(".")[0] or "gmessenger")


def imports(path: Path) -> set[str]:
    """Return every module that a file imports, also within functions."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            imported |= {f"{module}.{name.name}" if module == "gmessenger" else module for name in node.names}
    return imported


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__main__.py"]


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_modules_import_in_one_direction(path: Path) -> None:
    row = part(module_of(path))
    if row == "gmessenger":
        return
    allowed = MAY_IMPORT[row] | {row}
    ours = {module for module in imports(path) if module.split(".")[0] == "gmessenger"}
    targets = {"gmessenger" if module == "gmessenger.__version__" else part(module) for module in ours}
    assert targets <= allowed, f"{module_of(path)} imports {sorted(targets - allowed)}"


def modules_imported(path: Path) -> set[str]:
    """Return the modules of the package that a file imports: a package only where it imports something of its own."""
    known = {module_of(other) for other in MODULES}
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{name.name}" for name in node.names}
            imported |= {name if name in known else str(node.module) for name in names}
    return imported & known


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports inside of functions and those for types alone count as well."""
    graph = {module_of(path): modules_imported(path) - {module_of(path)} for path in MODULES}
    order = [*TopologicalSorter(graph).static_order()]
    assert order.index("gmessenger.errors") < order.index("gmessenger.server.server")


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_packages_do_not_know_what_they_must_not(path: Path) -> None:
    forbidden = FOREIGN.get(part(module_of(path)), set())
    roots = {module.split(".")[0] for module in imports(path)} | imports(path)
    known = (roots & forbidden) | ({"gevent.socket"} & roots if "socket" in forbidden else set())
    assert not known, f"{module_of(path)} knows {sorted(known)}"


@pytest.mark.parametrize(
    "package", [path.parent for path in MODULES if path.name == "__init__.py"], ids=lambda p: p.name
)
def test_every_package_says_what_it_is(package: Path) -> None:
    doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    assert len(doc.splitlines()[0]) > 30, "the first line of a package says what it holds"


def test_nothing_of_the_product_imports_what_is_for_developers() -> None:
    top = [*PACKAGE.rglob("*.py"), PACKAGE.parent / "launcher.py"]
    roots = {module.split(".")[0] for path in top for module in imports(path)}
    assert not roots & {"tests", "scripts", "benchmarks", "launcher"}


def test_no_product_path_looks_for_the_launcher() -> None:
    """Where the code names that file, it is for a person to type."""
    imported = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value == "launcher.py"
    }
    assert imported == {"launcher/main.py"}


def test_importing_the_package_patches_nothing() -> None:
    program = """
import pkgutil, importlib, gmessenger
for module in pkgutil.walk_packages(gmessenger.__path__, "gmessenger."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from gevent import monkey
assert not monkey.is_module_patched("socket")
"""
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=TEST_TIMEOUT
    )
    assert (completed.returncode, completed.stderr) == (0, "")


LIBRARIES = ("sqlalchemy", "sqlite3", "psycopg", "redis")
"""What only a backend needs, of a store or of the bus."""
OPENED_NEVER = {
    "the stores' package": "import gmessenger.store",
    "the client": "import gmessenger.client",
    "the terminal client": "import gmessenger.terminal.main, gmessenger.terminal.app",
    "the admin": "import gmessenger.admin.start",
    "the admin's help": "import gmessenger.admin.start as start\ntry: start.run(['--help'])\nexcept SystemExit: pass",
    "a server's parts": "import gmessenger.server.server",
}


def run_without(libraries: Iterable[str], program: str) -> tuple[int, str]:
    """Run a program that cannot import these; returns its exit code and what it wrote to stderr."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({[*libraries]!r}))\n"
    completed = subprocess.run(
        [sys.executable, "-c", blocked + program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=TEST_TIMEOUT,
    )
    return completed.returncode, completed.stderr


@pytest.mark.parametrize("program", OPENED_NEVER.values(), ids=OPENED_NEVER)
def test_no_backend_is_imported_before_one_is_opened(program: str) -> None:
    assert run_without(LIBRARIES, program) == (0, "")


def test_a_store_in_postgresql_needs_nothing_of_sqlite() -> None:
    program = """
import pkgutil, importlib, gmessenger.store.postgres as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
"""
    assert run_without({*LIBRARIES} - {"psycopg"}, program) == (0, "")


def test_a_store_in_a_file_needs_nothing_of_postgresql(tmp_path: Path) -> None:
    program = f"""
from gevent import monkey; monkey.patch_all()
from gmessenger.store import open_store, verify_store
open_store("sqlite:///{tmp_path}/store.db").close()
assert verify_store("sqlite:///{tmp_path}/store.db").faults == []
"""
    assert run_without({*LIBRARIES} - {"sqlite3"}, program) == (0, "")


def test_patching_searches_no_package_for_plugins() -> None:
    program = """
import socket, sys, gevent.events
search = gevent.events.notify_and_call_entry_points
from gmessenger.patch import patch_all; patch_all()
from gevent import monkey
assert monkey.is_module_patched("socket") and monkey.is_module_patched("threading")
assert gevent.events.notify_and_call_entry_points is search
"""
    assert run_without({"importlib.metadata"}, program) == (0, "")


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_modules_are_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500
