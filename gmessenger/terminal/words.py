"""The language of who sits at the terminal: gettext, with the English sentence as its own key.

Importing this reads nothing: everything is English until `choose` is called, which is for the program's start. What is
written in tables when a module is imported is marked with `N_`, and translated by `_` when it is shown.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Final

DOMAIN: Final = "gmessenger"
CATALOGS: Final = Path(__file__).parent / "locale"
LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
NO_LANGUAGE: Final = frozenset({"C", "POSIX"})
OWN: Final = NO_LANGUAGE | {"en"}
"""What the sentences are in themselves."""
ENGLISH: Final = gettext.NullTranslations()
_chosen: gettext.NullTranslations = ENGLISH


def choose(environ: Mapping[str, str] = os.environ) -> None:
    """Speak the first language that the environment asks for and that there is a catalog of; else English."""
    global _chosen
    _chosen = gettext.translation(DOMAIN, CATALOGS, languages(environ), fallback=True)
    # The option parser asks the process's own domain, for its words and ours.
    gettext.bindtextdomain(DOMAIN, str(CATALOGS))
    gettext.textdomain(DOMAIN if is_foreign() else "messages")


def languages(environ: Mapping[str, str]) -> list[str]:
    """As gettext has it: LANGUAGE lists them, unless the locale is C. English needs no catalog, and ends the list."""
    locale = next((environ[name] for name in LOCALE if environ.get(name)), "")
    wanted = "" if locale in NO_LANGUAGE else environ.get("LANGUAGE") or locale
    return list(takewhile(lambda name: re.split("[_.@]", name)[0] not in OWN, filter(None, wanted.split(":"))))


def is_foreign() -> bool:
    """Whether it is another language than the sentences themselves are in."""
    return isinstance(_chosen, gettext.GNUTranslations)


def N_(sentence: str) -> str:
    """Marks a sentence for the catalogs, to be translated later."""
    return sentence


def _(sentence: str, /, **values: object) -> str:
    """A sentence in the language that was chosen, with its `{placeholders}` filled in."""
    said = _chosen.gettext(sentence) if sentence else ""  # "" is the key of the catalog's own head
    return said.format(**values) if values else said


def noted(sentence: str) -> str:
    """As it is shown among what people say: nobody has said this, the program tells it."""
    return f"-- {sentence}"


def counted(one: str, many: str, count: int, /, **values: object) -> str:
    """The form that goes with `{count}` of something: languages have up to six of them."""
    return _chosen.ngettext(one, many, count).format(count=count, **values)
