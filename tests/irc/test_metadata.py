"""METADATA: profiles of users and rooms, as clients of IRC read, change and follow them."""

from __future__ import annotations

import time

import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.profiles import MAX_PROFILE_KEYS
from gmessenger.wire.irc.capabilities import MAX_SUBSCRIPTIONS
from gmessenger.wire.irc.lines import Line
from tests.conftest import FAST
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find

CAP = "draft/metadata-3"
PASSWORD = "correct-horse"


def batch(lines: list[Line], target: str, kind: str = "metadata") -> list[tuple[str, ...]]:
    """Return numerics and their parameters behind the nick, of lines that are one batch about a target."""
    first, *inner, last = lines
    reference = first.params[0].removeprefix("+")
    assert (first.command, first.params[1:]) == ("BATCH", [kind, *([target] if target else [])])
    assert (last.command, last.params) == ("BATCH", [f"-{reference}"])
    assert all(line.tags["batch"] == reference for line in inner)
    return [values(line) for line in inner]


def values(line: Line) -> tuple[str, ...]:
    """Return a numeric with its parameters, without the nick and the sentence at the end."""
    return (line.command, *line.params[1 : -1 if line.command == "766" else None])


def failed(lines: list[Line]) -> list[str]:
    """Return the code and the context of the only standard reply."""
    (line,) = lines
    assert line.command == "FAIL" and line.params[0] == "METADATA"
    return line.params[1:-1]


def subscribe(client: IrcClient, *keys: str) -> None:
    assert next(values(line) for line in client.ask(f"METADATA * SUB {' '.join(keys)}")) == ("770", *keys)


@pytest.fixture
def hank(irc: IrcServer) -> IrcClient:
    return irc.log_in("hank", CAP)


@pytest.fixture
def dale(irc: IrcServer) -> IrcClient:
    return irc.log_in("dale", CAP)


def test_what_is_offered_has_its_limits(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("CAP LS 302")
    offered = client.expect("CAP").params[-1].split()
    (entry,) = [each for each in offered if each.startswith(CAP)]
    assert entry == f"{CAP}=before-connect,max-subs=50,max-keys=24,max-value-bytes=300"


def test_a_user_sets_reads_and_removes_keys(hank: IrcClient) -> None:
    assert batch(hank.ask("METADATA * LIST"), "hank") == []
    assert values(*hank.ask("METADATA * SET city :Arlen, Texas")) == ("761", "hank", "city", "*", "Arlen, Texas")
    assert values(*hank.ask("METADATA HANK set pronouns he/him")) == ("761", "hank", "pronouns", "*", "he/him")
    assert batch(hank.ask("METADATA hank GET pronouns url Bad"), "hank") == [
        ("761", "hank", "pronouns", "*", "he/him"),
        ("766", "hank", "url"),
        ("FAIL", "INVALID_KEY", "Bad", "A key has small letters, digits and _./- only"),
    ]
    assert [line[2] for line in batch(hank.ask("METADATA * LIST"), "hank")] == ["city", "pronouns"]
    assert values(*hank.ask("METADATA * SET pronouns")) == ("766", "hank", "pronouns")
    assert values(*hank.ask("METADATA * SET city :")) == ("766", "hank", "city")
    assert values(*hank.ask("METADATA * SET city")) == ("766", "hank", "city")
    assert batch(hank.ask("METADATA * LIST"), "hank") == []


def test_clear_removes_all(hank: IrcClient) -> None:
    hank.ask("METADATA * SET a 1", "METADATA * SET b 2")
    assert batch(hank.ask("METADATA * CLEAR"), "hank") == [("766", "hank", "a"), ("766", "hank", "b")]
    assert batch(hank.ask("METADATA * CLEAR"), "hank") == []


def test_what_is_wrong_is_refused(hank: IrcClient) -> None:
    assert failed(hank.ask("METADATA * SET A x")) == ["INVALID_KEY", "A"]
    assert failed(hank.ask(f"METADATA * SET {'k' * 51} x")) == ["INVALID_KEY", "k" * 51]
    assert failed(hank.ask(f"METADATA * SET a :{'ж' * 151}")) == ["INVALID_VALUE", "a"]
    assert failed(hank.ask("METADATA * SET a :\x02bold")) == ["INVALID_VALUE", "a"]
    assert failed(hank.ask("METADATA * FROB")) == ["INVALID_PARAMS", "FROB"]
    for target in ("nobody-here", "#nowhere", "$x"):
        assert failed(hank.ask(f"METADATA {target} LIST")) == ["INVALID_TARGET", target]
        assert failed(hank.ask(f"METADATA {target} SET a 1")) == ["INVALID_TARGET", target]
    assert commands(hank.ask("METADATA", "METADATA *", "METADATA * SET", "METADATA * GET")) == ["461"] * 4
    for number in range(MAX_PROFILE_KEYS):
        hank.ask(f"METADATA * SET k{number} x")
    assert failed(hank.ask("METADATA * SET more x")) == ["LIMIT_REACHED", "*", str(MAX_PROFILE_KEYS)]


def test_others_read_and_only_operators_change(irc: IrcServer, hank: IrcClient, dale: IrcClient) -> None:
    hank.ask("METADATA * SET city Arlen")
    assert batch(dale.ask("METADATA hank GET city"), "hank") == [("761", "hank", "city", "*", "Arlen")]
    assert failed(dale.ask("METADATA hank SET city x")) == ["KEY_NO_PERMISSION", "hank", "city"]
    assert failed(dale.ask("METADATA hank CLEAR")) == ["KEY_NO_PERMISSION", "hank", "*"]
    assert values(find(dale.ask("WHOIS hank"), "760")) == ("760", "hank", "city", "*", "Arlen")
    assert "760" not in commands(irc.log_in("bill").ask("WHOIS hank"))
    irc.register("boss", PASSWORD)
    AdminService(irc.app.messenger, irc.app.store, FAST, time.time).grant("boss")
    dale.ask(f"OPER boss {PASSWORD}")
    assert values(*dale.ask("METADATA hank SET city Paris")) == ("761", "hank", "city", "*", "Paris")
    assert batch(dale.ask("METADATA hank CLEAR"), "hank") == [("766", "hank", "city")]


def test_the_profile_of_a_room(irc: IrcServer, hank: IrcClient, dale: IrcClient) -> None:
    irc.join("#alley", hank, dale)
    assert values(*hank.ask("METADATA #Alley SET url :x y")) == ("761", "#alley", "url", "*", "x y")
    assert failed(dale.ask("METADATA #alley SET url z")) == ["KEY_NO_PERMISSION", "#alley", "url"]
    assert batch(dale.ask("METADATA #alley LIST"), "#alley") == [("761", "#alley", "url", "*", "x y")]
    bill = irc.log_in("bill", CAP)
    subscribe(bill, "url", "city")
    hank.ask("METADATA * SET city Arlen")
    assert batch(bill.ask("METADATA #alley SYNC"), "#alley") == [("761", "#alley", "url", "*", "x y")]
    for mode, refusal in (("+i", ["KEY_NO_PERMISSION", "#alley", "*"]), ("+s", ["INVALID_TARGET", "#alley"])):
        hank.ask(f"MODE #alley {mode}")
        for subcommand in ("LIST", "GET url", "SYNC"):
            assert failed(bill.ask(f"METADATA #alley {subcommand}")) == refusal
    dale.sync()
    assert batch(dale.ask("METADATA #alley LIST"), "#alley") != []
    assert batch(hank.ask("METADATA #alley CLEAR"), "#alley") == [("766", "#alley", "url")]


def test_who_has_subscribed_is_told_of_changes(irc: IrcServer, hank: IrcClient, dale: IrcClient) -> None:
    other = irc.log_in("bill", CAP)
    irc.join("#alley", hank, dale, other)
    subscribe(dale, "city", "url")
    hank.ask("METADATA * SET city Arlen", "METADATA * SET age 40", "METADATA #alley SET url x", "METADATA * SET city")
    assert [values(line) for line in dale.sync()] == [
        ("761", "hank", "city", "*", "Arlen"),
        ("761", "#alley", "url", "*", "x"),
        ("766", "hank", "city"),
    ]
    hank.ask("METADATA #alley CLEAR")
    assert [values(line) for line in dale.sync()] == [("766", "#alley", "url")]
    assert values(*dale.ask("METADATA * UNSUB city city")) == ("771", "city")
    hank.ask("METADATA * SET city Arlen")
    dale.ask("METADATA * UNSUB url")
    hank.ask("METADATA #alley SET url x")
    assert dale.sync() == other.sync() == []


def test_who_joins_is_shown_what_it_has_subscribed_to_and_so_are_the_others(
    irc: IrcServer, hank: IrcClient, dale: IrcClient
) -> None:
    irc.join("#alley", hank)
    hank.ask("METADATA * SET city Arlen", "METADATA #alley SET url x", "METADATA * SET age 40")
    dale.ask("METADATA * SET city Paris")
    for client in (hank, dale):
        subscribe(client, "city", "url")
    assert hank.sync() == dale.sync() == []
    lines = dale.ask("JOIN #alley")
    shown = [
        ("761", "#alley", "url", "*", "x"),
        ("761", "hank", "city", "*", "Arlen"),
        ("761", "dale", "city", "*", "Paris"),
    ]
    assert batch(lines[commands(lines).index("BATCH") :], "#alley") == shown
    assert [values(line) for line in hank.sync() if line.command == "761"] == [("761", "dale", "city", "*", "Paris")]
    assert batch(dale.ask("METADATA #alley SYNC"), "#alley") == shown
    assert batch(dale.ask("METADATA hank SYNC"), "hank") == [("761", "hank", "city", "*", "Arlen")]
    assert sorted(batch(dale.ask("METADATA *all SYNC"), "*ALL")) == sorted(shown)
    bill = irc.log_in("bill", CAP)
    assert batch(bill.ask("METADATA *ALL SYNC"), "*ALL") == []


def test_monitored_users_are_told_of_as_well(irc: IrcServer, hank: IrcClient, dale: IrcClient) -> None:
    subscribe(dale, "city")
    dale.ask("MONITOR + hank")
    hank.ask("METADATA * SET city Arlen")
    assert [values(line) for line in dale.sync()] == [("761", "hank", "city", "*", "Arlen")]
    assert batch(dale.ask("METADATA *ALL SYNC"), "*ALL") == [("761", "hank", "city", "*", "Arlen")]
    dale.ask("MONITOR C")
    hank.ask("METADATA * SET city Paris")
    assert dale.sync() == []


def test_subscriptions_are_listed_and_bounded(hank: IrcClient) -> None:
    assert batch(hank.ask("METADATA * SUBS"), "", "metadata-subs") == []
    assert [values(line)[:2] for line in hank.ask("METADATA * SUB b a b")] == [("770", "b"), ("774", "*ALL")]
    assert batch(hank.ask("METADATA * SUBS"), "", "metadata-subs") == [("772", "b", "a")]
    for number in range(MAX_SUBSCRIPTIONS - 2):
        hank.ask(f"METADATA * SUB k{number}")
    assert failed(hank.ask("METADATA * SUB more")) == ["LIMIT_REACHED", "more", "50"]
    answer = hank.ask("METADATA * SUB a Bad more b")
    assert commands(answer) == ["FAIL", "FAIL", "770", "774"] and values(answer[2]) == ("770", "a")
    listed = [key for line in batch(hank.ask("METADATA * SUBS"), "", "metadata-subs") for key in line[1:]]
    assert listed == ["b", "a", *(f"k{number}" for number in range(MAX_SUBSCRIPTIONS - 2))]
    assert failed(hank.ask("METADATA * UNSUB Bad")) == ["INVALID_KEY", "Bad"]


def test_before_the_welcome_a_client_says_what_its_profile_is_to_be(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("METADATA * SET city Arlen")
    assert client.receive().command == "451"
    client.send(
        "CAP LS 302", f"CAP REQ :{CAP}", "METADATA * SET city Arlen", "METADATA * SET age 40", "METADATA * SET age"
    )
    client.expect("761")
    client.expect("761")
    assert values(client.receive()) == ("766", "*", "age")
    client.send("METADATA * LIST")
    assert client.receive().command == "BATCH"
    assert client.receive().params == ["*", "*", "city", "*", "Arlen"]
    client.send("METADATA #x LIST", "METADATA * SUB city", "METADATA *ALL SYNC")
    assert client.expect("FAIL").params[:3] == ["METADATA", "INVALID_TARGET", "#x"]
    assert client.receive().command == "770" and client.receive().command == "774"
    client.send("NICK hank", "USER hank 0 * :Hank", "CAP END")
    client.expect("BATCH")
    assert client.receive().params == ["hank", "hank", "city", "*", "Arlen"]
    client.sync()
    assert batch(client.ask("METADATA * GET city"), "hank") == [("761", "hank", "city", "*", "Arlen")]


def test_an_account_has_one_profile_by_both_doors(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    by_irc = irc.log_in("hank", CAP, password=PASSWORD)
    natively = irc.log_in_natively("hank", PASSWORD)
    assert natively.request("presence", jim=2, user={"account_name": "hank"}, profiles=True)["response"] == 200
    by_irc.ask("METADATA * SET city Arlen")
    assert natively.next_event("profile")["set"] == {"city": "Arlen"}
    subscribe(by_irc, "city")
    assert natively.request("profile", set={"city": "Paris"})["profile"] == {"city": "Paris"}
    assert [values(line) for line in by_irc.sync()] == [("761", "hank", "city", "*", "Paris")]
    again = irc.connect()
    again.send("CAP LS 302", f"CAP REQ :{CAP}", "NICK dale", "USER dale 0 * :Dale", "CAP END")
    again.expect("001")
    again.sync()
    lines = again.ask(f"NICKSERV IDENTIFY hank {PASSWORD}")
    start = commands(lines).index("BATCH")
    assert values(lines[start + 1]) == ("761", "hank", "city", "*", "Paris")


def test_who_has_blocked_a_client_shows_it_nothing(irc: IrcServer, hank: IrcClient, dale: IrcClient) -> None:
    irc.join("#alley", hank, dale)
    subscribe(dale, "city")
    hank.ask("SILENCE +dale", "METADATA * SET city Arlen")
    assert dale.sync() == []
    assert batch(dale.ask("METADATA hank LIST"), "hank") == []
    assert batch(dale.ask("METADATA #alley SYNC"), "#alley") == []


def test_a_long_value_is_whole_behind_long_names(irc: IrcServer) -> None:
    client = irc.log_in("林" * 30, CAP)
    value = "x" * 300
    line = find(client.ask(f"METADATA * SET {'k' * 50} {value}"), "761")
    assert line.params[1:] == ["林" * 30, "k" * 50, "*", value]
