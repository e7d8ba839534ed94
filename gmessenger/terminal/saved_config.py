"""Save answers in the user's configuration file, without changing what the user wrote there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gmessenger.config.parser import CLIENT
from gmessenger.durability import replace_file
from gmessenger.errors import FileError
from gmessenger.text import Text
from gmessenger.text_files import open_text

SECTION_HEADER: Final = f"[{CLIENT.section}]"
NEW_FILE_HEADER: Final = f"# {CLIENT.name}. Every option may stand here; {CLIENT.name} --print-config lists them.\n\n"

NOT_UTF_8: Final = Text("it is not UTF-8")


def save_values(file: Path, *groups: Mapping[str, str]) -> dict[str, str]:
    """Set the keys of each group, unless the file sets one of them.

    Return the keys and values that are new.

    The file is replaced atomically. Raises `FileError`. Blocks.
    """
    try:
        file = file.resolve()  # a symbolic link stays, and its target is written
        text = _read(file) if file.exists() else NEW_FILE_HEADER
        unset = [group for group in groups if not any(_key_pattern(key).search(text) for key in group)]
        new = {key: value for group in unset for key, value in group.items()}
        if new:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(file, insert_values(text, new).encode())
        return new
    except (OSError, UnicodeDecodeError) as error:
        reason = Text((error.strerror if isinstance(error, OSError) else "") or NOT_UTF_8)
        raise FileError(Text("Cannot write the config file {file}: {reason}.", file=file, reason=reason)) from error


def _read(file: Path) -> str:
    with open_text(file) as opened:
        return opened.read()


def insert_values(text: str, values: Mapping[str, str]) -> str:
    """Return the text with these keys: each below the comment that mentions it, or at the section's end."""
    if SECTION_HEADER not in text.splitlines():
        text = f"{text}{SECTION_HEADER}\n"
    for key, value in values.items():
        line = f"{key} = {value}\n"
        if not text.endswith("\n"):
            text += "\n"
        mention = _key_pattern(key, in_comment=True).search(text)
        text = f"{text[: mention.end()]}{line}{text[mention.end() :]}" if mention else text + line
    return text


def _key_pattern(key: str, *, in_comment: bool = False) -> re.Pattern[str]:
    return re.compile(rf"^{'#[ ]?' if in_comment else ''}{re.escape(key)}\s*[=:].*\n?", re.MULTILINE | re.IGNORECASE)
