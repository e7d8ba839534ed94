"""Write gmessenger/identifiers.txt: the characters that names may have, and their skeletons.

They are read from ICU (Debian: libicu-dev) with its C API: Identifier_Status=Allowed of UTS 39 is the spoof checker's
recommended set. Run it where a newer ICU is installed:

    python scripts/identifiers.py [LIBICUI18N LIBICUUC VERSION]

The file has the versions of ICU and Unicode; the tests need no ICU.
"""

from __future__ import annotations

import ctypes
import random
import re
import sys
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from itertools import groupby
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parent.parent / "gmessenger/identifiers.txt"
UNICODE: Final = range(0x110000)
SURROGATES: Final = range(0xD800, 0xE000)
MAX_LENGTH: Final = 256  # characters; names are shorter
DOT_ABOVE: Final = "\u0307"
AMENDED: Final = {0x4CF: "l"}
"""Skeletons that replace Unicode's: the palochka looks like an l, and like an i only in italics."""
HIDDEN_OVERLAY: Final = 256  # USPOOF_HIDDEN_OVERLAY
MASK_LETTERS: Final = 0b111110  # U_GC_L_MASK: Lu Ll Lt Lm Lo
MASK_MARKS: Final = 0b111000000  # U_GC_M_MASK: Mn Me Mc
MASK_DIGITS: Final = 1 << 9  # U_GC_ND_MASK
SHORT_NAME: Final = 0  # U_SHORT_PROPERTY_NAME
SCRIPT: Final = 0x100A  # UCHAR_SCRIPT


class Icu:
    """The functions of ICU that are used here. A failing call raises OSError."""

    def __init__(self, i18n: str, uc: str, version: str) -> None:
        self._i18n, self._uc, self._version = ctypes.CDLL(i18n), ctypes.CDLL(uc), version
        open_ = self._function(self._i18n, "uspoof_open", ctypes.c_void_p)
        self._checker = ctypes.c_void_p(self._call(open_))
        self._skeleton = self._function(self._i18n, "uspoof_getSkeletonUTF8", ctypes.c_int32)
        self._check = self._function(self._i18n, "uspoof_checkUTF8", ctypes.c_int32)
        self._nfd = ctypes.c_void_p(self._call(self._function(self._uc, "unorm2_getNFDInstance", ctypes.c_void_p)))
        self._normalize = self._function(self._uc, "unorm2_normalize", ctypes.c_int32)
        self._extensions = self._function(self._uc, "uscript_getScriptExtensions", ctypes.c_int32)
        self._value_name = self._function(self._uc, "u_getPropertyValueName", ctypes.c_char_p)
        self._type = self._function(self._uc, "u_charType", ctypes.c_int8)

    def versions(self) -> tuple[str, str]:
        """Return the versions of ICU and of Unicode."""
        return self._version_of("u_getVersion"), self._version_of("u_getUnicodeVersion")

    def recommended(self) -> Iterator[int]:
        """Return the code points whose Identifier_Status is Allowed."""
        get = self._function(self._i18n, "uspoof_getRecommendedSet", ctypes.c_void_p)
        contains = self._function(self._uc, "uset_contains", ctypes.c_int8)
        allowed = ctypes.c_void_p(self._call(get))
        return (code for code in UNICODE if code not in SURROGATES and contains(allowed, ctypes.c_int32(code)))

    def is_in_names(self, code: int) -> bool:
        """Return whether a code point is a letter, a mark or a decimal digit."""
        return bool((MASK_LETTERS | MASK_MARKS | MASK_DIGITS) >> self._type(ctypes.c_int32(code)) & 1)

    def skeleton(self, text: str) -> str:
        data, out = text.encode(), ctypes.create_string_buffer(4 * MAX_LENGTH)
        length = self._call(self._skeleton, self._checker, 0, data, len(data), out, len(out))
        return out.raw[:length].decode()

    def hides_dot(self, code: int) -> bool:
        """Return whether a dot above cannot be seen on this character."""
        spoof = self._function(self._i18n, "uspoof_setChecks", None)
        self._call(spoof, self._checker, HIDDEN_OVERLAY)
        data = (chr(code) + DOT_ABOVE).encode()
        return bool(self._call(self._check, self._checker, data, len(data), None) & HIDDEN_OVERLAY)

    def decomposed(self, text: str) -> str:
        data, out = text.encode("utf-16-le"), ctypes.create_string_buffer(4 * MAX_LENGTH)
        length = self._call(self._normalize, self._nfd, data, len(data) // 2, out, 2 * MAX_LENGTH)
        return out.raw[: 2 * length].decode("utf-16-le")

    def scripts(self, code: int) -> tuple[str, ...]:
        out = (ctypes.c_int32 * 64)()
        count = self._call(self._extensions, ctypes.c_int32(code), out, 64)
        return tuple(sorted(self._value_name(SCRIPT, number, SHORT_NAME).decode() for number in out[:count]))

    def _function(self, library: ctypes.CDLL, name: str, result: Any) -> Any:
        function = getattr(library, f"{name}_{self._version}")
        function.restype = result
        return function

    def _call(self, function: Any, *arguments: Any) -> Any:
        status = ctypes.c_int32(0)
        result = function(*arguments, ctypes.byref(status))
        if status.value > 0:
            raise OSError(f"ICU failed with status {status.value}")
        return result

    def _version_of(self, name: str) -> str:
        out = (ctypes.c_uint8 * 4)()
        self._function(self._uc, name, None)(out)
        return ".".join(map(str, out[:2]))


def load_icu() -> Icu:
    """Load the ICU of this system, or the one that the command line names. Raises SystemExit."""
    if sys.argv[1:]:
        return Icu(*sys.argv[1:4])
    i18n, uc = find_library("icui18n"), find_library("icuuc")
    if i18n is None or uc is None:
        raise SystemExit("There is no ICU: apt-get install libicu-dev")
    return Icu(i18n, uc, re.sub(r"\D", "", i18n.partition(".so.")[2]))


def render(icu: Icu) -> Iterator[str]:
    """Yield the lines of the file."""
    version, unicode = icu.versions()
    yield f"# Written by scripts/identifiers.py from ICU {version}, Unicode {unicode}. Do not edit."
    allowed = [code for code in icu.recommended() if icu.is_in_names(code)]
    yield "# Characters of names (Identifier_Status=Allowed; letters, marks, digits), and the scripts they are used in."
    yield from map(_range, _runs(allowed, icu.scripts))
    yield "# Characters on which a dot above cannot be seen."
    hiding = [code for code in allowed if icu.hides_dot(code)]
    yield "dots " + " ".join(f"{code:X}" for code in hiding)
    yield "# What a character of a decomposed name looks like, where that is something else."
    parts = sorted({ord(part) for code in allowed for part in icu.decomposed(chr(code))} | set(b"_-."))
    skeletons = {code: skeleton for code in parts if (skeleton := icu.skeleton(chr(code))) != chr(code)}
    _check(icu, allowed, skeletons)
    for code, skeleton in (skeletons | AMENDED).items():
        yield f"{code:X}>{' '.join(f'{ord(char):X}' for char in skeleton)}"


def _runs(codes: list[int], scripts: Callable[[int], tuple[str, ...]]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield runs of consecutive code points that are used in the same scripts: first, last, scripts."""
    for (_, used), run in groupby(enumerate(codes), lambda pair: (pair[1] - pair[0], scripts(pair[1]))):
        members = [code for _, code in run]
        yield members[0], members[-1], used


def _range(run: tuple[int, int, tuple[str, ...]]) -> str:
    first, last, used = run
    return f"{first:X}{f'-{last:X}' if last != first else ''} {' '.join(used)}"


def _check(icu: Icu, allowed: list[int], skeletons: dict[int, str]) -> None:
    """Check the skeletons of all characters and of random words. Raises SystemExit."""
    draw = random.Random(39)  # noqa: S311
    words = [chr(code) for code in allowed] + ["".join(map(chr, draw.choices(allowed, k=8))) for _ in range(50_000)]
    for word in words:
        skeleton = icu.decomposed("".join(skeletons.get(ord(part), part) for part in icu.decomposed(word)))
        if skeleton != icu.skeleton(word):
            raise SystemExit(f"{word!r} looks like {icu.skeleton(word)!r}, and the table says {skeleton!r}")


if __name__ == "__main__":
    lines = list(render(load_icu()))
    TARGET.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{TARGET}: {len(lines)} lines")
