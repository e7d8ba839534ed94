"""Names of modules and classes are made of the glossary's words and a few ordinary ones; each class name is unique."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import ROOT

PACKAGE: Final = ROOT / "gmessenger"
GLOSSARY: Final = ROOT / "docs" / "glossary.md"
DOCUMENTS: Final = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {GLOSSARY, ROOT / "CHANGELOG.md"})
ENTRY: Final = re.compile(r"- \*\*(?P<term>[^*]+)\*\*: (?P<definition>\S.*)")
WORD: Final = re.compile(r"i18n|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
GERUND_MODULES: Final = {"framing", "passing_rooms", "pruning", "sending"}
"""Established terms; other modules are named by a noun."""
OTHER_SYSTEMS: Final = "http i18n json postgres redis sqlite stderr stdin stdio systemd tcp tls tty url"
"""Names of protocols, formats and programs that this project uses."""
ORDINARY: Final = """
    already bad busy by common daily elsewhere exceed first forbidden found full gone held in insecure internal
    invalid last late left lenient local long many new newest no not of only own plain short such taken too unavailable
    unknown up unreachable use wrong yours

    argument base bound buffer capacity check collect complete connected constant context copy count data database date
    delete detail detect disable disconnected done dump end error escape evictable exchange exec extra failure field
    flow format forward host info input interface interval io keep list loop main malformed manage monitor net
    notify null object open outgoing output pair parse past patch path phase print process processor query race rebuild
    receive recent refuse reject remove render reopen replace report require resolve retry reuse row run scroll
    section sent set setting shown spec start startup stat state storable stream style task thread time type
    update version watch work
    """
"""Ordinary words of English and of programming in names: they mean here what they mean everywhere."""


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def words(name: str) -> list[str]:
    """Split a name in CamelCase or snake_case, or text, into lower-case words."""
    return [word.lower() for word in WORD.findall(name)]


ENDINGS: Final = ("s", "es", "ed", "ing", "er", "or")


def base_forms(word: str) -> set[str]:
    """Return a word, and it without an ending or `un` (rooms: room, banned: ban, tracer: trace, unmute: mute)."""
    forms = {word}
    for ending in ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1:
            forms |= {stem, re.sub(r"i$", "y", stem)}
            if ending != "s":
                forms |= {f"{stem}e", re.sub(r"([a-z])\1$", r"\1", stem)}
    return forms | {form.removeprefix("un") for form in forms}


def entries() -> dict[str, str]:
    """Return the glossary's terms and definitions."""
    lines = [line for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("- ")]
    found = [ENTRY.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return {match["term"]: match["definition"] for match in found if match is not None}


def spellings(term: str) -> list[str]:
    """Return the spellings of a term: `rate limit (ratelimit)` has two, and so has `online, offline`."""
    return [part.strip() for part in re.split(r"[(),]", term) if part.strip()]


def named_things() -> Iterator[tuple[str, str]]:
    """Yield the name of every module, package and class, with its place. `__init__` and `__main__` are Python's."""
    for file in sources():
        place = str(file.relative_to(ROOT))
        names = file.relative_to(PACKAGE).with_suffix("").parts
        yield from ((name, place) for name in names if not name.startswith("__"))
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name, f"{place}:{node.lineno}"


def identifiers() -> Iterator[str]:
    """Yield every name that the package defines or uses."""
    for file in sources():
        yield from file.relative_to(PACKAGE).with_suffix("").parts
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            for field in ("name", "attr", "id", "arg"):
                if isinstance(name := getattr(node, field, None), str):
                    yield name


def normalized(text: str) -> str:
    """Return the words of a text in lower case and without a plural's s, with a space around each."""
    return f" {' '.join(word.removesuffix('s') for word in words(text))} "


def test_each_entry_is_one_line_in_alphabetical_order() -> None:
    terms = list(entries())
    assert terms == sorted(terms, key=lambda term: term.split(" (")[0].casefold())
    assert len(terms) == len({term.casefold() for term in terms})


def test_names_of_modules_and_classes_are_made_of_known_words() -> None:
    known = {form for term in entries() for word in words(term) for form in base_forms(word)}
    known |= {*words(ORDINARY), *words(OTHER_SYSTEMS)}
    unknown = defaultdict(set)
    for name, place in named_things():
        for word in words(name):
            if not base_forms(word) & known:
                unknown[word].add(f"{name} ({place})")
    assert not unknown, (
        "Take a word of docs/glossary.md, or define a new one there (a word of the domain) or in ORDINARY "
        f"(an ordinary word): {dict(unknown)}"
    )


def test_each_ordinary_word_is_needed_and_no_word_of_the_domain() -> None:
    listed = {*words(ORDINARY), *words(OTHER_SYSTEMS)}
    used = {form for name, _ in named_things() for word in words(name) for form in base_forms(word)}
    assert listed <= used, f"No name needs these any more, take them out of ORDINARY: {sorted(listed - used)}"
    terms = {spelling.lower() for term in entries() for spelling in spellings(term)}
    assert not listed & terms, f"In the glossary and in ORDINARY: {sorted(listed & terms)}"


def test_each_entry_is_used_by_a_name_or_a_document() -> None:
    text = " ".join(file.read_text("utf-8") for file in DOCUMENTS)
    used = normalized(text) + "|".join(normalized(name) for name in set(identifiers()))
    unused = [term for term in entries() if not any(normalized(spelling) in used for spelling in spellings(term))]
    assert not unused, "Neither a name nor a document has these words; take them out of the glossary."


def test_each_class_name_has_one_meaning() -> None:
    """The two stores are twins: a class of one may have the name of the class in the other's module of that name."""
    modules = defaultdict(set)
    for file in sources():
        module = re.sub("^store/(sqlite|postgres)/", "store/*/", str(file.relative_to(PACKAGE)))
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                modules[node.name].add(module)
    homonyms = {name: sorted(found) for name, found in modules.items() if len(found) > 1}
    assert not homonyms


def test_each_class_name_of_the_benchmarks_has_one_meaning() -> None:
    files = sorted((ROOT / "benchmarks").glob("*.py"))
    names = [
        node.name
        for file in files
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_modules_are_named_by_nouns() -> None:
    gerunds = {file.stem for file in sources() if re.search(r"[a-z]{3}ing(_|$)", file.stem)}
    assert gerunds == GERUND_MODULES


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("TUIApp", ["tui", "app"]),
        ("text_wrap", ["text", "wrap"]),
        ("IPv6Net", ["i", "pv", "6", "net"]),
        ("i18n", ["i18n"]),
    ],
)
def test_words_of_a_name(name: str, parts: list[str]) -> None:
    assert words(name) == parts
