"""Confusable names (Unicode UTS 39): names that can be mistaken for one another, of two scripts or within one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from gmessenger.errors import NameConfusable
from gmessenger.identifiers import skeleton
from gmessenger.names import fold

NameGroup: TypeAlias = tuple[str, ...]


def are_confusable(one: str, other: str) -> bool:
    """Return whether two names look the same as shown, both in lower case, or both in upper case if one is.

    (One in lower case is not compared with the other as shown: Ian would be confusable with Lan.)
    """
    if skeleton(one) == skeleton(other) or skeleton(fold(one)) == skeleton(fold(other)):
        return True
    return (one.isupper() or other.isupper()) and skeleton(one.upper()) == skeleton(other.upper())


class ConfusableIndex:
    """A set of names, in which those that are confusable with a name are found with a few lookups."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        # By the hash of a skeleton: matches are compared anyway, and there may be a hundred thousand accounts.
        self._names: dict[int, str | NameGroup] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Add a name as shown."""
        for form in _index_forms(name):
            group = self._names_under(form)
            if name not in group:
                self._names[form] = (*group, name) if group else name

    def discard(self, name: str) -> None:
        """Remove a name, if it is there."""
        for form in _index_forms(name):
            others = tuple(other for other in self._names_under(form) if other != name)
            if len(others) > 1:
                self._names[form] = others
            elif others:
                self._names[form] = others[0]
            else:
                self._names.pop(form, None)

    def find(self, name: str) -> str | None:
        """Return a name of the set that is confusable with `name` and is not the same, or None."""
        for form in _query_forms(name):
            for other in self._names_under(form):
                if fold(other) != fold(name) and are_confusable(name, other):
                    return other
        return None

    def check(self, name: str) -> None:
        """Raise `NameConfusable` if a name of the set is confusable with `name`."""
        if (other := self.find(name)) is not None:
            raise NameConfusable(f"The name {name} looks too much like {other}, which is taken.")

    def _names_under(self, form_hash: int) -> NameGroup:
        found = self._names.get(form_hash, ())
        return (found,) if isinstance(found, str) else found


def _index_forms(name: str) -> set[int]:
    """Return the hashes under which a name is kept."""
    folded = fold(name)
    if name.isascii():
        return {hash(skeleton(name))} if folded == name else {hash(skeleton(name)), hash(skeleton(folded))}
    return {hash(skeleton(form)) for form in (name, folded, name.upper())}


def _query_forms(name: str) -> set[int]:
    """Return the hashes under which confusable names may be kept, those in lower case included."""
    shown = skeleton(name)
    return {hash(shown), *(hash(skeleton(form)) for form in (fold(name), name.upper(), fold(shown)))}
