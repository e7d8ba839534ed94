"""Write the lock files: `make lock` after a change in setup.py, `make lock UPGRADE=1` for the newest versions.

A lock file has the exact version and hashes of every package, for all systems and for Python from 3.11 on, and of the
setuptools that builds the project. It names no index: each machine has its own.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final[dict[str, tuple[str, ...]]] = {
    "requirements-dev.txt": ("test", "lint"),
    "requirements-cluster.txt": ("cluster",),
    "requirements.txt": (),
    "requirements-fuzz.txt": ("fuzz",),
}
"""The extras of setup.py in each file. The first has them all: the others take their versions from it."""
COMPILE: Final = (
    *("pip", "compile", "setup.py", "-", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--quiet", "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
)


def main() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        build_requirements = "\n".join(tomllib.load(file)["build-system"]["requires"])
    first = next(iter(LOCKS))
    for name, extras in LOCKS.items():
        arguments = [*COMPILE, "--output-file", name, *(f"--extra={extra}" for extra in extras)]
        arguments += sys.argv[1:] if name == first else ["--constraints", first]
        subprocess.run(
            [sys.executable, "-m", "uv", *arguments], cwd=ROOT, input=build_requirements, text=True, check=True
        )


if __name__ == "__main__":
    main()
