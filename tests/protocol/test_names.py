"""Which names are names, and which are the same: NFKC, case-folding, scripts that imitate each other.
Section 2, "Names and privacy", of the protocol."""

import pytest

from tests.support.course_clients import Address
from tests.support.native_clients import Connector

GOOD = {
    "one letter": "x",
    "32 characters": "x" * 32,
    "32 characters of three bytes": "龍" * 32,
    "every sign": "a_b-c.d9",
    "digits": "42",
    "Cyrillic": "Жанна",
    "Greek": "Ελένη",
    "Japanese of three scripts": "小林さんカ",
    "Japanese and Latin": "tokyo東京",
    "Korean and Latin": "서울seoul",
    "Devanagari with marks": "हिन्दी",
    "Arabic": "سلام",
    "Hebrew": "שלום",
    "Thai with marks": "สวัสดี",
    "a combining mark": "noe\u0308l",
    "accents": "Łukasz",
}
BAD = {
    "nothing": "",
    "33 characters": "x" * 33,
    "a blank": "two words",
    "a blank around": " hank",
    "a no-break space": "ha\u00a0nk",
    "a newline": "hank\n",
    "U+0000": "ha\u0000nk",
    "an escape": "\x1b[31mhank",
    "a bidi override": "ha\u202enk",
    "a zero-width joiner": "ha\u200dnk",
    "a zero-width space": "ha\u200bnk",
    "a soft hyphen": "ha\u00adnk",
    "a room": "#dev",
    "only a hash": "#",
    "a slash": "ha/nk",
    "an at": "hank@home",
    "a quote": 'ha"nk',
    "an emoji": "hank😀",
    "a private character": "ha\ue000nk",
    "reserved all": "all",
    "reserved ALL": "ALL",
    "reserved server": "server",
    "reserved in other letters": "SyStem",
    "reserved in wide letters": "\uff53\uff45\uff52\uff56\uff45\uff52",
    "Cyrillic a in Latin": "h\u0430nk",
    "Greek omicron in Latin": "b\u03bfbby",
    "Latin in Cyrillic": "Жaнна",
    "Cyrillic and Greek": "Жλ",
    "Cyrillic and Japanese": "小林Ж",
    "Latin and Devanagari": "hindiहिन्दी",
    "Korean and Japanese": "서울さん",
}
SAME = {
    "case": ("hank", "HANK"),
    "Cyrillic case": ("Жанна", "жАННА"),
    "sharp s": ("straße", "STRASSE"),
    "final sigma": ("σοφος", "σοφοσ"),
    "wide letters": ("hank", "\uff48\uff41\uff4e\uff4b"),
    "composed and decomposed": ("no\u00ebl", "noe\u0308l"),
    "a ligature": ("\ufb01nn", "finn"),
}


@pytest.mark.parametrize("name", GOOD.values(), ids=GOOD.keys())
def test_a_good_name_logs_in_and_is_spoken_to(name: str, server: Address, connector: Connector) -> None:
    owner, dale = connector.open_native(server, name), connector.open_native(server, "dale")
    assert dale.send_message(name, "hello")["response"] == 202
    frame = owner.next_event("msg")
    assert frame["message"] == "hello"
    assert owner.send_message("dale", "yes")["response"] == 202
    assert dale.receive_message() == (frame["to"], "yes")


@pytest.mark.parametrize("name", BAD.values(), ids=BAD.keys())
def test_a_bad_name_is_refused_with_a_sentence(name: str, server: Address, connector: Connector) -> None:
    hank = connector.open_native(server)
    answer = hank.try_log_in(name)
    assert answer["response"] == 400 and answer["error"] and answer["code"], answer
    hank.log_in("hank")


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME.keys())
def test_names_that_look_the_same_are_the_same(first: str, second: str, server: Address, connector: Connector) -> None:
    connector.open_native(server, first)
    dale = connector.open_native(server)
    assert dale.try_log_in(second)["code"] == "name_in_use"
    dale.log_in("dale")
    assert dale.send_message(second, "found")["response"] == 202


def test_frames_show_a_name_as_it_was_registered(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "HaNk"), connector.open_native(server, "DaLe")
    assert hank.send_message("dAlE", "hello")["response"] == 202
    frame = dale.next_event("msg")
    assert (frame["from"], frame["to"]) == ("HaNk", "DaLe")


def test_a_name_is_shown_in_nfkc(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "\uff28ank"), connector.open_native(server, "dale")
    assert hank.send_message("dale", "hello")["response"] == 202
    assert dale.receive_message() == ("Hank", "hello")
