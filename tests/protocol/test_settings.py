"""Settings of an account: the same on all its devices and nodes, bounded, refused whole if a part is wrong."""

from typing import Any

import pytest

from tests.support.accounts import PASSWORD, ChatServer

DEFAULTS = {"notify": {}, "highlights": [], "joins": "shown"}
FAR = 4_000_000_000.0


def test_settings_are_told_and_changed_one_by_one_and_the_other_devices_are_sent_them(chat_server: ChatServer) -> None:
    laptop, phone = chat_server.log_in("dale", "laptop"), chat_server.log_in("dale", "phone")
    assert laptop.request("settings")["settings"] == DEFAULTS
    for change, expected in (
        ({"joins": "gathered"}, {}),
        ({"highlights": [" deploy ", "on fire", "deploy"]}, {"highlights": ["deploy", "on fire"]}),
        (
            {"notify": {"#Dev": {"level": "none", "until": FAR}, "hank": {"level": "all"}}},
            {"notify": {"#dev": {"level": "none", "until": FAR}, "hank": {"level": "all"}}},
        ),
        (
            {"notify": {"Hank": None, "#gone": {"level": "all", "until": 1.0}}},
            {"notify": {"#dev": {"level": "none", "until": FAR}}},
        ),
    ):
        answer = laptop.request("settings", set=change)
        assert answer["response"] == 200 and {**answer["settings"], **expected} == answer["settings"]
        assert phone.next_event("settings")["settings"] == answer["settings"]
    assert answer["settings"]["joins"] == "gathered" and answer["settings"]["highlights"] == ["deploy", "on fire"]
    assert phone.request("settings")["settings"] == answer["settings"]
    login = chat_server.connect().try_log_in("dale", password=PASSWORD, device="phone")
    assert login["settings"] == answer["settings"]
    assert chat_server.log_in("hank").request("settings")["settings"] == DEFAULTS


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"joins": "sometimes"}, 400, None),
        ({"volume": 11}, 400, None),
        ({"notify": {"#dev": {"level": "loud"}}}, 400, None),
        ({"notify": {"#dev": {"level": "all", "until": -1}}}, 400, None),
        ({"highlights": [""]}, 400, None),
        ({"highlights": ["two\nlines"]}, 400, None),
        ({"highlights": ["x" * 65]}, 400, None),
        ({"highlights": ["x"] * 501}, 400, None),
        ({"highlights": [str(number) for number in range(51)]}, 403, "too_many_settings"),
        (
            {"notify": {f"#a-long-name-of-a-room-{number}": {"level": "all"} for number in range(400)}},
            403,
            "too_many_settings",
        ),
    ],
)
def test_a_change_that_is_wrong_in_part_changes_nothing(
    chat_server: ChatServer, change: dict[str, Any], status: int, code: str | None
) -> None:
    dale = chat_server.log_in("dale")
    answer = dale.request("settings", set={"highlights": ["kept"], **change} if "highlights" not in change else change)
    assert answer["response"] == status and code in (None, answer["code"])
    assert dale.request("settings")["settings"] == DEFAULTS


def test_guests_have_no_settings(chat_server: ChatServer) -> None:
    guest = chat_server.log_in_guest("guest")
    for extra in ({}, {"set": {"joins": "hidden"}}):
        assert guest.request("settings", **extra)["code"] == "accounts_only"
