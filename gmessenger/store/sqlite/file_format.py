"""Pages of a SQLite file and frames of its log, as bytes: where a page holds remains of deleted content.

`PRAGMA secure_delete` clears a row that is deleted. It does not clear the copies that SQLite leaves in the unused part
of a page when it moves rows to other pages (`rebuildPage`): whatever is erased later stays readable there. The layout
is that of "Database File Format" in SQLite's manual.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, TypeAlias

HEADER_BYTES: Final = 100
"""What the first page has before its b-tree."""
PAGE_HEADER_BYTES: Final = {2: 12, 5: 12, 10: 8, 13: 8}
"""Bytes before the cell pointers, by the kind of a b-tree's page. No other page begins with one of these numbers as
long as there are fewer than 2^24 pages (64 GB): the others begin with the number of a page."""
MAX_PAGES: Final = 2**24
BTREE_HEADER: Final = struct.Struct(">xHHHx")
FREE_BLOCK: Final = struct.Struct(">HH")
FREELIST_TRUNK: Final = struct.Struct(">II")
WAL_HEADER: Final = struct.Struct(">IIIIII")
FRAME_HEADER: Final = struct.Struct(">IIII")
WAL_HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24

ByteRange: TypeAlias = tuple[int, int]
"""Where something begins, and behind which byte it ends."""


def get_page_size(header: bytes) -> int:
    """Return the bytes of a page, from the first 100 bytes of the file; 0 where that is no database."""
    if len(header) < HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        return 0
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size


def find_slack(page: bytes, number: int) -> list[ByteRange]:
    """Find the parts of a page that hold nothing and are not all zero; `number` is the page's, from 1 on.

    Looks at pages of b-trees only; of a page that makes no sense it finds nothing.
    """
    start = HEADER_BYTES if number == 1 else 0
    if len(page) < HEADER_BYTES + BTREE_HEADER.size:  # it is not in the file yet
        return []
    pointers = PAGE_HEADER_BYTES.get(page[start])
    if pointers is None:
        return []
    free, cells, top = BTREE_HEADER.unpack_from(page, start)
    begin, end = start + pointers + 2 * cells, top or 65536
    if not begin <= end <= len(page):
        return []
    found = [] if page.startswith(bytes(end - begin), begin) else [(begin, end)]
    while free:
        if free + FREE_BLOCK.size > len(page):
            return []
        following, size = FREE_BLOCK.unpack_from(page, free)
        begin, end = free + FREE_BLOCK.size, free + size
        if not begin <= end <= len(page) or 0 < following <= free:
            return []
        if not page.startswith(bytes(end - begin), begin):
            found.append((begin, end))
        free = following
    return found


def list_free_pages(header: bytes, read_page: Callable[[int], bytes]) -> set[int]:
    """List the pages that belong to nothing, from the file's first 100 bytes; the pages that list them are left out."""
    total, trunk = int.from_bytes(header[28:32], "big"), int.from_bytes(header[32:36], "big")
    free: set[int] = set()
    walked: set[int] = set()
    while trunk and trunk not in walked:
        walked.add(trunk)
        page = read_page(trunk)
        if len(page) < FREELIST_TRUNK.size:
            break
        trunk, count = FREELIST_TRUNK.unpack_from(page)
        if FREELIST_TRUNK.size + 4 * count > len(page):
            break
        free.update(struct.unpack_from(f">{count}I", page, FREELIST_TRUNK.size))
    return {number for number in free if 1 < number <= total} - walked


def read_wal_header(log: bytes) -> tuple[int, list[int]]:
    """Return the bytes of a page and the salts of a write-ahead log's frames, from its first 32 bytes; 0 for none."""
    if len(log) < WAL_HEADER_BYTES:
        return 0, []
    _, _, size, _, *salts = WAL_HEADER.unpack_from(log)
    return size, salts


def list_wal_pages(frames: bytes, size: int, salts: list[int]) -> tuple[list[int], int]:
    """List the pages that some frames of a log are of, up to the log's end, and how many of these frames are committed:
    those behind may be written over.
    """
    found: list[int] = []
    committed = 0
    for place in range(0, len(frames) - FRAME_HEADER_BYTES + 1, FRAME_HEADER_BYTES + size):
        number, pages, *mine = FRAME_HEADER.unpack_from(frames, place)
        if mine != salts:  # from here on it is what the log was before it began anew
            break
        found.append(number)
        committed = len(found) if pages else committed
    return found, committed
