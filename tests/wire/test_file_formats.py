"""Formats of files by their first bytes, sizes of pictures, names and ranges: tables, and whatever comes instead."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.wire.file_formats import (
    MAX_SIDE,
    SHOWN_TYPES,
    SIGNATURES,
    UNKNOWN_TYPE,
    FileFormat,
    TextCheck,
    clean_type,
    recognize,
)
from gmessenger.wire.file_requests import (
    FALLBACK_NAME,
    MAX_FILE_NAME,
    FileRange,
    clean_file_name,
    disposition,
    name_from_disposition,
    parse_range,
)
from tests.support.files import png


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments)


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


SOF: bytes = segment(0xC2, struct.pack(">BHHB", 8, 480, 640, 3) + bytes(9))
EXIF = segment(0xE1, b"Exif\0\0" + bytes(20_000))


def exif(orientation: int, order: str = ">", type: int = 3, tag: int = 0x0112, start: int = 8) -> bytes:
    """Return a segment that says how the camera was held; the other arguments are for what is unusual, or damaged."""
    mark = {">": b"MM\0*", "<": b"II*\0"}[order]
    model = struct.pack(f"{order}HHII", 0x0110, 2, 4, 0)
    entry = struct.pack(f"{order}HHIHH", tag, type, 1, orientation, 0)
    directory = struct.pack(f"{order}H", 2) + model + entry + bytes(4)
    tiff = mark + struct.pack(f"{order}I", start) + bytes(max(0, start - 8)) + directory
    return segment(0xE1, b"Exif\0\0" + tiff)


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def avif(*sizes: tuple[int, int]) -> bytes:
    properties = b"".join(box(b"ispe", bytes(4) + struct.pack(">II", *size)) for size in sizes)
    meta = bytes(4) + box(b"hdlr", bytes(25)) + box(b"iprp", box(b"ipco", properties))
    return box(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + box(b"meta", meta)


def webp(kind: bytes, data: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + struct.pack("<I", len(data)) + data.ljust(20, b"\0")


PICTURES = {
    "png": (png(640, 480), "image/png"),
    "gif": (b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(3), "image/gif"),
    "jpeg": (jpeg(SOF), "image/jpeg"),
    "jpeg after exif": (jpeg(segment(0xE0, b"JFIF"), EXIF, segment(0xC4, bytes(8)), b"\xff", SOF), "image/jpeg"),
    "webp lossy": (webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 640, 480)), "image/webp"),
    "webp lossless": (webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)), "image/webp"),
    "webp extended": (webp(b"VP8X", bytes(4) + b"\x7f\x02\x00\xdf\x01\x00"), "image/webp"),
    "avif": (avif((160, 120), (640, 480), (640, 480)), "image/avif"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_its_size(name: str) -> None:
    content, type = PICTURES[name]
    assert recognize(content) == FileFormat(type, 640, 480)
    for end in range(len(content)):
        cut = recognize(content[:end])
        assert cut is None or cut.type == type


@pytest.mark.parametrize(
    ("segments", "size"),
    [
        ((exif(1), SOF), (640, 480)),
        ((exif(3), SOF), (640, 480)),
        ((exif(6), SOF), (480, 640)),
        ((exif(8, "<"), SOF), (480, 640)),
        ((exif(5, start=20), SOF), (480, 640)),
        ((segment(0xE0, b"JFIF"), exif(7), SOF), (480, 640)),
        ((exif(1), exif(6), SOF), (640, 480)),  # the first counts
        ((segment(0xE1, b"http://ns.adobe.com/xap/1.0/"), exif(6), SOF), (480, 640)),
        ((exif(6, type=4), SOF), (640, 480)),
        ((exif(6, tag=0x0111), SOF), (640, 480)),
        ((exif(9), SOF), (640, 480)),
        ((segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"), SOF), (640, 480)),
        ((segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"), SOF), (640, 480)),
        ((segment(0xE1, b"Exif\0\0PNG"), SOF), (640, 480)),
    ],
)
def test_a_photo_is_measured_as_it_is_shown(segments: tuple[bytes, ...], size: tuple[int, int]) -> None:
    content = jpeg(*segments)
    assert recognize(content) == FileFormat("image/jpeg", *size)
    for end in range(len(content)):
        assert (found := recognize(content[:end])) is None or found.width in (None, *size)


OTHERS = {
    b"....ftypisom": "video/mp4",
    b"\x00\x00\x00\x1cftypM4A \0": "audio/mp4",
    b"\x1aE\xdf\xa3\x9fB\x86\x81\x01\x42\x82\x84webm": "video/webm",
    b"ID3\x04\x00\x00": "audio/mpeg",
    b"\xff\xfb\x90": "audio/mpeg",
    b"OggS\x00\x02": "audio/ogg",
    b"\xff\xd8\xff\xda\x00\x02": "image/jpeg",
    b"\x89PNG\r\n\x1a\nIHDR": "image/png",
    b"GIF89a" + bytes(4): "image/gif",
}


@pytest.mark.parametrize("content", OTHERS)
def test_other_formats_and_damaged_pictures_have_none(content: bytes) -> None:
    assert recognize(content) == FileFormat(OTHERS[content])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<!doctype html>",
        b"  GIF89a",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"MZ",
        b"\x7fELF",
        b"text",
        b"\x1aE\xdf\xa3matroska",
    ],
)
def test_what_is_not_shown_is_not_recognized(content: bytes) -> None:
    assert recognize(content) is None


def test_a_picture_larger_than_any_has_no_size() -> None:
    assert recognize(png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", MAX_SIDE + 1, 1))) == FileFormat(
        "image/png"
    )


@given(st.sampled_from([signature.type for signature in SIGNATURES]), st.binary(max_size=300), st.data())
def test_rubbish_behind_a_beginning_raises_nothing(type: str, rubbish: bytes, data: st.DataObject) -> None:
    beginnings = [content for content, _ in PICTURES.values()] + list(OTHERS)
    begin = data.draw(st.sampled_from(beginnings))
    cut = data.draw(st.integers(0, len(begin)))
    found = recognize(begin[:cut] + rubbish)
    assert found is None or found.type in SHOWN_TYPES


@given(st.binary(max_size=64), st.integers(1, 7))
def test_a_text_is_one_in_whatever_pieces_it_comes(content: bytes, size: int) -> None:
    check = TextCheck()
    for start in range(0, len(content), size):
        check.feed(content[start : start + size])
    check.feed(b"", is_last=True)
    try:
        expected = TextCheck.CONTROLS.search(content.decode()) is None
    except UnicodeDecodeError:
        expected = False
    assert check.is_text == expected


@pytest.mark.parametrize(
    ("declared", "type"),
    [
        ("image/png", "image/png"),
        ("TEXT/Plain; charset=utf-8", "text/plain"),
        ("", UNKNOWN_TYPE),
        ("png", UNKNOWN_TYPE),
        ("a/b\r\nX: y", UNKNOWN_TYPE),
        ("x" * 60 + "/y", UNKNOWN_TYPE),
        ("application/vnd.ms-excel", "application/vnd.ms-excel"),
    ],
)
def test_a_declared_type_is_cleaned(declared: str, type: str) -> None:
    assert clean_type(declared) == type


@given(st.text())
def test_a_file_name_is_clean(name: str) -> None:
    cleaned = clean_file_name(name)
    assert 0 < len(cleaned) <= MAX_FILE_NAME
    assert cleaned.isprintable() and not set('/\\<>:"|?*') & set(cleaned) and cleaned.strip(". ") != ""
    assert clean_file_name(cleaned) == cleaned
    header = disposition(cleaned, is_shown=False)
    assert header.isascii() and header.isprintable()
    assert name_from_disposition(header) == cleaned


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename*=UTF-8''gr%C3%A4ph.png", "gr\u00e4ph.png"),
        ("attachment; filename=plain.png; filename*=utf-8'de'better.png", "better.png"),
        ('attachment; filename="a \\"b\\".png"', "a _b_.png"),
        ("attachment; filename=graph.png", "graph.png"),
        ('attachment; filename="gr\u00c3\u00a4ph.png"', "gr\u00e4ph.png"),
        ("attachment", FALLBACK_NAME),
        ("", FALLBACK_NAME),
        ("filename*=UTF-8''%00%2Fetc%2Fpasswd", "passwd"),
    ],
)
def test_a_name_is_read_from_a_header(header: str, name: str) -> None:
    assert name_from_disposition(header) == name


@given(st.text(max_size=40), st.integers(0, 1000))
def test_any_range_is_in_the_file_or_refused(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            found = parse_range(text, size)
        except ValueError:
            continue
        assert found is None or 0 <= found.start < found.end <= size


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", FileRange(0, 1)),
        ("Bytes=5-", FileRange(5, 10)),
        ("bytes=-3", FileRange(7, 10)),
        ("bytes=-30", FileRange(0, 10)),
        ("bytes=3-100", FileRange(3, 10)),
        ("bytes=1-2,4-5", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_a_range_is_read(header: str, found: FileRange | None) -> None:
    assert parse_range(header, 10) == found
