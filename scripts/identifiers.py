"""Write gmessenger/identifiers.txt: which characters names are made of, and what they look like.

Read out of ICU (Debian: libicu-dev) by way of its C interface: Identifier_Status=Allowed of UTS 39 is the spoof
checker's recommended set, what a character looks like its skeleton. Run it where a newer ICU is installed:

    python scripts/identifiers.py [LIBICUI18N LIBICUUC VERSION]

The file says which version of ICU and of Unicode it was made from; the tests need no ICU.
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
LONGEST: Final = 256
DOT_ABOVE: Final = "\u0307"
AMENDED: Final = {0x4CF: "l"}
"""What Unicode says otherwise: the palochka is an l to everybody's eyes, and only in italics anything like an i."""
HIDDEN_OVERLAY: Final = 256  # USPOOF_HIDDEN_OVERLAY
MASK_LETTERS: Final = 0b111110  # U_GC_L_MASK: Lu Ll Lt Lm Lo
MASK_MARKS: Final = 0b111000000  # U_GC_M_MASK: Mn Me Mc
MASK_DIGITS: Final = 1 << 9  # U_GC_ND_MASK
SHORT_NAME: Final = 0  # U_SHORT_PROPERTY_NAME
SCRIPT: Final = 0x100A  # UCHAR_SCRIPT


class Icu:
    """The few functions of ICU that are needed. Each call that fails raises OSError."""

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
        """ICU's own version, and that of Unicode."""
        return self._version_of("u_getVersion"), self._version_of("u_getUnicodeVersion")

    def recommended(self) -> Iterator[int]:
        """Code points whose Identifier_Status is Allowed."""
        get = self._function(self._i18n, "uspoof_getRecommendedSet", ctypes.c_void_p)
        contains = self._function(self._uc, "uset_contains", ctypes.c_int8)
        found = ctypes.c_void_p(self._call(get))
        return (code for code in UNICODE if code not in SURROGATES and contains(found, ctypes.c_int32(code)))

    def is_in_names(self, code: int) -> bool:
        """Whether it is a letter, a mark or a decimal digit."""
        return bool((MASK_LETTERS | MASK_MARKS | MASK_DIGITS) >> self._type(ctypes.c_int32(code)) & 1)

    def skeleton(self, text: str) -> str:
        given, out = text.encode(), ctypes.create_string_buffer(4 * LONGEST)
        length = self._call(self._skeleton, self._checker, 0, given, len(given), out, len(out))
        return out.raw[:length].decode()

    def hides_dot(self, code: int) -> bool:
        """Whether a dot above cannot be seen on this character."""
        spoof = self._function(self._i18n, "uspoof_setChecks", None)
        self._call(spoof, self._checker, HIDDEN_OVERLAY)
        given = (chr(code) + DOT_ABOVE).encode()
        return bool(self._call(self._check, self._checker, given, len(given), None) & HIDDEN_OVERLAY)

    def decomposed(self, text: str) -> str:
        given, out = text.encode("utf-16-le"), ctypes.create_string_buffer(4 * LONGEST)
        length = self._call(self._normalize, self._nfd, given, len(given) // 2, out, 2 * LONGEST)
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


def installed() -> Icu:
    """The ICU of this system, or the one that the command line names."""
    if sys.argv[1:]:
        return Icu(*sys.argv[1:4])
    i18n, uc = find_library("icui18n"), find_library("icuuc")
    if i18n is None or uc is None:
        raise SystemExit("There is no ICU: apt-get install libicu-dev")
    return Icu(i18n, uc, re.sub(r"\D", "", i18n.partition(".so.")[2]))


def written(icu: Icu) -> Iterator[str]:
    """The lines of the file."""
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
    looks = {code: look for code in parts if (look := icu.skeleton(chr(code))) != chr(code)}
    _check(icu, allowed, looks)
    for code, look in (looks | AMENDED).items():
        yield f"{code:X}>{' '.join(f'{ord(each):X}' for each in look)}"


def _runs(codes: list[int], scripts: Callable[[int], tuple[str, ...]]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Code points that follow one another and are used in the same scripts."""
    for (_, used), run in groupby(enumerate(codes), lambda pair: (pair[1] - pair[0], scripts(pair[1]))):
        found = [code for _, code in run]
        yield found[0], found[-1], used


def _range(run: tuple[int, int, tuple[str, ...]]) -> str:
    first, last, used = run
    return f"{first:X}{f'-{last:X}' if last != first else ''} {' '.join(used)}"


def _check(icu: Icu, allowed: list[int], looks: dict[int, str]) -> None:
    """That skeletons made of the table are those of ICU, for each character and for random words."""
    draw = random.Random(39)  # noqa: S311
    words = [chr(code) for code in allowed] + ["".join(map(chr, draw.choices(allowed, k=8))) for _ in range(50_000)]
    for word in words:
        made = icu.decomposed("".join(looks.get(ord(part), part) for part in icu.decomposed(word)))
        if made != icu.skeleton(word):
            raise SystemExit(f"{word!r} looks like {icu.skeleton(word)!r}, and the table says {made!r}")


if __name__ == "__main__":
    lines = list(written(installed()))
    TARGET.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{TARGET}: {len(lines)} lines")
