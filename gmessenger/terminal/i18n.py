"""Translate texts with gettext; message ids are the English texts.

Importing this reads no files: everything is English until `install` is called, when the program starts. Texts in tables
that are built at import are marked with `N_`, and translated with `_` when they are shown. Texts of errors, of the
client library and of the server are translated by `localize`, which recognises the server's texts by their error code
or by their pattern.
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
"""Locales and languages that need no catalog."""
ENGLISH: Final = gettext.NullTranslations()
_catalog: gettext.NullTranslations = ENGLISH


def install(environ: Mapping[str, str] = os.environ) -> None:
    """Use the catalog of the first language that the environment asks for; English if there is none."""
    global _catalog
    _catalog = gettext.translation(DOMAIN, CATALOGS, languages(environ), fallback=True)
    # argparse translates its own texts and the options' help with the default domain.
    gettext.bindtextdomain(DOMAIN, str(CATALOGS))
    gettext.textdomain(DOMAIN if is_translated() else "messages")


def languages(environ: Mapping[str, str]) -> list[str]:
    """Return the languages that the environment asks for, in order, as gettext does.

    LANGUAGE lists them, unless the locale is C. English needs no catalog, so it ends the list.
    """
    locale = next((environ[name] for name in LOCALE_VARIABLES if environ.get(name)), "")
    requested = "" if locale in NO_LANGUAGE_LOCALES else environ.get("LANGUAGE") or locale
    return list(
        takewhile(lambda name: re.split("[_.@]", name)[0] not in SOURCE_LANGUAGES, filter(None, requested.split(":")))
    )


def is_translated() -> bool:
    """Return whether texts are translated, and not English."""
    return isinstance(_catalog, gettext.GNUTranslations)


def N_(text: str) -> str:
    """Mark a text for the catalogs; it is translated later."""
    return text


def _(sentence: str, /, **values: object) -> str:
    """Translate a text, and fill in its `{placeholders}`."""
    text = _catalog.gettext(sentence) if sentence else ""  # the message id "" is the catalog's header
    return text.format(**values) if values else text


def as_notice(text: str) -> str:
    """Mark a text as a notice: shown by the program, not sent by a user."""
    return f"-- {text}"


def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
    """Translate a text in the form for `count`; languages have up to six plural forms."""
    return _catalog.ngettext(one, many, count).format(count=count, **values)


SERVER_TEXTS: Final = (
    N_("{name} is not here."),
    N_("{name} is not blocked."),
    N_("{name} is not invited."),
    N_("{name} has left, and was a guest."),
    N_("{name} is a guest, and only accounts may join this room."),
    N_("At most {limit} invitations to a room can wait."),
    N_("No user of the name {name} was ever here."),
    N_("There is no such ban or silence for {name} in this room."),
    N_("{name} has left, and messages to guests are not stored."),
    N_("{name} is an operator too; only the owner of the server may do this."),
    N_("There is no such ban or mute for {name}."),
    N_("{network} includes the server's own address; to ban that, give the single address."),
    N_("{network} is neither an IP address nor a network like 203.0.113.0/24."),
    N_("There are already {count} of them; remove some first."),
    N_("You can block {count} names."),
    N_("A password is {least} to {most} bytes."),
    N_("{name} acts as an operator; only the owner of the server may do this."),
    N_("A mask is 1 to {count} printable characters without spaces."),
    N_("An account can create at most {count} rooms."),
    N_("Guests from one network can create at most {count} rooms."),
    N_("You can be a member of at most {count} rooms."),
    N_("A name has at most {count} characters."),
    N_("A highlight is 1 to {count} printable characters."),
    N_("A key of a profile is 1 to {count} of a-z, 0-9, '_', '.', '/' and '-'."),
    N_("A value of a profile is one line of 1 to {count} bytes."),
    N_("The name {name} is reserved."),
    N_("The name {name} looks too much like {other}, which is taken."),
    N_("A message has at most {count} characters."),
    N_("The name of a device has at most {count} characters."),
    N_("A search has at most {count} characters."),
    N_("A note is at most {count} printable characters."),
    N_("A topic is at most {count} printable characters."),
    N_("A reason is at most {count} printable characters."),
    N_("A status is 1 to {count} printable characters, and not {word}."),
    N_("A limit is a number from 1 to {count}."),
    N_("A reaction is one character or emoji, of at most {count} code points."),
    N_("The disk has not answered for {seconds} s."),
)


def _template_pattern(template: str) -> re.Pattern[str]:
    parts = Formatter().parse(template)
    return re.compile("".join(re.escape(text) + (f"(?P<{name}>.+)" if name else "") for text, name, *_rest in parts))


SERVER_TEXT_PATTERNS: Final = tuple((template, _template_pattern(template)) for template in SERVER_TEXTS)


def match_server_text(text: str) -> str | None:
    """Translate a text of the server that matches one of SERVER_TEXTS; None if none matches."""
    for template, pattern in SERVER_TEXT_PATTERNS:
        if (match := pattern.fullmatch(text)) is not None:
            return _(template, **match.groupdict())
    return None


GENERIC_CODES: Final = frozenset({BadRequest.code, Forbidden.code})
"""Error codes that say too little without the server's own text."""
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
"""Texts that say more than the error's own: they name the seconds to wait."""


KEPT_FOREVER: Final = N_("Messages of accounts and rooms are kept for good, messages between guests not at all.")
KEPT_UNTIL_STOP: Final = N_(
    "Messages of accounts and rooms are kept until the server stops, guests' messages not at all."
)
NEWCOMERS_MAY_READ: Final = (
    N_("An account that joins a room may read all that is kept of it, unless the room's rules say otherwise."),
    N_("An account that joins a room may read what is said from then on, unless the room's rules say otherwise."),
)
KEPT_FOR_DAYS_PATTERN: Final = re.compile(
    r"Messages of accounts and rooms are kept for (\d+) days, messages between guests not at all\."
)
"""The notices that the server appends to its greeting."""


def is_pruned(greeting: str) -> bool:
    """Return whether a server's greeting says that it keeps messages for some time only."""
    return KEPT_FOR_DAYS_PATTERN.search(greeting) is not None


def localize_greeting(line: str) -> str:
    """Translate a line of a server's greeting if it is a notice of the server's own.

    The owner's own text stays as it is.
    """
    if line in (KEPT_FOREVER, KEPT_UNTIL_STOP, *NEWCOMERS_MAY_READ):
        return _(line)
    if (days := KEPT_FOR_DAYS_PATTERN.fullmatch(line)) is None or not is_translated():
        return line
    return ngettext(
        "Messages of accounts and rooms are kept for {count} day, messages between guests not at all.",
        "Messages of accounts and rooms are kept for {count} days, messages between guests not at all.",
        int(days[1]),
    )


def localize(message: str | Exception) -> str:
    """Translate a text, or the text of an error. Texts that are in no catalog stay as they are."""
    text = str(message)
    if isinstance(text, ServerText):
        return _localize_server_text(text) if is_translated() else text
    if isinstance(text, Fragment):
        return localize(str(text.values["sentence"])).rstrip(".")
    if isinstance(text, Text) and text.values:
        return _(text.template, **{name: _localize_value(value) for name, value in text.values.items()})
    return _(text)


def _localize_value(value: object) -> object:
    return localize(value) if isinstance(value, Text) else value


def _localize_server_text(text: ServerText) -> str:
    """Translate a server's text by its pattern or its error code, or show the server's own text."""
    own_text, error_class = _(text.template), WIRE_ERRORS.get(text.code)
    if (exact_text := _exact_message(text) or match_server_text(text.template)) is not None:
        return exact_text
    if error_class is None or own_text != text.template:
        return own_text
    if text.code in GENERIC_CODES:
        return _("{sentence} The server says: {own}", sentence=_(error_class.message), own=own_text)
    return _(error_class.message)


def _exact_message(text: ServerText) -> str | None:
    if text.limit is not None and text.code in LIMIT_MESSAGES:
        return LIMIT_MESSAGES[text.code](text.limit)
    if text.retry_after is not None and text.code in RETRY_MESSAGES:
        return RETRY_MESSAGES[text.code](max(1, ceil(text.retry_after)))
    return None
