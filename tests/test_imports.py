"""The folder list is the architecture: who may import whom, and what the pure parts must not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests import ROOT
from tests.patience import PATIENCE

PACKAGE = ROOT / "gmessenger"
RECORDS = ("chat.contract", "chat.records", "chat.tally", "chat.way")
"""What chat and store share: a contract, and the records that pass between them."""
SHARED = ("cluster.contract", "cluster.records")
"""The same between a node, the store that it shares with others, and the bus between them."""
GROUND = {
    "durability",
    "errors",
    "extras",
    "field_types",
    "hosts",
    "new_files",
    "sentences",
    "stdout",
    "terminal_text",
    "text_files",
    "turns",
    "urls",
}
"""Modules that import nothing of ours, or only each other; everything may import them."""
MAY_IMPORT: dict[str, set[str]] = {
    "durability": set(),
    "errors": set(),
    "extras": set(),
    "field_types": {"errors"},
    "stdout": {"errors", "sentences"},
    "text_files": {"errors", "sentences"},
    "hosts": set(),
    "sentences": set(),
    "turns": set(),
    "terminal_text": set(),
    "urls": set(),
    "certificates": GROUND,
    "completion": GROUND,
    "log_files": set(),
    "new_files": {"durability", "errors"},
    "places": GROUND,
    "kinds": GROUND,
    "logs": {"log_files", "places", *GROUND},
    "options": {"logs", "places", "kinds"},
    "configfile": {"kinds", "options", *GROUND},
    "commandline": {"gmessenger", "completion", "kinds", "options", "places", "configfile", *GROUND},
    "given": {"commandline", "options", *GROUND},
    "wire": GROUND,
    "chat": {"logs", *RECORDS, *GROUND},
    "store": {"logs", *RECORDS, *SHARED, *GROUND},
    "bus": {"logs", *SHARED, *GROUND},
    "cluster": {"logs", "chat", *RECORDS, *SHARED, *GROUND},
    "server.fronts": {"gmessenger", "logs", "wire", "chat", "server.connection", *GROUND},
    "server.connection": {"logs", "options", "server", *GROUND},
    "server": {
        *("gmessenger", "log_files", "logs", "options", "commandline", "given", "places", "chat", "wire"),
        *("server.fronts", "server.connection", "store", "bus", "cluster", "certificates"),
        *(*RECORDS, *SHARED, *GROUND),
    },
    "cluster.contract": {"cluster.records", *RECORDS, *GROUND},
    "cluster.records": set(),
    "chat.contract": {"chat.records", "chat.tally", "chat.way", *GROUND},
    "chat.records": set(),
    "chat.tally": set(),
    "chat.way": set(),
    "admin": {
        *("gmessenger", "certificates", "logs", "options", "commandline", "places", "store", "chat"),
        *(*RECORDS, *SHARED, *GROUND),
    },
    "client": {"wire", *GROUND},
    "launcher": {"places", *GROUND},
    "terminal": {
        *("gmessenger", "given", "client", "log_files", "logs", "options", "commandline", "places"),
        *GROUND,
    },
}
"""One direction only; a package may of course import itself, and main modules the package's version."""
SPLIT_OUT = ("server.fronts", "server.connection", "chat.contract", "chat.records")
FOREIGN: dict[str, set[str]] = {
    "wire": {"gevent", "socket", "time", "datetime", "logging", "threading", "asyncio", "select", "os", "random"},
    "chat": {"socket", "ssl", "json", "sqlite3", "time", "datetime", "logging", "threading"},
    "cluster": {"socket", "ssl", "sqlite3", "psycopg", "redis", "logging", "threading"},
    "client": {"logging", "argparse", "configargparse"},
    "terminal": {"socket", "json"},
    "launcher": {"gevent", "asyncio", "tests"},
}
"""What a package must not know, of the world outside."""


def part(module: str) -> str:
    """The row of the table that a module falls under."""
    inner = module.removeprefix("gmessenger").removeprefix(".")
    split_out = next((row for row in MAY_IMPORT if "." in row and inner.startswith(row)), None)
    return split_out or inner.split(".")[0] or "gmessenger"


def imports(path: Path) -> set[str]:
    """Every module a file imports, functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            found |= {f"{module}.{name.name}" if module == "gmessenger" else module for name in node.names}
    return found


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__main__.py"]


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_modules_import_in_one_direction(path: Path) -> None:
    here = part(module_of(path))
    if here == "gmessenger":
        return
    allowed = MAY_IMPORT[here] | {here}
    ours = {module for module in imports(path) if module.split(".")[0] == "gmessenger"}
    there = {"gmessenger" if module == "gmessenger.__version__" else part(module) for module in ours}
    assert there <= allowed, f"{module_of(path)} imports {sorted(there - allowed)}"


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_packages_do_not_know_what_they_must_not(path: Path) -> None:
    forbidden = FOREIGN.get(part(module_of(path)), set())
    roots = {module.split(".")[0] for module in imports(path)} | imports(path)
    known = (roots & forbidden) | ({"gevent.socket"} & roots if "socket" in forbidden else set())
    assert not known, f"{module_of(path)} knows {sorted(known)}"


@pytest.mark.parametrize(
    "package", [path.parent for path in MODULES if path.name == "__init__.py"], ids=lambda p: p.name
)
def test_every_package_says_what_it_does_and_must_not_know(package: Path) -> None:
    doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    if package == PACKAGE:
        return
    lines = [line for line in doc.splitlines() if line.strip()]
    assert len(lines) == 2 and "must not know" in doc.lower(), doc


def test_nothing_of_the_product_imports_what_is_for_developers() -> None:
    top = [*PACKAGE.rglob("*.py"), PACKAGE.parent / "launcher.py"]
    roots = {module.split(".")[0] for path in top for module in imports(path)}
    assert not roots & {"tests", "scripts", "benchmarks", "launcher"}


def test_no_product_path_looks_for_the_launcher() -> None:
    """Where the code names that file, it is for a person to type."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value == "launcher.py"
    }
    assert found == {"launcher/main.py"}


def test_importing_the_package_patches_nothing() -> None:
    program = """
import pkgutil, importlib, gmessenger
for module in pkgutil.walk_packages(gmessenger.__path__, "gmessenger."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from gevent import monkey
assert not monkey.is_module_patched("socket")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")


LIBRARIES = ("sqlalchemy", "sqlite3", "psycopg", "redis")
"""What only a backend needs, of a store or of the bus."""
OPENED_NEVER = {
    "the stores' package": "import gmessenger.store",
    "the client": "import gmessenger.client",
    "the terminal client": "import gmessenger.terminal.main, gmessenger.terminal.client",
    "the admin": "import gmessenger.admin.start",
    "the admin's help": "import gmessenger.admin.start as start\ntry: start.run(['--help'])\nexcept SystemExit: pass",
    "a server's parts": "import gmessenger.server.app",
}


def run_without(libraries: Iterable[str], program: str) -> tuple[int, str]:
    """Run a program that cannot import these; returns its exit code and what it wrote to stderr."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({[*libraries]!r}))\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + program], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=PATIENCE
    )
    return done.returncode, done.stderr


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


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_modules_are_small(path: Path) -> None:
    tables = {"errors.py", "events.py", "options.py"}
    assert path.name in tables or len(path.read_text("utf-8").splitlines()) <= 500
