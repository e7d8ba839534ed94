"""The version of JIM, and what a server announces besides."""

from typing import Final

JIM_VERSION: Final = 2
FEATURES: Final = ("about", "kind", "note", "rules")
"""Keys of requests that an older server ignores without a word: a login response says that this one knows them."""
FILE_FEATURE: Final = "file"
"""Announced besides where the server keeps files."""
