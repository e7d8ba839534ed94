"""Disks that fill and drain while a server writes to them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.chaos.process import RestartableServer
from tests.chaos.scale import IS_LONG

SIZE = "1g" if IS_LONG else "64m"
"""Large enough for the messages of a fast machine, so that only the ballast fills the disk."""
BALLAST = "ballast"


class Disk(Protocol):
    """A disk that can be filled, so that nothing can be written, and drained again."""

    folder: Path

    def fill(self, server: RestartableServer) -> None: ...

    def drain(self, server: RestartableServer) -> None: ...


class SmallDisk:
    """A small file system, filled by a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: RestartableServer) -> None:
        with (self.folder / BALLAST).open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            for size in (65536, 4096, 512):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)) == size:
                        pass

    def drain(self, server: RestartableServer) -> None:
        (self.folder / BALLAST).unlink()


class FrozenFiles:
    """Files that the server can read but not write, by a limit on its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: RestartableServer) -> None:
        self._limit(server, 0)

    def drain(self, server: RestartableServer) -> None:
        self._limit(server, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(server: RestartableServer, size: int) -> None:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, hard))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Mount a small tmpfs. Raises OSError if this user may not."""
    folder.mkdir()
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, "only root may mount a file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "gmessenger-faults", str(folder)])
    if mounted.returncode != 0:
        raise PermissionError(errno.EPERM, "the file system could not be mounted")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
