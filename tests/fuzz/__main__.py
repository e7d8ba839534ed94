"""Coverage-guided fuzzing beyond the wire, with atheris: `python -m tests.fuzz TARGET [--seconds 60] [FILE]`.

Interesting inputs are kept in .fuzz/TARGET for the next run. An input that fails, takes longer than a few seconds, or
more than a gigabyte of memory is written to .fuzz and its name printed: give it as FILE to run it again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import atheris

from tests import ROOT
from tests.fuzz.draws import MAX_INPUT

MODULES: Final = (
    "gmessenger.chat",
    "gmessenger.store",
    "gmessenger.server",
    "gmessenger.wire",
    "gmessenger.config.parser",
)
with atheris.instrument_imports(include=[*MODULES, "gmessenger.config.files", "gmessenger.config.types"]):
    from tests.fuzz.targets import TARGETS

FUZZ_DIRECTORY: Final = ROOT / ".fuzz"
MAX_SECONDS: Final = {"sessions": 90, "irc": 90}
"""Seconds for one input; 5 for other targets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("file", nargs="?", type=Path, help="try this input and nothing else")
    options = parser.parse_args()
    target = TARGETS[options.target]
    with target.open() as attempt:
        if options.file:
            attempt(options.file.read_bytes())
            return
        corpus = FUZZ_DIRECTORY / options.target
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        bounds = [f"-max_total_time={options.seconds}", f"-max_len={MAX_INPUT}", "-rss_limit_mb=1024"]
        bounds += [
            f"-timeout={MAX_SECONDS.get(options.target, 5)}",
            f"-artifact_prefix={FUZZ_DIRECTORY}/{options.target}-",
        ]
        atheris.Setup([sys.argv[0], str(corpus), *bounds], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
