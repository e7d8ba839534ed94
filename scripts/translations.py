"""Update the catalogs of the clients' messages: `make words` (`python -m scripts.translations`) after a change.

Adds new messages of the terminal client and of the page to each `gmessenger.po`, to be translated by hand, removes old
ones, and compiles the catalogs: for the terminal, and for the page as JSON. The compiled ones are in the tree, too, so
that a checkout needs no build.
"""

from __future__ import annotations

import ast
import errno
import json
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
"""Modules with messages for users; those of `chat`, `wire` and `names` are errors of the server."""
PAGE = PACKAGE / "web"
"""The modules of the page, whose messages are in the same catalogs."""
PAGE_KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
SYSTEM = (
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPIPE),
    *(errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO),
)
"""Errors of connections and files, whose messages are the C library's."""
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
"""Messages of argparse, which looks them up with gettext."""
HEADERS = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
KEYWORDS = {
    **dict.fromkeys(("_", "N_", "gettext", "Text"), None),
    "ngettext": (1, 2),
    **dict.fromkeys((error.__name__ for error in WIRE_ERRORS.values()), None),
}


def table_messages() -> Iterator[str]:
    """Yield the messages in tables, where no `_` or `Text` marks them."""
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


def extract_marked(
    file: IO[bytes], keywords: Container[str], comment_tags: object, options: object
) -> Iterator[tuple[int, str, tuple[str | None, ...], list[str]]]:
    """Yield a file's marked messages, in f-strings too: an extraction method for Babel."""
    calls = [node for node in ast.walk(ast.parse(file.read())) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if (name := getattr(call.func, "id", "")) in keywords:
            values = (arg.value if isinstance(arg, ast.Constant) else None for arg in call.args)
            yield call.lineno, name, tuple(value if isinstance(value, str) else None for value in values), []


def extract_page() -> Iterator[tuple[Path, str | tuple[str, ...]]]:
    """Yield the messages of the page, each with its module."""
    for file in sorted(PAGE.glob("*.js")):
        for _, message, _, _ in extract_from_file("javascript", file, keywords=PAGE_KEYWORDS):
            yield file, message


def extract_all() -> Catalog:
    """Return a catalog of all messages of the clients, untranslated."""
    method: Any = extract_marked  # Babel's type of a method has another order of results than Babel accepts
    catalog = Catalog(project=DOMAIN, charset="utf-8")
    for place in PLACES:
        files = sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]
        for file in files:
            for _, message, _, _ in extract_from_file(method, file, keywords=KEYWORDS):
                catalog.add(message, locations=[(str(file.relative_to(PACKAGE.parent)), 0)])
    for file, message in extract_page():
        catalog.add(message, locations=[(str(file.relative_to(PACKAGE.parent)), 0)])
    for message in filter(None, table_messages()):
        catalog.add(message)
    return catalog


class ReproducibleCatalog(Catalog):
    """A catalog whose file has the same bytes whenever and with whichever version of Babel it is written.

    Its header has what readers of the file need, without date and program.
    """

    def __iter__(self) -> Iterator[Message]:
        for message in super().__iter__():
            if message.id == "":
                fields = dict(line.split(": ", 1) for line in str(message.string).splitlines() if ": " in line)
                message.string = "".join(f"{name}: {fields[name]}\n" for name in HEADERS)
            yield message


def read_catalog(file: Path) -> Catalog:
    """Read a catalog with the header of the file: its plural forms, not those of Babel's present version."""
    locale = file.parent.parent.name
    with file.open("rb") as opened:
        original = read_po(opened, locale=locale, domain=DOMAIN)
    catalog = ReproducibleCatalog(locale, DOMAIN, charset="utf-8")
    for message in original:
        catalog[message.id] = message
    catalog.header_comment = original.header_comment
    return catalog


def compile_catalog(catalog: Catalog) -> bytes:
    """Return the bytes of a `.mo` file."""
    output = BytesIO()
    write_mo(output, catalog)
    return output.getvalue()


def compile_page(catalog: Catalog) -> str:
    """Return the catalog of the page as JSON: its messages, and what a refusal says by its code."""
    used = {message if isinstance(message, str) else message[0] for _, message in extract_page()}
    translated = {message.id if isinstance(message.id, str) else message.id[0]: message.string for message in catalog}
    messages = {id: translated[id] for id in sorted(used) if translated.get(id)}
    errors = {code: translated.get(error.message, "") for code, error in sorted(WIRE_ERRORS.items())}
    return json.dumps({"messages": messages, "errors": errors}, ensure_ascii=False, indent=0) + "\n"


def page_file(catalog_file: Path) -> Path:
    """Return where the page's catalog of the same language is."""
    return PAGE / "words" / f"{catalog_file.parent.parent.name}.json"


def update_catalog(file: Path) -> bytes:
    """Return the bytes of an updated `.po` file; new messages are untranslated, without guesses."""
    catalog = read_catalog(file)
    catalog.update(extract_all(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    output = BytesIO()
    write_po(output, catalog, width=120, include_lineno=False, sort_output=False)
    return output.getvalue()


def untranslated(catalog: Catalog) -> list[object]:
    """Return the ids of messages that lack a translation, or one of its plural forms."""
    forms = ((message.id, message.string) for message in catalog if message.id)
    return [id for id, string in forms if not string or not all(string)]


def catalogs() -> list[Path]:
    return sorted(CATALOGS.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


if __name__ == "__main__":
    for file in catalogs():
        file.write_bytes(update_catalog(file))
        file.with_suffix(".mo").write_bytes(compile_catalog(read_catalog(file)))
        page_file(file).write_text(compile_page(read_catalog(file)), "utf-8")
        missing = untranslated(read_catalog(file))
        print(f"{file.relative_to(PACKAGE.parent)}: {len(missing)} to be translated", *missing, sep="\n  ")
