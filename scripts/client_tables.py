"""Write the tables of docs/client.md anew, from the library's docstrings: `python -m scripts.client_tables`."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from math import isinf
from pathlib import Path
from typing import Any, Final, get_args

from gmessenger.client import ChatEvent, Client, Timeouts, config

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "client.md"


def events() -> Iterator[str]:
    yield "| event | what it tells |\n|---|---|\n"
    for event in get_args(ChatEvent):
        fields = ", ".join(field.name for field in dataclasses.fields(event))
        yield f"| `{event.__name__}({fields})` | {flat(event.__doc__)} |\n"


def calls() -> Iterator[str]:
    yield "| call | what it does |\n|---|---|\n"
    for owner in Client.__mro__:
        for name, member in vars(owner).items():
            if not name.startswith("_") and member.__doc__:
                yield f"| `{name}{asked(member)}` | {flat(member.__doc__)} |\n"


def asked(member: Any) -> str:
    """What a method wants to know, without types; nothing of a property."""
    if isinstance(member, property):
        return ""
    found = list(inspect.signature(member).parameters.values())[1:]
    named = (each.name + ("" if each.default is each.empty else f"={each.default!r}") for each in found)
    return f"({', '.join(named)})"


def patient() -> Iterator[str]:
    yield "| | seconds | how long it waits for |\n|---|---|---|\n"
    (body,) = (
        node.body
        for node in ast.parse(inspect.getsource(config)).body
        if isinstance(node, ast.ClassDef) and node.name == Timeouts.__name__
    )
    said = {
        node.target.id: after.value.value
        for node, after in zip(body, [*body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }
    for field in dataclasses.fields(Timeouts):
        seconds: Any = field.default
        shown = "for ever" if isinf(seconds) else f"{seconds:g}"
        yield f"| `{field.name}` | {shown} | {flat(str(said.get(field.name, '')))} |\n"


def flat(text: str | None) -> str:
    return " ".join((text or "").split())


def with_tables(text: str) -> str:
    """The document with its tables as they should be, each under a heading of its own."""
    for heading, rows in (("Events", events()), ("Calls", calls()), ("Timeouts", patient())):
        table = "".join(rows)
        found = re.search(rf"^## {heading}\n(?:[^|#\n].*\n|\n)*((?:\|.*\n)+)", text, re.MULTILINE)
        if found is None:
            raise ValueError(f"{DOCUMENT} has no table under {heading!r}")
        text = text[: found.start(1)] + table + text[found.end(1) :]
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")
