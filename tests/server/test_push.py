"""Web Push: whom it wakes and of what, where it is sent, and what the answers of push services do."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from hypothesis import example, given
from hypothesis import strategies as st

from gmessenger.chat.admin import AdminService
from gmessenger.config.options import ServerOptions
from gmessenger.errors import BadSubscription, ConfigError
from gmessenger.server.push import client, queue
from gmessenger.server.push.client import PushNetwork, resolve_public
from gmessenger.server.push.endpoints import is_public, parse_endpoint
from gmessenger.server.push.sender import MAX_ATTEMPTS, MAX_SENDING, retry_after
from gmessenger.server.server import Server
from gmessenger.server.settings import push_subject
from tests import ROOT
from tests.conftest import FAST, RunningServer
from tests.support.accounts import PASSWORD, UserClient
from tests.support.push import HOST, Answer, Browser, PushService
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority
from tests.wire.test_web_push import verify

StartServer = Callable[..., RunningServer]
OPTIONS = {
    "push": True,
    "push_contact": "mailto:admin@chat.example.org",
    "push_hosts": ("example.org",),
    "push_interval": 0.0,
    "push_delay": 0.0,
    "push_ack_timeout": 2.0,
    "push_retry_limit": 0.05,
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    authority = CertificateAuthority(tmp_path)
    with closing(PushService(str(authority.issue("push.pem", HOST)), authority.context)) as running:
        yield running


@dataclass
class Chat:
    """A server that sends push messages, and its clients."""

    server: RunningServer
    clients: list[UserClient] = field(default_factory=list)

    def register(self, name: str, device: str = "phone") -> UserClient:
        self.clients.append(client := UserClient(self.server).start_session(name, device=device))
        client.register()
        client.receive_until_synced()
        return client

    def log_in(self, name: str, device: str) -> UserClient:
        self.clients.append(one := UserClient(self.server).start_session(name, password=PASSWORD, device=device))
        return one

    def guest(self) -> UserClient:
        self.clients.append(one := UserClient(self.server))
        return one

    def vapid(self) -> str:
        """Return the key that clients are told at their login."""
        return str(self.guest().log_in("guest").get("vapid", ""))

    def absent(self, name: str, browser: Browser | None = None, path: str = "") -> Browser:
        """Register a name whose device has a subscription and is not connected; return the browser."""
        browser = browser or Browser()
        subscribe(client := self.register(name), browser, path)
        self.leave(client)
        return browser

    def leave(self, client: UserClient) -> None:
        """End a session, and wait until the server has noticed."""
        client.send({"action": "quit"})
        client.receive_until_closed()
        client.close()

    def outcomes(self, outcome: str, count: int) -> None:
        """Wait until push messages had an outcome so many times."""
        with gevent.Timeout(TEST_TIMEOUT, AssertionError(f"{dict(self.counts)}")):
            while self.counts[outcome] < count:
                gevent.sleep(0.005)

    @property
    def counts(self) -> Any:
        return self.server.app.messenger.stats.pushes

    def close(self) -> None:
        for one in self.clients:
            one.close()


@pytest.fixture
def start_chat(start_server: StartServer, service: PushService) -> Iterator[Callable[..., Chat]]:
    chats: list[Chat] = []

    def start(**options: Any) -> Chat:
        chats.append(Chat(start_server(**{**OPTIONS, "push_network": service.network} | options)))
        return chats[-1]

    yield start
    for each in chats:
        each.close()


@pytest.fixture
def chat(start_chat: Callable[..., Chat]) -> Chat:
    return start_chat()


def subscribe(client: UserClient, browser: Browser, path: str = "") -> dict[str, str]:
    subscription = browser.subscription(path)
    answer = client.request("push", **subscription)
    assert answer["response"] == 200, answer
    return subscription


def test_a_device_that_is_not_connected_is_told_of_a_direct_message(chat: Chat, service: PushService) -> None:
    browser = chat.absent("dale", path="abc?d=1")
    hank = chat.register("Hank")
    (seq,) = hank.send_messages("dale", "Hello, Дейл!")
    (post,) = service.wait_for(1)
    assert browser.read(post.body) == {
        "with": "Hank",
        "from": "Hank",
        "message": "Hello, Дейл!",
        "seq": seq,
        "unread": 1,
    }
    assert (post.path, post.headers["host"]) == ("/send/abc?d=1", HOST)
    assert (post.headers["ttl"], post.headers["content-encoding"]) == ("86400", "aes128gcm")
    assert len(post.headers["topic"]) == 32 and "dale" not in str(post.headers)
    token = dict(part.strip().split("=", 1) for part in post.headers["authorization"].removeprefix("vapid").split(","))
    vapid = chat.vapid()
    assert token["k"] == vapid
    claims = verify(token["t"], vapid)
    assert (claims["aud"], claims["sub"]) == (f"https://{HOST}", OPTIONS["push_contact"])
    chat.outcomes("sent", 1)


def test_all_messages_are_of_one_length_and_long_ones_are_cut(chat: Chat, service: PushService) -> None:
    browsers = [chat.absent(name) for name in ("dale", "bobby")]
    hank = chat.register("hank")
    for name, text in (("dale", "a"), ("bobby", "ё" * 300)):
        hank.send_messages(name, text)
        chat.outcomes("sent", 1 if name == "dale" else 2)
    short, long = service.wait_for(2)
    assert browsers[1].read(long.body)["message"] == "ё" * 199 + "…"
    assert len(short.body) == len(long.body)


def test_a_conversation_is_told_once_until_it_is_read(chat: Chat, service: PushService) -> None:
    browser = chat.absent("dale")
    hank, peggy = chat.register("hank"), chat.register("peggy")
    hank.send_messages("dale", "one")
    service.wait_for(1)
    hank.send_messages("dale", "two")
    chat.outcomes("needless", 1)
    peggy.send_messages("dale", "another conversation")
    service.wait_for(2)
    laptop = chat.log_in("dale", "laptop")
    laptop.send({"action": "read", "with": "hank", "seq": 2})
    assert laptop.request("probe")["response"] == 200
    chat.leave(laptop)
    hank.send_messages("dale", "three")
    posts = service.wait_for(3)
    assert [browser.read(post.body)["message"] for post in posts] == ["one", "another conversation", "three"]
    topics = [post.headers["topic"] for post in posts]
    assert topics[0] == topics[2] != topics[1]


def test_a_room_that_is_made_again_is_told_anew(chat: Chat, service: PushService) -> None:
    def say(*texts: str) -> None:
        dale = chat.log_in("dale", "laptop")
        for one in (hank, dale):
            assert one.request("join", room="#dev")["response"] == 200
        chat.leave(dale)
        hank.send_messages("#dev", *texts)

    chat.absent("dale")
    hank = chat.register("hank")
    say("one", "two", "dale: three")
    service.wait_for(1)
    AdminService(chat.server.app.messenger, chat.server.app.store, FAST, lambda: 1.0).delete_room("#dev")
    say("dale: four")
    service.wait_for(2)


def test_a_device_that_acknowledges_is_told_nothing(start_chat: Callable[..., Chat], service: PushService) -> None:
    chat = start_chat()
    dale, hank = chat.register("dale"), chat.register("hank")
    subscribe(dale, Browser())
    for text in ("you see this", "and this"):
        (seq,) = hank.send_messages("dale", text)
        dale.acknowledge("hank", seq)
    chat.outcomes("needless", 1)
    chat.leave(dale)
    hank.send_messages("dale", "but not this")
    chat.outcomes("sent", 1)
    assert len(service.posts) == 1


def test_each_message_is_given_time_to_be_acknowledged(start_chat: Callable[..., Chat], service: PushService) -> None:
    chat = start_chat()
    dale, hank = chat.register("dale"), chat.register("hank")
    subscribe(dale, Browser())
    (first, second) = hank.send_messages("dale", "one", "two")
    dale.acknowledge("hank", first)
    chat.outcomes("deferred", 1)
    dale.acknowledge("hank", second)
    chat.outcomes("needless", 1)
    assert service.posts == []


def test_a_device_whose_connection_only_looks_alive_is_told(
    start_chat: Callable[..., Chat], service: PushService
) -> None:
    """A phone that sleeps acknowledges nothing, and its connection lives until the next probe is not answered."""
    chat = start_chat(push_ack_timeout=0.1)
    dale, hank, browser = chat.register("dale"), chat.register("hank"), Browser()
    subscribe(dale, browser)
    hank.send_messages("dale", "wake up")
    (post,) = service.wait_for(1)
    assert browser.read(post.body)["message"] == "wake up"


def test_a_device_that_connects_before_it_is_told_has_time_to_acknowledge(
    start_chat: Callable[..., Chat], service: PushService
) -> None:
    chat = start_chat(push_delay=2.0)
    chat.absent("dale")
    chat.log_in("dale", "laptop")
    hank = chat.register("hank")
    (seq,) = hank.send_messages("dale", "one")
    dale = chat.log_in("dale", "phone")
    chat.outcomes("deferred", 1)
    dale.acknowledge("hank", seq)
    chat.outcomes("needless", 1)
    assert service.posts == []


def test_devices_that_are_connected_fill_half_of_the_queue_at_most(
    start_chat: Callable[..., Chat], service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_WAITING_CONNECTED", 1)
    chat = start_chat(push_ack_timeout=3600.0)
    hank = chat.register("hank")
    for name in ("dale", "bobby"):
        subscribe(chat.register(name), Browser(), name)
        hank.send_messages(name, "one")
    chat.outcomes("dropped", 1)
    chat.absent("erin", path="erin")
    hank.send_messages("erin", "one")
    service.wait_for(1)


def test_in_a_room_it_is_those_who_are_mentioned(chat: Chat, service: PushService) -> None:
    browsers = {}
    for name in ("dale", "bobby"):
        client = chat.register(name)
        client.request("join", room="#dev")
        subscribe(client, browsers.setdefault(name, Browser()), name)
        chat.leave(client)
    hank = chat.register("hank")
    hank.request("join", room="#dev")
    hank.send_messages("#dev", "nobody", "bobby: look!")
    hank.request("msg", to="#dev", message="dale: it says", kind="notice")
    hank.send_messages("#dev", "@Dale: and you")
    posts = {post.path: post for post in service.wait_for(2)}
    assert set(posts) == {"/send/dale", "/send/bobby"}
    payload = browsers["dale"].read(posts["/send/dale"].body)
    assert (payload["with"], payload["from"], payload["message"]) == ("#dev", "hank", "@Dale: and you")
    assert payload["unread"] == 4


def test_what_is_read_on_another_device_meanwhile_is_told_to_none(
    start_chat: Callable[..., Chat], service: PushService
) -> None:
    chat = start_chat(push_delay=2.0)
    chat.absent("dale")
    laptop, hank = chat.log_in("dale", "laptop"), chat.register("hank")
    (seq,) = hank.send_messages("dale", "at your desk?")
    laptop.next_event("msg")
    laptop.send({"action": "read", "with": "hank", "seq": seq})
    chat.outcomes("needless", 1)
    assert service.posts == []


def test_what_was_erased_is_told_to_nobody(start_chat: Callable[..., Chat], service: PushService) -> None:
    chat = start_chat(push_delay=2.0)
    browser = chat.absent("dale")
    chat.log_in("dale", "laptop")
    hank = chat.register("hank")
    first, second = hank.send_messages("dale", "first", "a mistake")
    assert hank.request("msg", to="dale", message="", about=second, what="erase")["response"] == 200
    assert hank.request("msg", to="dale", message="edited", about=first, what="edit")["response"] == 200
    (post,) = service.wait_for(1)
    assert (browser.read(post.body)["message"], browser.read(post.body)["unread"]) == ("edited", 1)


def test_a_device_is_sent_one_within_the_interval(start_chat: Callable[..., Chat], service: PushService) -> None:
    chat = start_chat(push_interval=3600.0)
    chat.absent("dale")
    hank, peggy = chat.register("hank"), chat.register("peggy")
    hank.send_messages("dale", "one")
    service.wait_for(1)
    peggy.send_messages("dale", "another")
    chat.outcomes("deferred", 1)
    chat.server.app.options = replace(chat.server.app.options, push_interval=0.0)
    assert len(service.posts) == 1 and chat.server.app.push_sender is not None
    assert chat.server.app.push_sender.waiting_count == 1


def test_a_blocked_user_wakes_nobody(chat: Chat, service: PushService) -> None:
    dale = chat.register("dale")
    dale.request("join", room="#dev")
    dale.request("block", user="peggy")
    subscribe(dale, browser := Browser())
    chat.leave(dale)
    for name, text in (("peggy", "dale: buy this"), ("hank", "dale: lunch?")):
        client = chat.register(name)
        client.request("join", room="#dev")
        client.send_messages("#dev", text)
    (post,) = service.wait_for(1)
    assert browser.read(post.body)["from"] == "hank"


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_the_push_service_has_forgotten_is_forgotten(
    chat: Chat, service: PushService, status: int
) -> None:
    service.answer = lambda post: Answer(status)
    chat.absent("dale")
    hank = chat.register("hank")
    hank.send_messages("dale", "one")
    chat.outcomes("gone", 1)
    assert list(chat.server.app.store.push_devices()) == [] and len(chat.server.app.messenger.subscriptions) == 0
    hank.send_messages("dale", "two")
    assert chat.server.app.push_sender is not None and chat.server.app.push_sender.waiting_count == 0


def test_a_push_service_that_is_overloaded_is_asked_again_a_few_times(chat: Chat, service: PushService) -> None:
    answers = [Answer(429, {"Retry-After": "99999999"}), Answer(500), Answer(201)]
    service.answer = lambda post: answers[len(service.posts) - 1]
    browser = chat.absent("dale")
    hank = chat.register("hank")
    hank.send_messages("dale", "one")
    posts = service.wait_for(3)
    chat.outcomes("sent", 1)
    assert [browser.read(post.body)["message"] for post in posts] == ["one"] * 3
    assert dict(chat.counts) == {"deferred": 2, "sent": 1}


def test_a_push_service_that_always_fails_is_given_up(chat: Chat, service: PushService) -> None:
    service.answer = lambda post: Answer(503)
    chat.absent("dale")
    hank = chat.register("hank")
    hank.send_messages("dale", "one")
    chat.outcomes("failed", 1)
    assert len(service.posts) == MAX_ATTEMPTS


@pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 413])
def test_a_redirect_or_a_refusal_is_the_end(chat: Chat, service: PushService, status: int) -> None:
    service.answer = lambda post: Answer(status, {"Location": f"https://{HOST}/elsewhere"})
    chat.absent("dale")
    chat.register("hank").send_messages("dale", "one")
    chat.outcomes("failed", 1)
    assert [post.path == "/elsewhere" for post in service.posts] == [False]


def test_eight_at_once_and_a_message_waits_for_none_of_them(
    start_chat: Callable[..., Chat], service: PushService
) -> None:
    chat = start_chat(push_timeout=TEST_TIMEOUT)
    hang = Event()
    service.answer = lambda post: Answer(hang=hang)
    names = [f"name{number}" for number in range(MAX_SENDING + 4)]
    for name in names:
        chat.absent(name)
    hank, dale = chat.register("hank"), chat.register("dale")
    for name in names:
        hank.send_messages(name, "hello")
    service.wait_for(MAX_SENDING)
    hank.send_messages("dale", "meanwhile")
    assert dale.next_event("msg")["message"] == "meanwhile"
    assert (len(service.posts), service.open_max) == (MAX_SENDING, MAX_SENDING)
    hang.set()
    service.wait_for(len(names))
    assert service.open_max == MAX_SENDING


def test_a_push_service_that_says_nothing_is_left(start_chat: Callable[..., Chat], service: PushService) -> None:
    chat = start_chat(push_timeout=0.5)
    hang = Event()
    service.answer = lambda post: Answer(hang=hang)
    chat.absent("dale")
    chat.register("hank").send_messages("dale", "hello")
    chat.outcomes("failed", 1)
    assert chat.counts["deferred"] == MAX_ATTEMPTS - 1
    hang.set()


def test_beyond_the_queue_they_are_dropped_and_counted(
    start_chat: Callable[..., Chat], service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_WAITING", 2)
    chat = start_chat(push_delay=3600.0)
    hank = chat.register("hank")
    for name in ("dale", "bobby", "peggy"):
        chat.absent(name)
        chat.log_in(name, "laptop")  # for which the push messages wait
        hank.send_messages(name, "one", "two")
    chat.outcomes("dropped", 2)
    assert chat.server.app.push_sender is not None and chat.server.app.push_sender.waiting_count == 2


def test_a_certificate_that_is_not_trusted_is_not_spoken_to(
    start_chat: Callable[..., Chat], service: PushService, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = CertificateAuthority(tmp_path / "other").context
    chat = start_chat(push_network=PushNetwork(service.network.resolve, other))
    chat.absent("dale")
    chat.register("hank").send_messages("dale", "hello")
    chat.outcomes("failed", 1)
    assert service.connection_count == MAX_ATTEMPTS and service.posts == []


def test_what_the_log_says_has_nothing_of_endpoint_keys_or_text(
    chat: Chat, service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.answer = lambda post: Answer(403)
    dale = chat.register("dale")
    subscription = subscribe(dale, Browser(), "a-secret-path")
    chat.leave(dale)
    chat.register("hank").send_messages("dale", "the text")
    chat.outcomes("failed", 1)
    logged = "\n".join(f"{record.getMessage()} {getattr(record, 'fields', '')}" for record in caplog.records)
    assert f"'host': '{HOST}', 'reason': '403'" in logged
    for secret in ("a-secret-path", subscription["p256dh"], subscription["auth"], "the text"):
        assert secret not in logged


def test_a_device_that_is_logged_out_is_told_nothing(chat: Chat, service: PushService) -> None:
    chat.absent("dale")
    laptop, hank = chat.log_in("dale", "laptop"), chat.register("hank")
    assert laptop.request("drop", device="phone")["response"] == 200
    chat.leave(laptop)
    hank.send_messages("dale", "hello")
    chat.outcomes("needless", 1)
    assert len(chat.server.app.messenger.subscriptions) == 0


def test_a_subscription_is_forgotten_on_request(chat: Chat, service: PushService) -> None:
    dale = chat.register("dale")
    subscribe(dale, Browser())
    assert len(chat.server.app.messenger.subscriptions) == 1
    assert dale.request("push")["response"] == 200
    assert len(chat.server.app.messenger.subscriptions) == 0
    assert list(chat.server.app.store.push_devices()) == []


def test_who_may_not_subscribe(chat: Chat, start_server: StartServer, tmp_path: Path) -> None:
    subscription = Browser().subscription()
    guest = chat.guest().start_session("guest")
    assert guest.request("push", **subscription)["code"] == "accounts_only"
    dale = chat.register("dale")
    for part in ({"endpoint": subscription["endpoint"]}, {"p256dh": "x"}, {**subscription, "auth": None}):
        assert dale.request("push", **part)["code"] == "bad_request"
    assert dale.request("push", **{**subscription, "auth": "c2hvcnQ"})["code"] == "bad_subscription"
    without = Chat(start_server(store=f"sqlite:///{tmp_path}/without.db"))
    hank = without.register("hank")
    assert hank.request("push", **subscription)["code"] == "push_refused"
    assert without.vapid() == ""
    without.close()


def test_a_restart_changes_nothing(start_chat: Callable[..., Chat], service: PushService) -> None:
    chat = start_chat()
    browser = chat.absent("dale")
    vapid = chat.vapid()
    chat.server.stop()
    again = start_chat()
    assert again.vapid() == vapid
    again.register("hank").send_messages("dale", "hello")
    (post,) = service.wait_for(1)
    assert browser.read(post.body)["message"] == "hello"


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.org/x",
        "https://push.example.org:8443/x",
        "https://push.example.org",
        "https://user@push.example.org/x",
        "https://push.example.org@10.0.0.1/x",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://evilexample.org/x",
        "https://example.org.evil.net/x",
        "https://example.net/x",
        "https://push.example.org\\@evil.net/x",
        "https://push.example.org/x#fragment",
        "https://push.example.org/x y",
        "https://push.example.org/x\r\nHost: evil",
        "https://push..example.org/x",
        f"https://{'a' * 64}.example.org/x",
        "https://-.example.org/x",
        "https://push.exаmple.org/x",
        "wss://push.example.org/x",
        "",
    ],
)
def test_endpoints_that_are_refused(url: str) -> None:
    with pytest.raises(BadSubscription):
        parse_endpoint(url, ("example.org",))


PARTS = st.sampled_from(
    ["https://", "http:", "example.org", "push.", "evil.net", "/", "//", "@", ":443", ":", "?", "#", "\\"]
)


@example("https://push.example.org/x")
@given(st.lists(PARTS | st.text(max_size=3), max_size=8).map("".join))
def test_whatever_is_taken_is_of_a_listed_host(url: str) -> None:
    try:
        endpoint = parse_endpoint(url, ("example.org",))
    except BadSubscription:
        return
    assert endpoint.host == "example.org" or endpoint.host.endswith(".example.org")
    assert endpoint.target.startswith("/") and endpoint.target.isascii() and endpoint.target.isprintable()
    assert url.lower().startswith((endpoint.origin + "/", endpoint.origin + ":443/"))


def test_endpoints_that_are_taken() -> None:
    endpoint = parse_endpoint("https://Push.Example.org:443/a/b?c=d", ("example.org",))
    assert (endpoint.host, endpoint.target, endpoint.origin) == (HOST, "/a/b?c=d", f"https://{HOST}")
    assert parse_endpoint("https://example.org/", ("example.org",)).target == "/"
    for host in ("fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com"):
        assert parse_endpoint(f"https://{host}/x", ServerOptions().push_hosts).host == host


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::1", True),
        ("::", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("ff02::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::7f00:1", True),
        ("64:ff9b::808:808", False),
        ("2002:7f00:1::", True),
        ("2002:a00:1::", True),
        ("no address", True),
    ],
)
def test_addresses_of_the_own_network_are_none_of_the_internet(address: str, is_ours: bool) -> None:
    assert is_public(address) is not is_ours


def test_a_host_with_an_address_of_the_own_network_is_not_connected_to(
    start_chat: Callable[..., Chat], service: PushService
) -> None:
    asked: list[str] = []

    def resolve(host: str) -> list[client.SocketAddress]:
        asked.append(host)
        return resolve_public("localhost")  # where it leads to

    with pytest.raises(OSError, match="no public address"):
        resolve_public("localhost")
    chat = start_chat(push_network=PushNetwork(resolve, service.network.context))
    chat.absent("dale")
    chat.register("hank").send_messages("dale", "hello")
    chat.outcomes("failed", 1)
    assert (service.connection_count, asked) == (0, [HOST] * MAX_ATTEMPTS)


def test_a_host_is_resolved_once_and_connected_to_where_it_was_found(
    start_chat: Callable[..., Chat], service: PushService
) -> None:
    """Else a name could have another address by the time it is connected to."""
    resolved: list[str] = []

    def resolve(host: str) -> list[client.SocketAddress]:
        resolved.append(host)
        return [*service.network.resolve(host)]

    chat = start_chat(push_network=PushNetwork(resolve, service.network.context))
    chat.absent("dale")
    chat.register("hank").send_messages("dale", "hello")
    chat.outcomes("sent", 1)
    assert resolved == [HOST]


def test_push_needs_a_way_to_reach_the_operator(chat: Chat) -> None:
    with pytest.raises(ConfigError, match="--push-contact"):
        Server(replace(ServerOptions(port=0), push=True))
    with pytest.raises(ConfigError):
        push_subject(replace(ServerOptions(), push=True, web_url="http://chat.example.org"))
    assert push_subject(replace(ServerOptions(), push=True, web_url="https://chat.example.org")).startswith("https:")
    options = replace(chat.server.app.options, push_contact="")
    with pytest.raises(ConfigError):
        chat.server.app.apply_options(options)
    assert chat.server.app.options.push_contact


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("Mon, 30 Nov 2026 10:00:30 GMT", 30.0), ("Mon, 30 Nov 2020 10:00:00 GMT", 0.0)],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert retry_after(value, 1796032800.0) == seconds


@pytest.mark.parametrize("value", ["", "soon", "-5", "1" * 400, "٣", "Mon, 99 Nov 2026 10:00:30 GMT"])
def test_retry_after_that_says_nothing(value: str) -> None:
    assert retry_after(value, 1796032800.0) is None


def test_a_server_without_push_imports_nothing_of_it() -> None:
    program = """
import sys
from gmessenger.patch import patch_all; patch_all()
from dataclasses import replace
from gmessenger.config.options import ServerOptions
from gmessenger.server.server import Server
server = Server(ServerOptions(ip="127.0.0.1", port=0)); server.start(); server.stop()
assert not [name for name in sys.modules if name.startswith(("cryptography", "gmessenger.server.push", "h11"))]
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=TEST_TIMEOUT
    )
    assert (done.returncode, done.stderr) == (0, "")
