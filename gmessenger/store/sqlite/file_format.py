"""SQLite's file format, as far as it tells where pages hold remains of deleted content.

`PRAGMA secure_delete` clears a row that is deleted. It does not clear the copies that SQLite leaves in the unused part
of a page, the slack, when it moves rows to other pages (`rebuildPage`): what is erased later stays readable there. The
layout is that of "Database File Format" in SQLite's manual.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, TypeAlias

HEADER_BYTES: Final = 100
"""The file's header, which the first page has before its b-tree."""
PAGE_HEADER_BYTES: Final = {2: 12, 5: 12, 10: 8, 13: 8}
"""Bytes before the cell pointers, by the kind of a b-tree's page. Other pages begin with the number of a page: with
fewer than 2^24 pages (64 GB) its first byte is none of these."""
MAX_PAGES: Final = 2**24
BTREE_HEADER: Final = struct.Struct(">xHHHx")
FREE_BLOCK: Final = struct.Struct(">HH")
FREELIST_TRUNK: Final = struct.Struct(">II")
WAL_HEADER: Final = struct.Struct(">IIIIII")
FRAME_HEADER: Final = struct.Struct(">IIII")
WAL_HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24

FileRange: TypeAlias = tuple[int, int]
"""The first byte of a range, and the byte after its last."""


def get_page_size(header: bytes) -> int:
    """Return the bytes of a page, from the first 100 bytes of a file; 0 where it is no database."""
    if len(header) < HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        return 0
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size


def find_slack(page: bytes, number: int) -> list[FileRange]:
    """Find the unused parts of a page that are not zero. The first page has number 1.

    Looks at pages of b-trees only; finds nothing in a page that is malformed.
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
    """List the free pages but for those of the free list itself; `header` is the file's first 100 bytes."""
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
    """Return the page size and the salts of a log, from its first 32 bytes; size 0 for an empty log."""
    if len(log) < WAL_HEADER_BYTES:
        return 0, []
    _, _, size, _, *salts = WAL_HEADER.unpack_from(log)
    return size, salts


def list_wal_pages(frames: bytes, size: int, salts: list[int]) -> tuple[list[int], int]:
    """List the page numbers of frames up to the log's end; return how many of them are committed, too.

    Frames after those may be overwritten.
    """
    numbers: list[int] = []
    committed = 0
    for offset in range(0, len(frames) - FRAME_HEADER_BYTES + 1, FRAME_HEADER_BYTES + size):
        number, pages, *frame_salts = FRAME_HEADER.unpack_from(frames, offset)
        if frame_salts != salts:  # left from before the log was begun anew
            break
        numbers.append(number)
        committed = len(numbers) if pages else committed
    return numbers, committed
