"""A server that counts its commits in a file: `python -m benchmarks.commit_counter FILE ARGUMENTS`."""

from __future__ import annotations

import mmap
import struct
import sys
from pathlib import Path
from typing import Any, Final

COUNT: Final = struct.Struct("q")


def read_count(path: Path) -> int:
    return int(COUNT.unpack(path.read_bytes())[0])


def main() -> int:
    path = Path(sys.argv[1])
    path.write_bytes(COUNT.pack(0))
    with path.open("r+b") as file:
        counter = mmap.mmap(file.fileno(), COUNT.size)
    from gevent import monkey

    monkey.patch_all()
    from gmessenger.server.start import run
    from gmessenger.store.sqlite.writer import SqliteWriter

    commit, commits = SqliteWriter._commit, 0

    def commit_and_count(self: SqliteWriter, changes: Any) -> Any:
        nonlocal commits
        commits += 1
        COUNT.pack_into(counter, 0, commits)
        return commit(self, changes)

    SqliteWriter._commit = commit_and_count  # type: ignore[method-assign]
    return run(sys.argv[2:])


if __name__ == "__main__":
    raise SystemExit(main())
