"""What servers refuse with beyond the sentence of the error: sentences with names and numbers in them, known again."""

from __future__ import annotations

import re
from string import Formatter
from typing import Final

from gmessenger.terminal.words import N_, _

SENTENCES: Final = (
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


def _pattern(template: str) -> re.Pattern[str]:
    parts = Formatter().parse(template)
    return re.compile("".join(re.escape(text) + (f"(?P<{name}>.+)" if name else "") for text, name, *_rest in parts))


PATTERNS: Final = tuple((template, _pattern(template)) for template in SENTENCES)


def known_again(sentence: str) -> str | None:
    """The sentence in the reader's language; None where it is not one of these."""
    for template, pattern in PATTERNS:
        if (found := pattern.fullmatch(sentence)) is not None:
            return _(template, **found.groupdict())
    return None
