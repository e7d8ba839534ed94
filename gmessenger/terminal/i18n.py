"""The language of who sits at the terminal: gettext, with the English sentence as its own key.

Importing this reads nothing: everything is English until `choose` is called, which is for the program's start. What is
written in tables when a module is imported is marked with `N_`, and translated by `_` when it is shown.

What servers refuse with beyond the sentence of the error: sentences with names and numbers in them, known again.

Sentences that come from below, from errors, the link and the server, in the language of who reads them.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Callable, Mapping
from itertools import takewhile
from math import ceil
from pathlib import Path
from string import Formatter
from typing import Final

from gmessenger.errors import (
    WIRE_ERRORS,
    BadRequest,
    Forbidden,
    FrameTooLong,
    LoginThrottled,
    RateLimited,
    RoomFull,
    TextTooLong,
    TooManyConnections,
)
from gmessenger.text import Fragment, ServerText, Text

DOMAIN: Final = "gmessenger"
CATALOGS: Final = Path(__file__).parent / "locale"
LOCALE_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
NO_LANGUAGE_LOCALES: Final = frozenset({"C", "POSIX"})
SOURCE_LANGUAGES: Final = NO_LANGUAGE_LOCALES | {"en"}
"""What the sentences are in themselves."""
ENGLISH: Final = gettext.NullTranslations()
_catalog: gettext.NullTranslations = ENGLISH


def install(environ: Mapping[str, str] = os.environ) -> None:
    """Speak the first language that the environment asks for and that there is a catalog of; else English."""
    global _catalog
    _catalog = gettext.translation(DOMAIN, CATALOGS, languages(environ), fallback=True)
    # The option parser asks the process's own domain, for its words and ours.
    gettext.bindtextdomain(DOMAIN, str(CATALOGS))
    gettext.textdomain(DOMAIN if is_translated() else "messages")


def languages(environ: Mapping[str, str]) -> list[str]:
    """As gettext has it: LANGUAGE lists them, unless the locale is C. English needs no catalog, and ends the list."""
    locale = next((environ[name] for name in LOCALE_VARIABLES if environ.get(name)), "")
    wanted = "" if locale in NO_LANGUAGE_LOCALES else environ.get("LANGUAGE") or locale
    return list(
        takewhile(lambda name: re.split("[_.@]", name)[0] not in SOURCE_LANGUAGES, filter(None, wanted.split(":")))
    )


def is_translated() -> bool:
    """Whether it is another language than the sentences themselves are in."""
    return isinstance(_catalog, gettext.GNUTranslations)


def N_(text: str) -> str:
    """Marks a sentence for the catalogs, to be translated later."""
    return text


def _(sentence: str, /, **values: object) -> str:
    """A sentence in the language that was chosen, with its `{placeholders}` filled in."""
    said = _catalog.gettext(sentence) if sentence else ""  # "" is the key of the catalog's own head
    return said.format(**values) if values else said


def as_notice(text: str) -> str:
    """As it is shown among what people say: nobody has said this, the program tells it."""
    return f"-- {text}"


def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
    """The form that goes with `{count}` of something: languages have up to six of them."""
    return _catalog.ngettext(one, many, count).format(count=count, **values)


SERVER_TEXTS: Final = (
    N_("{name} is not here."),
    N_("{name} is not blocked."),
    N_("{name} has left, and messages to guests are not stored."),
    N_("{name} is an operator too; only the owner of the server may do this."),
    N_("There is no such ban or mute for {name}."),
    N_("{network} includes the server's own address; to ban that, give the single address."),
    N_("{network} is neither an IP address nor a network like 203.0.113.0/24."),
    N_("There are already {count} of them; remove some first."),
    N_("You can block {count} names."),
    N_("An account can create at most {count} rooms."),
    N_("You can be a member of at most {count} rooms."),
    N_("A name has at most {count} characters."),
    N_("The name {name} is reserved."),
    N_("The name {name} looks too much like {other}, which is taken."),
    N_("A message has at most {count} characters."),
    N_("The name of a device has at most {count} characters."),
    N_("A search has at most {count} characters."),
    N_("A topic is at most {count} printable characters."),
    N_("A reason is at most {count} printable characters."),
    N_("A status is 1 to {count} printable characters, and not {word}."),
    N_("A limit is a number from 1 to {count}."),
    N_("The disk has not answered for {seconds} s."),
)


def _template_pattern(template: str) -> re.Pattern[str]:
    parts = Formatter().parse(template)
    return re.compile("".join(re.escape(text) + (f"(?P<{name}>.+)" if name else "") for text, name, *_rest in parts))


SERVER_TEXT_PATTERNS: Final = tuple((template, _template_pattern(template)) for template in SERVER_TEXTS)


def match_server_text(text: str) -> str | None:
    """The sentence in the reader's language; None where it is not one of these."""
    for template, pattern in SERVER_TEXT_PATTERNS:
        if (found := pattern.fullmatch(text)) is not None:
            return _(template, **found.groupdict())
    return None


GENERIC_CODES: Final = frozenset({BadRequest.code, Forbidden.code})
"""Words that say too little without the server's own sentence."""
LIMIT_MESSAGES: Final[dict[str, Callable[[int], str]]] = {
    TextTooLong.code: lambda limit: ngettext(
        "A message has at most {count} character.", "A message has at most {count} characters.", limit
    ),
    FrameTooLong.code: lambda limit: ngettext(
        "A message may have at most {count} byte.", "A message may have at most {count} bytes.", limit
    ),
    RoomFull.code: lambda limit: ngettext(
        "The room is full: it can have {count} member.", "The room is full: it can have {count} members.", limit
    ),
}
RETRY_MESSAGES: Final[dict[str, Callable[[int], str]]] = {
    RateLimited.code: lambda seconds: ngettext(
        "Too many requests; wait {count} second.", "Too many requests; wait {count} seconds.", seconds
    ),
    LoginThrottled.code: lambda seconds: ngettext(
        "Too many wrong passwords; try again in {count} second.",
        "Too many wrong passwords; try again in {count} seconds.",
        seconds,
    ),
    TooManyConnections.code: lambda seconds: ngettext(
        "There are too many connections from your network; try again in {count} second.",
        "There are too many connections from your network; try again in {count} seconds.",
        seconds,
    ),
}
"""What can be said more exactly than by the error's own sentence."""


KEPT_FOREVER: Final = N_("Messages of accounts and rooms are kept for good, messages between guests not at all.")
KEPT_UNTIL_STOP: Final = N_(
    "Messages of accounts and rooms are kept until the server stops, guests' messages not at all."
)
KEPT_FOR_DAYS_PATTERN: Final = re.compile(
    r"Messages of accounts and rooms are kept for (\d+) days, messages between guests not at all\."
)
"""What a server says of itself to everybody who comes in, behind its owner's own words."""


def localize_greeting(line: str) -> str:
    """A line of a server's greeting: what is kept in it in the reader's language, its owner's words as they are."""
    if line in (KEPT_FOREVER, KEPT_UNTIL_STOP):
        return _(line)
    if (days := KEPT_FOR_DAYS_PATTERN.fullmatch(line)) is None or not is_translated():
        return line
    return ngettext(
        "Messages of accounts and rooms are kept for {count} day, messages between guests not at all.",
        "Messages of accounts and rooms are kept for {count} days, messages between guests not at all.",
        int(days[1]),
    )


def localize(message: str | Exception) -> str:
    """The sentence, or that of an error. What is no sentence of ours stays as it is."""
    sentence = str(message)
    if isinstance(sentence, ServerText):
        return _localize_server_text(sentence) if is_translated() else sentence
    if isinstance(sentence, Fragment):
        return localize(str(sentence.values["sentence"])).rstrip(".")
    if isinstance(sentence, Text) and sentence.values:
        return _(sentence.template, **{name: _localize_value(value) for name, value in sentence.values.items()})
    return _(sentence)


def _localize_value(value: object) -> object:
    return localize(value) if isinstance(value, Text) else value


def _localize_server_text(text: ServerText) -> str:
    """What the server says, by its word; in its own words where there is no other way."""
    own, kind = _(text.template), WIRE_ERRORS.get(text.code)
    if (exact := _exact_message(text) or match_server_text(text.template)) is not None:
        return exact
    if kind is None or own != text.template:
        return own
    if text.code in GENERIC_CODES:
        return _("{sentence} The server says: {own}", sentence=_(kind.message), own=own)
    return _(kind.message)


def _exact_message(text: ServerText) -> str | None:
    if text.limit is not None and text.code in LIMIT_MESSAGES:
        return LIMIT_MESSAGES[text.code](text.limit)
    if text.retry_after is not None and text.code in RETRY_MESSAGES:
        return RETRY_MESSAGES[text.code](max(1, ceil(text.retry_after)))
    return None
