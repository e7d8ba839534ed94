"""Formats of files, recognized by their first bytes, and the width and height of pictures, read from their headers.

Pure, and bounded by the bytes that it is given: no picture is decoded. What a client calls its file is not believed: a
page that calls itself a picture must not become one.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec import Struct

UNKNOWN_TYPE: Final = "application/octet-stream"
TEXT_TYPE: Final = "text/plain"
MARKUP_TYPES: Final = frozenset({"text/html", "text/xml", "text/xsl", "text/javascript", "text/css"})
"""Texts that are kept as what they are, and never shown: a page would be one to whoever opens it."""
MAX_TYPE: Final = 100  # characters of a type as a client has declared it
MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,49}/[a-z0-9][a-z0-9!#$&^_.+-]{0,49}", re.ASCII)
MAX_SIDE: Final = 65_535  # pixels; what is larger is taken for damaged
MAX_STEPS: Final = 1_000  # parts of a header that are looked at

PictureSize: TypeAlias = tuple[int, int]
"""Width and height in pixels."""
FindSize: TypeAlias = Callable[[bytes], PictureSize | None]


class FileFormat(Struct, frozen=True):
    """What a file is: its type, and of a picture its width and height in pixels, where they were found."""

    type: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class FormatRow:
    """A row of the table: a type, and how its first bytes look. `find_size`: of pictures."""

    type: str
    pattern: re.Pattern[bytes]
    find_size: FindSize | None = None


def recognize(head: bytes) -> FileFormat | None:
    """Return the format of a file by its first bytes; None for every other, and for texts."""
    for signature in SIGNATURES:
        if signature.pattern.match(head):
            size = signature.find_size(head) if signature.find_size is not None else None
            if size is None or not all(0 < side <= MAX_SIDE for side in size):
                return FileFormat(signature.type)
            return FileFormat(signature.type, *size)
    return None


def clean_type(declared: str) -> str:
    """Return a type as a client has declared it, without its parameters; `UNKNOWN_TYPE` where it is none."""
    bare = declared[: 4 * MAX_TYPE].partition(";")[0].strip().lower()
    return bare if MEDIA_TYPE.fullmatch(bare) else UNKNOWN_TYPE


class TextCheck:
    """Tells whether bytes that come in pieces are a text in UTF-8: no control characters but those of white space."""

    CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")  # (ESC is in the output of many programs)

    def __init__(self, *, may_be_text: bool = True) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.is_text = may_be_text
        """Whether all bytes so far may be those of a text."""

    def feed(self, data: bytes, *, is_last: bool = False) -> None:
        """Look at the next bytes."""
        if not self.is_text:
            return
        try:
            text = self._decoder.decode(data, final=is_last)
        except UnicodeDecodeError:
            self.is_text = False
        else:
            self.is_text = self.CONTROLS.search(text) is None


def _png_size(head: bytes) -> PictureSize | None:
    return struct.unpack_from(">II", head, 16) if len(head) >= 24 and head[12:16] == b"IHDR" else None


def _gif_size(head: bytes) -> PictureSize | None:
    return struct.unpack_from("<HH", head, 6) if len(head) >= 10 else None


def _webp_size(head: bytes) -> PictureSize | None:
    kind = head[12:16]
    if len(head) < 30:
        return None
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG's segments that begin with the size of the picture (ITU T.81, table B.1)."""
BARE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers that no segment follows."""
FILL: Final = 0xFF
START_OF_SCAN: Final = 0xDA
APPLICATION_1: Final = 0xE1
EXIF: Final = b"Exif\0\0"
ORIENTATION_TAG: Final = 0x0112
SHORT: Final = 3  # the type of a number of 16 bits in an entry of TIFF
ENTRY_BYTES: Final = 12
TURNED: Final = frozenset({5, 6, 7, 8})
"""Orientations that are turned by a quarter (Exif 2.3, section 4.6.4): browsers show such a picture upright."""


def _jpeg_size(head: bytes) -> PictureSize | None:
    """Return the size of a picture as it is shown: one that Exif says is to be turned is measured after the turn."""
    is_turned: bool | None = None
    for marker, position in _jpeg_segments(head):
        if marker in FRAME_MARKERS and position + 9 <= len(head):
            height, width = struct.unpack_from(">HH", head, position + 5)
            return (height, width) if is_turned else (width, height)
        if marker == APPLICATION_1 and is_turned is None and head.startswith(EXIF, position + 4):
            is_turned = _exif_orientation(head[position + 4 + len(EXIF) :]) in TURNED
    return None


def _jpeg_segments(head: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and position of each segment before the data of the picture."""
    position = 2
    for _ in range(MAX_STEPS):
        if position + 4 > len(head) or head[position] != FILL:
            return
        marker = head[position + 1]
        if marker == FILL or marker in BARE_MARKERS:
            position += 1 if marker == FILL else 2
            continue
        if marker == START_OF_SCAN:
            return
        yield marker, position
        position += 2 + struct.unpack_from(">H", head, position + 2)[0]


def _exif_orientation(tiff: bytes) -> int:
    """Return the orientation in the first directory of Exif's data, which have the form of TIFF; 0 if it has none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 0
    start: int = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return 0
    count: int = struct.unpack_from(f"{order}H", tiff, start)[0]
    for number in range(min(count, MAX_STEPS)):
        entry = start + 2 + number * ENTRY_BYTES
        if entry + ENTRY_BYTES > len(tiff):
            return 0
        tag, type = struct.unpack_from(f"{order}HH", tiff, entry)
        if tag == ORIENTATION_TAG:
            return int(struct.unpack_from(f"{order}H", tiff, entry + 8)[0]) if type == SHORT else 0
    return 0


def _avif_size(head: bytes) -> PictureSize | None:
    """Return the largest size of an image in the file: those of its thumbnails and its alpha plane come besides."""
    sizes = [
        struct.unpack_from(">II", head, start + 4)
        for meta in _boxes(head, 0, len(head), b"meta")
        for properties in _boxes(head, meta[0] + 4, meta[1], b"iprp")
        for container in _boxes(head, *properties, b"ipco")
        for start, end in _boxes(head, *container, b"ispe")
        if end - start >= 12
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _boxes(data: bytes, start: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the content of each box of a kind begins and ends (ISO 14496-12, section 4.2)."""
    for _ in range(MAX_STEPS):
        if start + 8 > end:
            return
        size, offset = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, offset = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = end if size == 0 else start + size
        if stop < start + offset or stop > end:
            return
        if data[start + 4 : start + 8] == kind:
            yield start + offset, stop
        start = stop


def _pattern(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


SIGNATURES: Final = (
    FormatRow("image/png", _pattern(rb"\x89PNG\r\n\x1a\n"), _png_size),
    FormatRow("image/jpeg", _pattern(rb"\xff\xd8\xff"), _jpeg_size),
    FormatRow("image/gif", _pattern(rb"GIF8[79]a"), _gif_size),
    FormatRow("image/webp", _pattern(rb"RIFF....WEBP"), _webp_size),
    FormatRow("image/avif", _pattern(rb"....ftyp(avif|avis)"), _avif_size),
    FormatRow("video/mp4", _pattern(rb"....ftyp(isom|iso[2-9]|mp4[12]|avc1|M4V |dash|MSNV)")),
    FormatRow("audio/mp4", _pattern(rb"....ftypM4A ")),
    FormatRow("video/webm", _pattern(rb"\x1aE\xdf\xa3.{1,60}\x42\x82.{1,8}webm")),
    FormatRow("audio/mpeg", _pattern(rb"ID3[\x02-\x04]\x00|\xff[\xfb\xf3\xf2\xfa]")),
    FormatRow("audio/ogg", _pattern(rb"OggS\x00")),
)
"""The formats that are shown within a page. Never SVG, HTML, PDF or XML: they carry scripts, or are read by others."""
SHOWN_TYPES: Final = frozenset({TEXT_TYPE, *(signature.type for signature in SIGNATURES)})
