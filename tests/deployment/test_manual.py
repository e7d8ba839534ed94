"""The script for operators that the manual has them make works as it is printed."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.admin_cli import PASSWORD, StoreDirectory
from tests.support.server import TEST_TIMEOUT

OPERATIONS = ROOT / "docs" / "operations"
MANUAL = "".join(page.read_text("utf-8") for page in sorted(OPERATIONS.glob("*.md")))
SCRIPT = "/usr/local/bin/gmessenger-admin"


def read_script() -> str:
    """Return the lines of the manual that create the script."""
    (text,) = re.findall(rf"^    cat > {SCRIPT} <<'END'\n(?:    .*\n)*?    END\n    chmod .*\n", MANUAL, re.MULTILINE)
    return re.sub(r"^    ", "", str(text), flags=re.MULTILINE)


def test_the_script_for_operators(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("runuser") is None:
        pytest.skip("only root can run something as another user")
    path = StoreDirectory(tmp_path)
    path.create_store()
    (tmp_path / "server.ini").write_text(f"[server]\nstore = {path.url}\nmax-text = 5\n")
    program = Path(sys.prefix) / "bin" / "gmessenger-admin"
    result = {
        SCRIPT: str(tmp_path / "admin"),
        "/opt/gmessenger/bin/gmessenger-admin": str(program),
        "/etc/gmessenger/server.ini": str(tmp_path / "server.ini"),
        "-u gmessenger": f"-u {getpass.getuser()}",
    }
    text = read_script()
    for there, here in result.items():
        assert there in text
        text = text.replace(there, here)
    subprocess.run(["sh", "-ec", text], check=True)
    for options, line in ((["user", "add", "hank"], "hank is an account now"), (["user", "list"], "hank")):
        command = [str(tmp_path / "admin"), *options]
        done = subprocess.run(
            command, input=PASSWORD, capture_output=True, text=True, timeout=TEST_TIMEOUT, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "") and line in done.stdout


def test_no_example_needs_what_the_script_knows() -> None:
    examples = [line for line in MANUAL.splitlines() if line.startswith("    ") and "gmessenger-admin " in line]
    assert examples and not [line for line in examples if re.search(r"sudo|gmessenger-admin -c server", line)]
