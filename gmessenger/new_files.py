"""Files that are written beside their place and get their name when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from gmessenger.durability import sync_directory, sync_file
from gmessenger.errors import FileProblem

PART: Final = ".part"
"""How the name ends under which a file is written; it begins with a dot and the name that it is to have."""
MAX_NAME: Final = 100  # characters of it that the other one begins with; a file system takes 255 bytes


@contextlib.contextmanager
def new_file(file: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to, mode 0600, whose `name` is not `file` yet; at the end of the block it is, and on disk.

    Nothing is ever overwritten, and where the block raises nothing is left behind; a killed process leaves the part it
    had written under a name of its own. Blocks.

    Raises `FileProblem` where there is such a file, or none can be written.
    """
    try:
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        prefix = f".{file.name[:MAX_NAME]}."
        with tempfile.NamedTemporaryFile("w+b", prefix=prefix, suffix=PART, dir=file.parent, delete=False) as part:
            try:
                yield part
                part.flush()
                sync_file(part.fileno())
                _name(Path(part.name), file)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    Path(part.name).unlink()
        sync_directory(file.parent)
    except OSError as error:
        raise FileProblem(f"Cannot write {file}: {error.strerror or error}.") from error


def _name(part: Path, file: Path) -> None:
    """Raises FileExistsError where there is such a file meanwhile."""
    try:
        file.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # there are no links on this disk
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        part.rename(file)
