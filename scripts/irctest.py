"""Run irctest, the public suite of IRC servers: `python -m scripts.irctest FOLDER [options of pytest]`.

FOLDER is a checkout of https://github.com/progval/irctest. What passes, and why the rest does not, is in docs/irc.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parent.parent
START_TIMEOUT: Final = 30.0  # seconds
SELECTED: Final = ("-m", "not Ergo and not deprecated and not strict", "irctest/server_tests")
"""What is asked of any server."""
OPERATOR: Final = ("operuser", "operpassword")
PROGRAM: Final = (sys.executable, "-m", "gmessenger")


def make_store(folder: Path) -> Path:
    """Make a store with the operator whom the tests know; return its file."""
    store, password = folder / "operators.db", folder / "password"
    password.write_text(f"{OPERATOR[1]}\n")
    url = f"sqlite:///{store}"
    server = subprocess.Popen(
        [*PROGRAM, "server", "--ip", "127.0.0.1", "--port", "0", "--store", url, "--log-file", f"{folder}/log"],
        stdout=subprocess.PIPE,
        cwd=TOP,
    )
    assert server.stdout is not None
    server.stdout.readline()  # it says where it listens: the store is made
    server.terminate()
    server.wait(START_TIMEOUT)
    for words in (("user", "add", OPERATOR[0]), ("user", "grant", OPERATOR[0])):
        command = [*PROGRAM, "admin", "--store", url, "--password-file", str(password), *words]
        subprocess.run(command, check=True, cwd=TOP, stdout=subprocess.DEVNULL)
    return store


def main(arguments: list[str]) -> int:
    """Run irctest; return pytest's exit code."""
    if not arguments or not (Path(arguments[0]) / "irctest").is_dir():
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"IRCTEST_STORE": str(make_store(Path(folder))), "PYTHONPATH": str(TOP)}
        options = arguments[1:] or SELECTED
        command = [sys.executable, "-m", "pytest", "--controller", "scripts.irctest_controller", *options]
        return subprocess.run(command, cwd=arguments[0], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
