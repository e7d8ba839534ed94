"""Files of clients of IRC: uploaded to the URL that 005 tells, and sent by saying theirs (`soju.im/FILEHOST`)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

import pytest

from tests.irc.conftest import IrcServer
from tests.support.files import ask, basic, png
from tests.support.irc_client import IrcClient, commands, find

PASSWORD = "swordfish-and-more"
NAME = "attachment; filename=graph.png"


@pytest.fixture
def irc(start_irc: Callable[..., IrcServer]) -> IrcServer:
    """A server that takes files, with two accounts."""
    server = start_irc(web="127.0.0.1:0")
    for name in ("hank", "dale"):
        server.register(name, PASSWORD)
    return server


def upload_url(client: IrcClient) -> str:
    """Return the URL that 005 tells."""
    tokens = [token for line in client.ask("VERSION") if line.command == "005" for token in line.params]
    (found,) = [token for token in tokens if token.startswith("soju.im/FILEHOST=")]
    return found.partition("=")[2]


def upload(irc: IrcServer, client: IrcClient, user: str = "hank", password: str = PASSWORD) -> str:
    """Upload a file as clients of IRC do, with the name and password of SASL; return its URL."""
    port = irc.app.web_port
    assert port is not None and upload_url(client) == f"http://127.0.0.1:{port}/file"
    answer = ask(port, "POST", "/file", {**basic(user, password), "Content-Disposition": NAME}, png())
    assert answer.status == 201
    return urljoin(upload_url(client), answer.headers["Location"])


@pytest.mark.parametrize(("user", "status"), [("hank", 201), ("hank@laptop", 201), ("nobody@laptop", 401)])
def test_uploads_take_the_name_and_password_of_a_login(irc: IrcServer, user: str, status: int) -> None:
    assert irc.app.web_port is not None
    assert ask(irc.app.web_port, "POST", "/file", basic(user, PASSWORD), png()).status == status


def test_what_may_be_uploaded_is_told(irc: IrcServer) -> None:
    assert irc.app.web_port is not None
    answer = ask(irc.app.web_port, "OPTIONS", "/file")
    assert (answer.status, answer.headers["Allow"], answer.headers["Accept-Post"]) == (204, "OPTIONS, POST", "*/*")


def test_no_url_is_told_where_no_files_are_taken(start_irc: Callable[..., IrcServer]) -> None:
    lines = start_irc(web="127.0.0.1:0", max_file=0).log_in("boomhauer").ask("VERSION")
    assert "005" in commands(lines) and not any("FILEHOST" in token for line in lines for token in line.params)


@pytest.mark.parametrize(
    ("said", "text"),
    [("look {url} nice", "look nice"), ("{url}", "graph.png"), ("the graph: {url}", "the graph:")],
)
def test_a_message_with_the_url_of_a_file_has_the_file(irc: IrcServer, said: str, text: str) -> None:
    hank = irc.log_in("hank", password=PASSWORD)
    dale, other = irc.log_in_natively("dale", PASSWORD), irc.log_in("dale", password=PASSWORD)
    url = upload(irc, hank)
    assert hank.ask(f"PRIVMSG dale :{said.format(url=url)}") == []
    message = dale.next_event("msg")
    assert (message["message"], message["file"]["name"]) == (text, "graph.png")
    assert urljoin(url, message["file"]["url"]) == url
    assert other.receive().params == ["dale", f"{text} {url}"]


def test_a_file_goes_with_the_first_message_only(irc: IrcServer) -> None:
    hank = irc.log_in("hank", password=PASSWORD)
    dale = irc.log_in_natively("dale", PASSWORD)
    url = upload(irc, hank)
    assert hank.ask(f"PRIVMSG dale :{url}", f"PRIVMSG dale :{url}", f"PRIVMSG dale :again {url}") == []
    first, second, third = (dale.next_event("msg") for _ in range(3))
    assert first["file"]["name"] == "graph.png"
    assert [(each["message"], "file" in each) for each in (second, third)] == [(url, False), (f"again {url}", False)]


def test_a_file_goes_to_the_first_of_several_targets(irc: IrcServer) -> None:
    hank = irc.log_in("hank", password=PASSWORD)
    dale = irc.log_in_natively("dale", PASSWORD)
    irc.register("bill", PASSWORD)
    bill = irc.log_in_natively("bill", PASSWORD)
    url = upload(irc, hank)
    assert hank.ask(f"PRIVMSG dale,bill :{url}") == []
    assert "file" in dale.next_event("msg") and bill.next_event("msg")["message"] == url


@pytest.mark.parametrize("by", ["dale", "boomhauer"])
def test_only_who_has_uploaded_a_file_sends_it(irc: IrcServer, by: str) -> None:
    url = upload(irc, irc.log_in("hank", password=PASSWORD))
    receiver = irc.log_in_natively("hank", PASSWORD)
    irc.log_in(by, password=PASSWORD if by == "dale" else None).ask(f"PRIVMSG hank :{url}", f"PRIVMSG hank :{url}.")
    messages = [receiver.next_event("msg") for _ in range(2)]
    assert [(each["message"], "file" in each) for each in messages] == [(url, False), (f"{url}.", False)]


def test_the_sender_is_told_of_the_message_with_its_file(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "echo-message", "labeled-response", "message-tags", "batch", password=PASSWORD)
    url = upload(irc, hank)
    irc.join("#dev", hank)
    echo = find(hank.ask(f"@label=x PRIVMSG #dev :look {url}"), "PRIVMSG")
    assert (echo.params, echo.tags["label"]) == (["#dev", f"look {url}"], "x")


def test_a_message_of_several_lines_has_a_file(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "draft/multiline", "batch", "message-tags", password=PASSWORD)
    dale = irc.log_in_natively("dale", PASSWORD)
    url = upload(irc, hank)
    lines = [f"@batch=1 PRIVMSG dale :{text}" for text in ("look", url, "nice")]
    lines.append("@batch=1;draft/multiline-concat PRIVMSG dale : work")
    assert hank.ask("BATCH +1 draft/multiline dale", *lines, "BATCH -1") == []
    message = dale.next_event("msg")
    assert (message["message"], message["file"]["name"]) == ("look\nnice work", "graph.png")
