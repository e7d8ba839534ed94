"""The page's modules as they are served: without comments, and those that the page begins with as one file.

Many small files compress badly, and a browser asks for them six at a time. The modules import each other by lines of
one form, and no two of them have a name at the top in common (`tests/web_page/test_joined.py`): so they can be put one
after another, each behind those that it imports. Only these lines are left out, and what runs is what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from rjsmin import jsmin

ENTRY: Final = "app.js"
"""The entry point of the page. The modules that it imports are joined with it into one file."""
IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./(?P<module>[\w.]+)";\n', re.MULTILINE)


def join_modules(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the modules to serve, by name: `app.js`, joined with all that it imports, and those loaded on demand."""
    joined = list(dict.fromkeys(_imported_by(ENTRY, sources)))
    later = {name: _import_from_entry(source, joined) for name, source in sources.items() if name not in joined}
    served = {ENTRY: "".join(IMPORT.sub("", sources[name]) for name in joined), **later}
    return {name: jsmin(source) for name, source in served.items()}


def _imported_by(name: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules that a module imports, directly or indirectly, in dependency order, and then the module."""
    for found in IMPORT.finditer(sources[name]):
        yield from _imported_by(found["module"], sources)
    yield name


def _import_from_entry(source: str, joined: list[str]) -> str:
    """Return a module whose imports of joined modules are changed into imports from `app.js`."""

    def change(found: re.Match[str]) -> str:
        return found[0].replace(found["module"], ENTRY) if found["module"] in joined else found[0]

    return IMPORT.sub(change, source)
