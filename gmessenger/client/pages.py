"""Messages as the server finds them again, in its answers to history and search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from gmessenger.wire.events import Answer, Delivery


@dataclass(frozen=True, slots=True)
class Found:
    """A message that search found, and the conversation it is from."""

    with_: str
    delivery: Delivery


def deliveries(answer: Answer, with_: str = "") -> Iterator[tuple[dict[str, Any], Delivery]]:
    """What an answer holds, each as it came and as the message it was.

    Of an erased message only its place is left: it is from nobody, at no time.
    """
    for entry in answer.messages or ():
        whole = {"action": "msg", "from": "", "to": with_, "time": 0.0, "message": "", **entry}
        try:
            yield whole, msgspec.convert(whole, Delivery)
        except msgspec.ValidationError:
            continue  # of a later version
