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
"""Room enough for what a fast machine says in the meantime: it is the ballast that is to fill the disk."""
BALLAST = "ballast"


class Disk(Protocol):
    """`fill` it and nothing more can be stored there; `drain` it and all is as before."""

    folder: Path

    def fill(self, server: RestartableServer) -> None: ...

    def drain(self, server: RestartableServer) -> None: ...


class SmallDisk:
    """A file system of its own, with so much ballast on it that it is full."""

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
    """Files that the server may read and not write, as on a disk that was made read-only: a limit on its process."""

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
    """A small tmpfs. Raises OSError where this user may not mount one."""
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
