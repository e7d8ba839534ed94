"""Write the catalogs of the client's messages anew: `make words` (`python -m scripts.translations`) after a change.

Into each `gmessenger.po` it puts what is new, to be translated by hand, and takes out what is gone; then it compiles
them. The compiled ones are in the tree, too: a checkout speaks every language without a step of building.
"""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Container, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from gmessenger.config.parser import CLIENT, EPILOG, USER_CONFIG_HELP
from gmessenger.config.sources import COMMAND_LINE, DEFAULT
from gmessenger.errors import ERRORS, WIRE_ERRORS
from gmessenger.terminal.commands import COMMANDS
from gmessenger.terminal.i18n import CATALOGS, DOMAIN
from gmessenger.terminal.main import OPTION_CHECKS

PACKAGE = Path(__file__).parent.parent / "gmessenger"
PLACES = (
    "terminal",
    "client",
    "chat",
    "wire",
    "config/completion.py",
    "config/files.py",
    "config/parser.py",
    "config/types.py",
    "log.py",
    "names.py",
    "paths.py",
)
"""Where people's sentences are: of `chat`, `wire` and `names` what a server refuses with."""
SYSTEM = (
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPIPE),
    *(errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO),
)
"""Why a line or a file fails, as the C library says it."""
RESOLVER = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname",
)
PARSER = (
    "usage: ",
    "positional arguments",
    "options",
    "show this help message and exit",
    "show program's version number and exit",
    "argument %(argument_name)s: %(message)s",
    "expected one argument",
    "ignored explicit argument %r",
)
"""What argparse says of itself, by way of gettext."""
HEADERS = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
KEYWORDS = {
    **dict.fromkeys(("_", "N_", "gettext", "Text"), None),
    "ngettext": (1, 2),
    **dict.fromkeys((error.__name__ for error in WIRE_ERRORS.values()), None),
}


def tables() -> Iterator[str]:
    """The sentences that are in tables, where a mark at each would be in the way of reading them."""
    for command in COMMANDS:
        yield from (command.description, command.arguments)
    for row in CLIENT.rows:
        yield from (row.description, row.value_type.metavar if row.value_type.metavar.isupper() else "")
    yield from map(str.upper, CLIENT.positionals)
    yield from (sentence for _, sentence in OPTION_CHECKS)
    yield from (error.message for error in ERRORS.values())
    yield from (CLIENT.description, EPILOG, USER_CONFIG_HELP, COMMAND_LINE, DEFAULT)
    yield from map(os.strerror, SYSTEM)
    yield from RESOLVER + PARSER


def marked(
    file: IO[bytes], keywords: Container[str], comment_tags: object, options: object
) -> Iterator[tuple[int, str, tuple[str | None, ...], list[str]]]:
    """A method of extraction, in Babel's terms: its own for Python does not look into f-strings."""
    calls = [node for node in ast.walk(ast.parse(file.read())) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if (name := getattr(call.func, "id", "")) in keywords:
            texts = (each.value if isinstance(each, ast.Constant) else None for each in call.args)
            yield call.lineno, name, tuple(text if isinstance(text, str) else None for text in texts), []


def extracted() -> Catalog:
    """Every sentence that the client may say."""
    method: Any = marked  # Babel's types have what comes out of it in another order than Babel takes it
    found = Catalog(project=DOMAIN, charset="utf-8")
    for place in PLACES:
        files = sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]
        for file in files:
            for _, sentence, _, _ in extract_from_file(method, file, keywords=KEYWORDS):
                found.add(sentence, locations=[(str(file.relative_to(PACKAGE.parent)), 0)])
    for sentence in filter(None, tables()):
        found.add(sentence)
    return found


class ReproducibleCatalog(Catalog):
    """A catalog that is written in the same bytes at any time, by any version of Babel.

    Its header states what readers of the file need, and neither when nor by which program it was written.
    """

    def __iter__(self) -> Iterator[Message]:
        for message in super().__iter__():
            if message.id == "":
                stated = dict(line.split(": ", 1) for line in str(message.string).splitlines() if ": " in line)
                message.string = "".join(f"{name}: {stated[name]}\n" for name in HEADERS)
            yield message


def read(file: Path) -> Catalog:
    """Read a catalog with the header that is in the file: plural forms are the file's, not Babel's of today."""
    locale = file.parent.parent.name
    with file.open("rb") as opened:
        found = read_po(opened, locale=locale, domain=DOMAIN)
    catalog = ReproducibleCatalog(locale, DOMAIN, charset="utf-8")
    for message in found:
        catalog[message.id] = message
    catalog.header_comment = found.header_comment
    return catalog


def compiled(catalog: Catalog) -> bytes:
    written = BytesIO()
    write_mo(written, catalog)
    return written.getvalue()


def renewed(file: Path) -> bytes:
    """What is new in the catalog has no translation yet, and no guess at one."""
    catalog = read(file)
    catalog.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    written = BytesIO()
    write_po(written, catalog, width=120, include_lineno=False, sort_output=False)
    return written.getvalue()


def untranslated(catalog: Catalog) -> list[object]:
    forms = ((message.id, message.string) for message in catalog if message.id)
    return [id for id, string in forms if not string or not all(string)]


def catalogs() -> list[Path]:
    return sorted(CATALOGS.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


if __name__ == "__main__":
    for each in catalogs():
        each.write_bytes(renewed(each))
        each.with_suffix(".mo").write_bytes(compiled(read(each)))
        missing = untranslated(read(each))
        print(f"{each.relative_to(PACKAGE.parent)}: {len(missing)} to be translated", *missing, sep="\n  ")
