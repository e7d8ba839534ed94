"""A password changed on one node, and the sessions of the account on the others."""

from __future__ import annotations

import gevent

from tests.cluster.conftest import Cluster, wait_until
from tests.protocol.test_concurrency import Gate
from tests.support.accounts import PASSWORD, UserClient
from tests.support.timeouts import TEST_TIMEOUT

NEW = "a brand new password"


def test_a_new_password_ends_sessions_and_tokens_on_every_node(cluster: Cluster) -> None:
    laptop = cluster.register(cluster.first, "hank")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    assert laptop.request("password", old=PASSWORD, new=NEW)["response"] == 200
    assert [frame["code"] for frame in phone.receive_until_closed() if "response" in frame] == ["password_needed"]
    for node in (cluster.first, cluster.second):
        answer = cluster.connect(node).try_log_in("hank", device="phone", session=phone.session)
        assert answer["code"] == "password_needed"
    assert laptop.request("probe")["response"] == 200
    assert cluster.connect(cluster.second).try_log_in("hank", session=laptop.session)["response"] == 200


def test_who_logs_in_with_the_new_password_stays_also_where_the_change_is_not_known_yet(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    cluster.second.app.node._follower.sync()  # it knows the account
    gate = Gate(cluster.second.app.node._follower, "_apply_change")
    assert hank.request("password", old=PASSWORD, new=NEW)["response"] == 200
    phone = cluster.log_in(cluster.second, "hank", "phone", password=NEW)
    gate.wait_until_reached()
    gate.open()
    cluster.second.app.node._follower.sync()
    assert phone.request("probe")["response"] == 200


def test_a_login_under_way_on_another_node_is_refused_after_a_new_password(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    gate = Gate(cluster.second.app.store, "begin_session", after=True)
    login = gevent.spawn(cluster.connect(cluster.second).try_log_in, "hank", password=PASSWORD, device="late")
    gate.wait_until_reached()
    assert hank.request("password", old=PASSWORD, new=NEW)["response"] == 200
    cluster.second.app.node._follower.sync()
    gate.open()
    assert login.get(timeout=TEST_TIMEOUT)["code"] == "password_needed"


def test_a_client_that_connects_to_another_node_while_it_changes_the_password_goes_on(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    gate = Gate(cluster.first.app.store, "change_password")
    hank.send({"action": "password", "id": "p", "old": PASSWORD, "new": NEW})
    gate.wait_until_reached()
    again = cluster.connect(cluster.second).start_session("hank", session=hank.session)
    gate.open()
    wait_until(lambda: cluster.first.app.messenger.authenticator.accounts["hank"].generation == 1)
    cluster.log_in(cluster.first, "hank", "phone", password=NEW)
    cluster.second.app.node._follower.sync()
    assert again.request("password", old=PASSWORD, new=NEW)["response"] == 200
    assert again.request("users")["response"] == 200


def test_what_a_node_changes_while_it_ends_outdated_sessions_stays(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    phone, node = cluster.log_in(cluster.second, "hank", "phone"), cluster.second.app
    gate = Gate(node.store, "find_token")
    assert hank.request("password", old=PASSWORD, new=NEW)["response"] == 200
    gate.wait_until_reached()
    account = node.messenger.authenticator.accounts["hank"]
    account.disabled = True  # as it is before the store has it
    gate.open()
    assert phone.receive_until_closed()[-1]["code"] == "password_needed"
    node.node._follower.sync()
    assert account.generation == 1 and account.disabled


def test_a_device_is_dropped_whichever_node_it_is_on(cluster: Cluster) -> None:
    laptop = cluster.register(cluster.first, "hank")
    phone, tablet = (
        cluster.log_in(node, "hank", device) for node, device in ((cluster.second, "phone"), (cluster.first, "tablet"))
    )
    wait_until(lambda: laptop.request("devices")["devices"] and all_here(laptop, 3))
    assert laptop.request("drop", device="phone")["response"] == 200
    assert [frame["code"] for frame in phone.receive_until_closed() if "response" in frame] == ["password_needed"]
    answer = cluster.connect(cluster.second).try_log_in("hank", device="phone", session=phone.session)
    assert answer["code"] == "password_needed"
    again = cluster.log_in(cluster.second, "hank", "phone")
    assert again.request("drop", all=True)["response"] == 200
    for client in (laptop, tablet):
        assert [frame["code"] for frame in client.receive_until_closed() if "response" in frame] == ["password_needed"]
    cluster.first.app.node._follower.sync()
    assert again.request("probe")["response"] == 200


def all_here(client: UserClient, count: int) -> bool:
    return [device["here"] for device in client.request("devices")["devices"]] == [True] * count


def test_a_login_under_way_on_another_node_is_refused_once_its_device_is_dropped(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    gate = Gate(cluster.second.app.store, "begin_session", after=True)
    login = gevent.spawn(cluster.connect(cluster.second).try_log_in, "hank", password=PASSWORD, device="late")
    gate.wait_until_reached()
    assert hank.request("drop", device="late")["response"] == 200
    cluster.second.app.node._follower.sync()
    gate.open()
    assert login.get(timeout=TEST_TIMEOUT)["code"] == "password_needed"
