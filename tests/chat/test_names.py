"""Which names are allowed, and which are the same."""

from __future__ import annotations

import re

import pytest

import gmessenger.client
from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.constants import SERVER_OWNER
from gmessenger.errors import BadName, NameConfusable
from gmessenger.identifiers import ASCII_CONFUSABLES, TABLE, identifier_table, skeleton
from gmessenger.names import MAX_NAME, check_name, check_room_name, fold, normalize_name
from tests.chat.first_names import FIRST_NAMES
from tests.conftest import FAST
from tests.support.messenger import InMemoryChat

GOOD = [
    "hank",
    "h",
    "x" * 32,
    "test-1",
    "a_b.c",
    "42",
    "Борис",
    "小林さん",
    "ユーザー",
    "हिन्दी",
    "Ἀλέξανδρος",
    "محمد",
    "דוד",
    "김철수",
    "Zoë",
    "o\u0308zil",
    "user小林",
    "ยุพา",
]
BAD = [
    "",
    "x" * 33,
    "two words",
    "tab\t",
    "nul\0",
    "new\nline",
    "#room",
    "a@b",
    "a/b",
    "🎉",
    "all",
    "ALL",
    "Server",
    "system",
    "hаnk",  # with a Cyrillic а
    "раypal",
    "Ηank",  # with a Greek Eta
    "\u0301hank",
    "a\u0301\u0301\u0301\u0301\u0301\u0301",
    "a\u202eb",
    "a\u200bb",
    "1٢",  # digits of two scripts
    "___",
    "...",
    "\ufdfa\ufdfa",  # one character each, eighteen when normalised
    # Not in general use (UTS 39), or not to be seen.
    "h\u0251nk",
    "ʜᴀɴᴋ",
    "ꓧꓮꓠꓗ",
    "ᎪᏞᏆᏟᎬ",
    "a\u01c0\u01c0",
    "ha\u0336nk",
    "alı\u0307ce",
    "ali\u0307ce",
    "al\u0307ice",
    "a\u0301\u0301bc",
    # Reserved words to the eye.
    "a11",
    "AlI",
    "аӏӏ",
    "АӀӀ",
    "GLOBAL",
    "gIobal",
    "NickServ",
    "nіckserv",
    "ChanServ",
]


@pytest.mark.parametrize("name", GOOD)
def test_good_names_are_taken_as_they_are(name: str) -> None:
    assert fold(check_name(name)) == fold(name)


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_bad_names_are_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(BadName, match=r"\.$"):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hank", "hank"),
        ("БОРИС", "борис"),
        ("ｈａｎｋ", "hank"),
        ("Straße", "STRASSE"),
        ("o\u0308zil", "özil"),
        ("ΣΑΣ", "σας"),
    ],
)
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_client_and_server_fold_names_alike() -> None:
    assert gmessenger.client.fold is fold


def test_rooms_of_the_longest_spelling_fold() -> None:
    letter = "\u03b1\u0313\u0342\u0345"  # four characters for one: ᾆ
    name = letter * MAX_NAME
    assert fold(f"#{name}") == fold(f"#{check_name(name)}")


def test_text_too_long_for_a_name_is_not_normalised() -> None:
    """Normalising sorts the marks of a letter, in quadratic time: 16,000 take 0.3 s, these would take 12 s."""
    text = "a" + "\u0301\u0323" * 50_000
    assert fold(text) == text


def test_names_are_shown_as_given_but_normalised() -> None:
    assert (check_name("Hank"), check_name("ｈａｎｋ")) == ("Hank", "hank")


@pytest.mark.parametrize("language", FIRST_NAMES)
def test_what_people_are_called_is_a_name_with_digits_too(language: str) -> None:
    for name in FIRST_NAMES[language].split():
        for written in (name, name.upper()[:32], f"{name}_7", f"{name}2024"):
            assert fold(check_name(written)) == fold(written)


def test_no_two_of_them_look_alike() -> None:
    names = [check_name(name) for each in FIRST_NAMES.values() for name in each.split()]
    assert len(names) >= 200
    there = ConfusableIndex(names)
    assert {name: other for name in names if (other := there.find(name)) is not None} == {}


ALIKE = [
    ("alice", "a1ice"),
    ("alice", "aIice"),
    ("alice", "alıce"),
    ("ace", "асе"),
    ("pope", "роре"),
    ("coco", "сосо"),
    ("COCO", "сосо"),
    ("coco", "СОСО"),
    ("BOB", "ВОВ"),
    ("bob", "ВОВ"),
    ("sos", "ѕоѕ"),
    ("ooo", "οοο"),
    ("bob1", "bobl"),
    ("bob0", "bobO"),
    ("corner", "comer"),
    ("二", "ニ"),
    ("口", "ロ"),
]
UNLIKE = [
    ("alice", "Alice"),
    ("alice", "alicia"),
    ("bob1", "bob2"),
    ("bob0", "bobo"),
    ("Lan", "Ian"),
    ("boba", "Вова"),
    ("boba", "вова"),
    ("zoe", "zoë"),
    ("straße", "strasse"),
    ("user5", "users"),
]


@pytest.mark.parametrize(("taken", "name"), ALIKE)
def test_names_that_look_alike_find_each_other(taken: str, name: str) -> None:
    assert ConfusableIndex([taken]).find(name) == taken
    assert ConfusableIndex([name]).find(taken) == name
    with pytest.raises(NameConfusable, match=taken):
        ConfusableIndex([taken]).check(name)


@pytest.mark.parametrize(("taken", "name"), UNLIKE)
def test_names_that_are_told_apart_do_not(taken: str, name: str) -> None:
    assert ConfusableIndex([taken]).find(name) is None
    assert ConfusableIndex([name]).find(taken) is None


def test_what_is_taken_out_is_found_no_more() -> None:
    there = ConfusableIndex(["alice", "aIice", "bob"])
    there.discard("alice")
    assert there.find("a1ice") == "aIice"
    there.discard("aIice")
    there.discard("aIice")
    assert there.find("a1ice") is None
    there.discard("bob")
    assert there._names == {}


def test_ascii_looks_as_the_table_says() -> None:
    looks = identifier_table().prototypes
    assert dict(ASCII_CONFUSABLES) == {chr(c): look for c, look in looks.items() if c < 128}
    assert skeleton("modem-I10") == "rnodern-llO"


def test_the_table_says_what_it_was_made_from() -> None:
    first, *_ = (TABLE.read_text("ascii")).splitlines()
    assert re.fullmatch(
        r"# Written by scripts/identifiers.py from ICU \d+\.\d+, Unicode \d+\.\d+\. Do not edit\.", first
    )


@pytest.mark.parametrize("kept", ["ʜᴀɴᴋ", "ꓧꓮꓠꓗ", "ᎪᏞᏆᏟᎬ", "h\u0251nk", "a11"])
def test_what_was_allowed_once_is_still_a_name_of_somebody(kept: str) -> None:
    assert normalize_name(kept) == kept


def test_names_of_services_are_kept_from_new_users_and_not_from_rooms_or_whoever_has_one() -> None:
    assert check_room_name("#Global") == "#Global"
    assert normalize_name("NickServ") == "NickServ"
    for name in ("#all", "#AlI", "#", "##dev"):
        with pytest.raises(BadName):
            check_room_name(name)


def test_an_account_that_has_the_name_of_a_service_goes_on_with_it_and_a_guest_gets_none() -> None:
    chat = InMemoryChat()
    with pytest.raises(BadName):
        chat.login("NickServ")
    account = chat.store.create_account("nickserv", "NickServ", FAST.hash("a password"), 1.0)
    chat.messenger.authenticator.add_account(account)
    nickserv = chat.login("nickserv", password="a password")
    dale = chat.login("dale")
    chat.messenger.message_service.send(dale, "NickServ", "hi")
    chat.messenger.blocks.block(dale, "NickServ")
    assert nickserv.name == "NickServ"
    chat.messenger.moderation.mute(SERVER_OWNER, "NickServ")
