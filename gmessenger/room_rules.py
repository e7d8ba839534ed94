"""The rules of a room: one table, from which they are parsed, checked, stored and shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, ValidationError, convert, json
from msgspec.structs import asdict, fields

from gmessenger.errors import BadRequest

MAX_MOST: Final = 1_000_000
"""The highest number of members that the rule `most` can name."""
MAX_KEY: Final = 32
"""The most characters of the rule `key`."""
RuleValue: TypeAlias = bool | int | str


class RoomRules(Struct, frozen=True, forbid_unknown_fields=True):
    """The table: a row for each rule, with its key, type, default and sentence. The defaults are those of an open room.

    A room that is both `invited` and `hidden` is private: who is neither in it nor invited cannot tell that it exists.
    """

    invited: Annotated[bool, Meta(description="Only who is invited can join.")] = False
    hidden: Annotated[bool, Meta(description="The room is not in the list of rooms.")] = False
    moderated: Annotated[bool, Meta(description="Only speakers, moderators and owners can write.")] = False
    topic: Annotated[Literal["all", "moderators"], Meta(description="Who can set the topic.")] = "all"
    guests: Annotated[bool, Meta(description="Guests can join, too.")] = True
    history: Annotated[
        Literal["all", "joined"],
        Meta(description="Whether who joins can read everything, or only what is written from then on."),
    ] = "joined"
    most: Annotated[
        int, Meta(ge=0, le=MAX_MOST, description="The highest number of members; 0: the server's limit.")
    ] = 0
    key: Annotated[
        str,
        Meta(
            max_length=MAX_KEY,
            pattern=r"^([^\s\x00-\x1f\x7f-\x9f,:][^\s\x00-\x1f\x7f-\x9f,]*)?\Z",
            description="What who is not invited must give to join; empty: nothing.",
        ),
    ] = ""
    outside: Annotated[bool, Meta(description="Who is not in the room can write to it, too.")] = False

    @property
    def is_private(self) -> bool:
        """Whether the room does not exist for who is neither in it nor invited."""
        return self.invited and self.hidden


class RuleSpec(Struct, frozen=True):
    """A row of `ROOM_RULES`."""

    key: str
    default: RuleValue
    description: str
    choices: tuple[RuleValue, ...]
    """The values that are possible; empty for a number and for a text."""

    @property
    def is_text(self) -> bool:
        """Whether its value is any text within bounds."""
        return not self.choices and isinstance(self.default, str)


def _rule_specs() -> dict[str, RuleSpec]:
    specs = {}
    for field in fields(RoomRules):
        kind, (meta,) = field.type.__origin__, field.type.__metadata__
        choices = (True, False) if kind is bool else getattr(kind, "__args__", ())
        specs[field.name] = RuleSpec(field.name, field.default, meta.description, choices)
    return specs


ROOM_RULES: Final[Mapping[str, RuleSpec]] = _rule_specs()
"""The rows of `RoomRules` by key, in their order."""
OPEN_ROOM: Final = RoomRules()
SELDOM_TOLD: Final = frozenset({"key", "outside"})
"""Rules that few rooms have, and that clients which were written before them do not know."""


def with_changes(rules: RoomRules, changes: Mapping[str, Any]) -> RoomRules:
    """Return the rules after these are set. Raises `BadRequest` for an unknown key or value; then none is."""
    for key in changes:
        if key not in ROOM_RULES:
            raise BadRequest(f"There is no such rule; the rules are {', '.join(ROOM_RULES)}.")
    try:
        return _convert({**asdict(rules), **changes})
    except ValidationError:
        wrong = next(key for key, value in changes.items() if not _is_valid(key, value))
        raise BadRequest(f"The rule {wrong} is {_choices_text(ROOM_RULES[wrong])}.") from None


def changed_rules(before: RoomRules, after: RoomRules) -> dict[str, RuleValue]:
    """Return the rules that differ, with their values after."""
    known = asdict(before)
    return {key: value for key, value in asdict(after).items() if value != known[key]}


def shown_rules(rules: RoomRules, *, is_member: bool) -> dict[str, RuleValue]:
    """Return all rules as they are told: who is not in the room learns that there is a key by True, but not the key.

    Those of `SELDOM_TOLD` are left out where they are the default.
    """
    values: dict[str, RuleValue] = asdict(rules)
    if not is_member and rules.key:
        values["key"] = True
    return {key: value for key, value in values.items() if key not in SELDOM_TOLD or value != ROOM_RULES[key].default}


def shown_changes(rules: RoomRules) -> dict[str, RuleValue]:
    """Return the rules that differ from an open room's, as `shown_rules` has them for who is not in the room."""
    shown = shown_rules(rules, is_member=False)
    return {key: shown[key] for key in changed_rules(OPEN_ROOM, rules)}


def rules_to_json(rules: RoomRules) -> str:
    """Return what a store keeps of rules: as JSON, those that differ from an open room's; empty where none does."""
    changes = changed_rules(OPEN_ROOM, rules)
    return json.encode(changes).decode() if changes else ""


def rules_from_json(stored: str) -> RoomRules:
    """Return the rules that a store has kept. What this program does not know, of a later release, is left out."""
    if not stored:
        return OPEN_ROOM
    return with_changes(OPEN_ROOM, {key: value for key, value in json.decode(stored).items() if _is_valid(key, value)})


def parse_rules(text: str) -> RoomRules:
    """Parse rules as people write them: `invited hidden guests=no most=20`. Raises `BadRequest`."""
    return with_changes(OPEN_ROOM, dict(_parse_rule(word) for word in text.split()))


def parse_rule_value(key: str, text: str) -> RuleValue:
    """Parse the value of a rule: yes, no, a number or a word. What it is not is returned as it is, to be refused."""
    spec = ROOM_RULES.get(key)
    if spec is None or spec.is_text or (spec.choices and True not in spec.choices):
        return text
    if spec.choices:
        return {"yes": True, "no": False}.get(text.lower(), text)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_MOST)) else text


def format_rules(rules: RoomRules) -> str:
    """Return the rules that differ from an open room's, as `parse_rules` reads them."""
    return " ".join(
        key if value is True else f"{key}={format_rule_value(value)}"
        for key, value in changed_rules(OPEN_ROOM, rules).items()
    )


def format_rule_value(value: RuleValue) -> str:
    """Return the value of a rule as people write it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _parse_rule(word: str) -> tuple[str, RuleValue]:
    key, equals, value = word.partition("=")
    return key, parse_rule_value(key, value if equals else "yes")


def _is_valid(key: str, value: Any) -> bool:
    try:
        _convert({key: value})
    except ValidationError:
        return False
    return True


def _convert(values: Mapping[str, Any]) -> RoomRules:
    """Return the rules with these values. Raises `ValidationError`."""
    rules = convert(values, RoomRules)
    if not rules.key.isprintable():
        raise ValidationError
    return rules


def _choices_text(spec: RuleSpec) -> str:
    if spec.is_text:
        return f"at most {MAX_KEY} printable characters without spaces and commas"
    if not spec.choices:
        return f"a number from 0 to {MAX_MOST}"
    return " or ".join(json.encode(choice).decode() for choice in spec.choices)
