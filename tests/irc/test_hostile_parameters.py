"""Parameters and tags that no client of good will sends: each is answered, and nothing fails."""

from __future__ import annotations

import pytest

from tests.irc.conftest import IrcServer
from tests.support.irc_client import commands

CAPS = (
    "message-tags",
    "batch",
    "echo-message",
    "labeled-response",
    "standard-replies",
    "draft/chathistory",
    "draft/message-redaction",
    "draft/multiline",
    "draft/read-marker",
    "soju.im/search",
)
PASSWORD = "correct-horse"
HOSTILE = (":two words", "::colon", ":", "#", "#a b", "\x01", "é" * 200, "x" * 300, "$*", "hank,dale", "#dev", "nobody")
TEMPLATES = (
    "REDACT {0} {1}",
    "REDACT #dev {0} {1}",
    "MARKREAD {0}",
    "MARKREAD #dev {0}",
    "MARKREAD {0} timestamp=2020-01-01T00:00:00.000Z",
    "CHATHISTORY {0}",
    "CHATHISTORY {0} {1} * 10",
    "CHATHISTORY LATEST {0} * 10",
    "CHATHISTORY LATEST #dev {0} 10",
    "CHATHISTORY LATEST #dev msgid={0} 10",
    "CHATHISTORY LATEST #dev * {0}",
    "CHATHISTORY TARGETS {0} {0} 10",
    "HISTORY {0}",
    "HISTORY #dev {0}",
    "SEARCH {0}",
    "SEARCH text=a;in={0}",
    "SEARCH text=a;from={0}",
    "BATCH {0}",
    "BATCH +{0} draft/multiline #dev",
    "BATCH +1 {0} #dev",
    "BATCH +1 draft/multiline {0}",
    "@batch=1 PRIVMSG {0} :a",
    "@batch={0} PRIVMSG #dev :a",
    "BATCH -1",
    "TAGMSG {0}",
    "@+a={0} TAGMSG #dev",
    "@+{0}=a TAGMSG #dev",
    "@+draft/reply={0};+draft/react={0} TAGMSG #dev",
    "@+draft/reply={0} PRIVMSG #dev :a",
    "PRIVMSG {0} :\x01VERSION\x01",
    "NOTICE {0} :\x01",
    "PRIVMSG #dev :\x01ACTION",
    "PRIVMSG @#dev {0}",
    "TAGMSG +#dev{0}",
    "INVITE {0}",
    "LIST {0}",
    "LIST C<{0},T>{0}",
    "MODE #dev +b m:{0}",
    "MODE #dev +e a:{0}",
    "WALLOPS {0}",
)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("is_account", [False, True])
def test_nothing_fails(irc: IrcServer, template: str, is_account: bool) -> None:
    if is_account:
        irc.register("hank", PASSWORD)
    hank = irc.log_in("hank", *CAPS, password=PASSWORD if is_account else None)
    irc.join("#dev", hank)
    for one in HOSTILE:
        for two in HOSTILE if "{1}" in template else ("",):
            answer = hank.ask(f"@label=x {template.format(one, two)}" if template[0] != "@" else template.format(one))
            assert "400" not in commands(answer), (template, one, two)
            if template[0] != "@" and not template.startswith(("PRIVMSG", "BATCH")):
                assert any(line.tags.get("label") == "x" for line in answer), (template, one, two)
    assert irc.running.failures == 0
