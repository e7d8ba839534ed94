"""Messages as lines of text: the time, who said it, and where."""

from __future__ import annotations

from typing import Final

from gmessenger.client import Delivery, Found, fold
from gmessenger.terminal.dates import clock
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import visible

CONTINUED: Final = " " * 8
ERASED: Final = N_("this message has been erased")


def message(delivery: Delivery) -> str:
    """A message with its time and sender, and its room if it came through one; further lines are indented."""
    sender = visible(delivery.sender)
    return _said(delivery, _("{name} (to all)", name=sender) if delivery.broadcast is True else sender)


def own(delivery: Delivery) -> str:
    """What one has written oneself, but not here; what history brings back does not say from where."""
    elsewhere, to = bool(delivery.id), visible(delivery.to)
    if delivery.to.startswith("#"):
        return _said(delivery, _("you, on another device") if elsewhere else _("you, earlier"))
    by = _("you, on another device, to {name}", name=to) if elsewhere else _("you, earlier, to {name}", name=to)
    return _said(delivery, by)


def found(each: Found, oneself: str) -> str:
    """A message that search found; one's own says to whom it went."""
    delivery, sender = each.delivery, visible(each.delivery.sender)
    own = fold(delivery.sender) == fold(oneself) and not delivery.to.startswith("#")
    return _said(delivery, _("{name} to {to}", name=sender, to=visible(each.with_)) if own else sender)


def _said(delivery: Delivery, by: str) -> str:
    if delivery.erased is True:
        return noted(_(ERASED))
    room = f"{visible(delivery.to)} " if delivery.to.startswith("#") else ""
    first, *further = delivery.message.replace("\r\n", "\n").split("\n")
    lines = [f"[{clock(delivery.time)}] {room}{by}: {visible(first)}"]
    return "\n".join(lines + [CONTINUED + visible(line) for line in further])
