"""Lock what `make` installs: `make lock` after a range in setup.py has changed, `make lock UPGRADE=1` for the newest.

Each lock file names every package with its exact version and the hashes of its files, for every system and every
Python from 3.11 on, and the setuptools that the project itself is built with. No file names an index: where packages
come from is the business of the machine that installs them.
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
"""By file, the extras of setup.py that are in it. The widest is the first: the others take their versions from it."""
COMPILE: Final = (
    *("pip", "compile", "setup.py", "-", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--quiet", "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
)


def main() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        build = "\n".join(tomllib.load(file)["build-system"]["requires"])
    widest = next(iter(LOCKS))
    for name, extras in LOCKS.items():
        arguments = [*COMPILE, "--output-file", name, *(f"--extra={each}" for each in extras)]
        arguments += [*sys.argv[1:]] if name == widest else ["--constraints", widest]
        subprocess.run([sys.executable, "-m", "uv", *arguments], cwd=ROOT, input=build, text=True, check=True)


if __name__ == "__main__":
    main()
