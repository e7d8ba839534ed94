"""Dialogues: what a command asks before it is carried out."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question to the person at the terminal.

    is_secret: the answer is not echoed.
    """

    text: str
    is_secret: bool = False


Dialogue: TypeAlias = Generator[Prompt, str | None, None]
"""A generator of prompts. Each is sent its answer, None if it is cancelled or the input has ended."""
