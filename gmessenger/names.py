"""Names of users and rooms: which are allowed, when two are the same, and the keys of conversations.

A name consists of letters, marks and digits of scripts in general use (UTS 39, Identifier_Status=Allowed), and `_-.`.
Scripts may be mixed as UTS 39's "highly restrictive" level allows: 小林さん and हिन्दी are names, a Latin name with
Cyrillic letters in it is not. Names that look like a taken one are found by `chat.confusables`.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Final

from gmessenger.errors import BadName
from gmessenger.identifiers import has_hidden_dot, identifier_table, skeleton

MAX_NAME: Final = 32
ROOM_PREFIX: Final = "#"
"""The first character of every room's name, and of no user's."""
BROADCAST_TARGET: Final = "#all"
"""The recipient of a broadcast; no room can have the name, since `all` is reserved."""
MAX_NORMALIZED: Final = 4 * MAX_NAME
"""Characters beyond which no name is normalised: that sorts the marks of a letter, in quadratic time."""
MAX_RAW_NAME: Final = MAX_NORMALIZED + len(ROOM_PREFIX)
"""Characters of a name as it arrives, before normalisation, with a room's prefix."""
RESERVED: Final = frozenset({"all", "server", "system"})
SERVICE_NAMES: Final = frozenset({"chanserv", "global", "nickserv"})
"""Names by which people know a server's own services elsewhere: no user may take one. (Somebody may have before.)"""


def _skeletons(words: frozenset[str]) -> frozenset[str]:
    return frozenset(skeleton(form) for word in words for form in (word, word.upper(), word.title()))


RESERVED_SKELETONS: Final = _skeletons(RESERVED)
"""The skeletons of the reserved words: no name may look like one of them."""
SERVICE_SKELETONS: Final = _skeletons(SERVICE_NAMES)
PUNCTUATION: Final = frozenset("_-.")
MAX_STACKED_MARKS: Final = 4  # non-spacing marks on one letter
INVISIBLE: Final = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, *range(0xFE00, 0xFE10), 0xFFA0))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
"""Letters and marks that are not displayed (Unicode's default ignorables): names with and without look the same."""
COMMON_SCRIPTS: Final = frozenset({"Zyyy", "Zinh"})
"""Script codes of characters that belong to all scripts: Common and Inherited."""
MIXABLE_SCRIPTS: Final = (
    frozenset({"Latn", "Hani", "Hira", "Kana"}),
    frozenset({"Latn", "Hani", "Bopo"}),
    frozenset({"Latn", "Hani", "Hang"}),
)
"""Scripts that may be mixed, as one language writes with all of them (UTS 39, highly restrictive)."""


def check_name(name: str) -> str:
    """Return the displayed form (NFKC) of a user's name that is to be taken; every rule applies.

    Raises:
        BadName: the message says which rule it breaks.
    """
    return _check_new_name(name, RESERVED_SKELETONS | SERVICE_SKELETONS)


def check_room_name(name: str) -> str:
    """Return the displayed form of the name of a room that is to be created. Raises as `check_name`."""
    return f"{ROOM_PREFIX}{_check_new_name(name.removeprefix(ROOM_PREFIX), RESERVED_SKELETONS)}"


def _check_new_name(name: str, reserved: frozenset[str]) -> str:
    shown = normalize_name(name)
    if not reserved.isdisjoint((skeleton(shown), skeleton(fold(shown)), skeleton(shown.upper()))):
        raise BadName(f"The name {shown} is reserved.")
    if not shown.isascii():
        _check_security(shown)
    return shown


def normalize_name(name: str) -> str:
    """Return the displayed form (NFKC) of a name; also of one that was taken when the rules allowed more.

    Raises:
        BadName: the name is empty, too long, reserved, or has characters that no name ever had.
    """
    if len(name) > MAX_NORMALIZED:
        raise BadName(f"A name has at most {MAX_NAME} characters.")
    shown = unicodedata.normalize("NFKC", name)
    if not shown:
        raise BadName("A name has at least one character.")
    if len(shown) > MAX_NAME:
        raise BadName(f"A name has at most {MAX_NAME} characters.")
    if fold(shown) in RESERVED:
        raise BadName(f"The name {shown} is reserved.")
    if not (shown.isascii() and shown.replace("_", "").replace("-", "").replace(".", "").isalnum()):
        _check_characters(shown)
    return shown


def fold(name: str) -> str:
    """Return the key of a name: the same for all its spellings, whatever their case and Unicode form.

    Never raises. What is too long to be a name is its own key.
    """
    if name.isascii():
        return name.lower()
    if len(name) > MAX_RAW_NAME:
        return name
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_characters(shown: str) -> None:
    if not all(char in PUNCTUATION or unicodedata.category(char)[0] in "LM" or char.isdecimal() for char in shown):
        raise BadName("A name is made of letters, digits, '_', '-' and '.'.")
    if INVISIBLE.intersection(shown):
        raise BadName("A name has no invisible characters.")
    if not any(char.isalnum() for char in shown):
        raise BadName("A name has at least one letter or digit.")
    if _stacks_marks(shown):
        raise BadName("A name begins with a letter and has no stacked accents.")
    if len({ord(char) - unicodedata.decimal(char) for char in shown if char.isdecimal()}) > 1:
        raise BadName("A name does not mix digits of several scripts.")


def _check_security(shown: str) -> None:
    scripts = [identifier_table().scripts_of(char) for char in shown if char not in PUNCTUATION]
    if None in scripts:
        raise BadName("A name has no characters that are obsolete or rarely used.")
    if has_hidden_dot(shown) or _repeats_mark(shown):
        raise BadName("A name has no invisible accents.")
    if not _is_single_language([script for script in scripts if script is not None]):
        raise BadName("A name does not mix scripts whose letters look alike.")


def _repeats_mark(shown: str) -> bool:
    decomposed = unicodedata.normalize("NFD", shown)
    return any(char == following and unicodedata.combining(char) for char, following in pairwise(decomposed))


def _stacks_marks(shown: str) -> bool:
    run = MAX_STACKED_MARKS  # so that a name cannot begin with a mark
    for char in shown:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if run > MAX_STACKED_MARKS:
            return True
    return False


def _is_single_language(scripts: list[frozenset[str]]) -> bool:
    scripts = [alternatives for alternatives in scripts if not alternatives & COMMON_SCRIPTS]
    if not scripts or frozenset.intersection(*scripts):
        return True
    return any(all(alternatives & mixable for alternatives in scripts) for mixable in MIXABLE_SCRIPTS)


def is_room(name: str) -> bool:
    """Return whether a name or its key is a room's; also True for `BROADCAST_TARGET`.

    What runs for each message compares `name[:1] == ROOM_PREFIX` itself: a call takes twice as long.
    """
    return name[:1] == ROOM_PREFIX


def direct_key(name: str, other: str) -> str:
    """Return the key of the direct conversation of two folded names, given in either order."""
    return f"{name} {other}" if name < other else f"{other} {name}"


def names_of_direct(key: str) -> list[str]:
    """Return the two folded names of a direct conversation."""
    return key.split(" ")
