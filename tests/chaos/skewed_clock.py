"""The server with a clock that a test moves: `python -m tests.chaos.skewed_clock FILE ARGUMENTS`.

FILE holds a float of eight bytes, the seconds by which the clock is ahead; it is read at every call of `time.time`.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Final

OFFSET: Final = struct.Struct("d")


def skew(path: Path, seconds: float) -> None:
    """Move the clock of the server that was started with this file."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(OFFSET.pack(seconds))


def main() -> int:
    with Path(sys.argv[1]).open("rb") as file:
        ahead = mmap.mmap(file.fileno(), OFFSET.size, prot=mmap.PROT_READ)
    real = time.time
    time.time = lambda: real() + OFFSET.unpack_from(ahead)[0]
    from gmessenger.server.main import main as serve

    return serve(sys.argv[2:])


if __name__ == "__main__":
    raise SystemExit(main())
