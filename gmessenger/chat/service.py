"""The verbs: what a session may do. Every front calls these and no front does anything else to the messenger.

Refusals are raised as `WireError`; what the asker and others are told is put into outboxes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gmessenger.chat.model import (
    EVERYBODY,
    OFFLINE,
    Answer,
    Message,
    Moving,
    Parcel,
    Replaced,
    Synced,
)
from gmessenger.chat.names import LONGEST_NAME, check_name, fold
from gmessenger.chat.presence import Later, Presence, Seen
from gmessenger.chat.router import Router
from gmessenger.chat.session import Outbox, Session
from gmessenger.errors import (
    BadRequest,
    BroadcastRefused,
    GuestsRefused,
    NameInUse,
    NeverSeen,
    NotHere,
    RecipientBusy,
    TooLong,
    WrongPassword,
)
from gmessenger.logs import log_calls

LONGEST_STATUS = 32
USERS_PAGE = 200
LARGEST_USER = 320
"""Bytes one entry of the users list may take: name and status of the longest, with what is around them."""
GREETING = "Nothing is kept here: a message reaches those who are connected."


@dataclass(frozen=True, slots=True)
class Policy:
    """What this server allows. Sizes: text in characters, frame in bytes."""

    guests: bool = True
    broadcast: bool = True
    max_text: int = 16_384
    max_frame: int = 65_536
    names_remembered: int = 10_000
    busy_pause: float = 1.0  # seconds after which a message to somebody busy may be tried again

    @property
    def limits(self) -> dict[str, int]:
        return {"frame": self.max_frame, "text": self.max_text, "name": LONGEST_NAME, "status": LONGEST_STATUS}


@dataclass(slots=True)
class Login:
    """Who wants in, through which door. `told` as in `Session`."""

    name: str
    front: str
    told: bool
    address: str
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class Messenger:
    """The one object all fronts share. `clock` is Unix seconds; `later(seconds, call)` calls back."""

    def __init__(self, policy: Policy, clock: Callable[[], float], later: Later) -> None:
        self.policy = policy
        self.router = Router()
        self._clock = clock
        self._presence = Presence(self.router, later)
        self._seen = Seen(policy.names_remembered)
        self._tokens: dict[str, Session] = {}

    @log_calls("login")
    def login(self, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        """Admit a session under the name it gives, and return it with what its predecessor had not been told.

        The caller puts its answer into the outbox first, then calls `welcome`. Raises `BadName`, `NameInUse`,
        `GuestsRefused` or `WrongPassword`.
        """
        name = check_name(login.name)
        predecessor = self._predecessor(login.token, fold(name))
        if login.password is not None and predecessor is None:
            raise WrongPassword
        if not self.policy.guests:
            raise GuestsRefused
        if predecessor is None and fold(name) in self.router:
            raise NameInUse
        session = Session(name, outbox, front=login.front, told=login.told, address=login.address)
        left_over = self._replace(predecessor) if predecessor is not None else []
        self._presence.changing(session)
        self.router.add(session)
        self._seen.add(session)
        self._tokens[session.token] = session
        return session, left_over

    def welcome(self, session: Session, left_over: list[Parcel]) -> None:
        """Tell a session that was just admitted what waited for it."""
        session.outbox.insist(Synced())
        for parcel in left_over:
            session.outbox.offer(parcel)

    @log_calls("session")
    def logout(self, session: Session) -> bool:
        """The session is over and its name free; says whether that is news. What is in its outbox stays there."""
        self._tokens.pop(session.token, None)
        if session not in self.router.sessions(session.key):
            return False
        self._presence.changing(session)
        return self.router.remove(session)

    def message(self, session: Session, to: str, text: str, id: str | None = None, said: str = "") -> None:
        """Bring a text to a name, or to EVERYBODY. Answers 202 when there is an `id`: taken by a live session.

        Raises `TooLong`, `NeverSeen`, `NotHere`, `RecipientBusy` (nobody got it) or `BroadcastRefused`.
        """
        if len(text) > self.policy.max_text:
            raise TooLong(f"A message has at most {self.policy.max_text} characters.", limit=self.policy.max_text)
        now = self._clock()
        if to[:1] == "#":
            self._to_everybody(session, to, Message(session.name, EVERYBODY, text, now, said))
        else:
            self._to_name(session, fold(to), to, text, now, said)
        if id is not None:
            session.outbox.insist(Answer(202, id, now))

    def users(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with who is present, by name, from `after` on; `more` says whether another page follows."""
        page = min(USERS_PAGE, max(1, self.policy.max_frame // LARGEST_USER))
        start = fold(after) if after else ""
        keys = heapq.nsmallest(page + 1, (key for key in self.router.outboxes if key > start))
        users = [
            {"account_name": self.router.sessions(key)[0].name, "status": self._presence.status(key)}
            for key in keys[:page]
        ]
        self._answer(session, id, {"users": users, "more": len(keys) > page})

    def set_status(self, session: Session, id: str | None, status: str) -> None:
        """Say how the session is: 1 to 32 printable characters, but not `offline`. Raises `BadRequest`."""
        if not 0 < len(status) <= LONGEST_STATUS or not status.isprintable() or status == OFFLINE:
            raise BadRequest(f"A status is 1 to {LONGEST_STATUS} printable characters, and not {OFFLINE!r}.")
        self._presence.changing(session)
        session.status = status
        self._answer(session, id)

    def probe(self, session: Session, id: str | None) -> None:
        """Answer that the server is there."""
        self._answer(session, id)

    def names_seen(self) -> list[str]:
        """Names ever seen, as far as they are remembered: those present first, then the newest."""
        present = [session.name for session in self.router]
        return present + [name for key, name in self._seen.newest_first() if key not in self.router]

    def close(self, retry_in: float) -> None:
        """Tell every session that the server stops, and that nothing follows."""
        for session in list(self.router):
            if session.told:
                session.outbox.insist(Moving(retry_in))
            session.outbox.finish()

    def _answer(self, session: Session, id: str | None, more: dict[str, Any] | None = None) -> None:
        session.outbox.insist(Answer(200, id, self._clock(), more))

    def _to_name(self, session: Session, key: str, to: str, text: str, now: float, said: str) -> None:
        outboxes = self.router.outboxes.get(key)
        if outboxes is None:
            raise NotHere(f"{to} has left, and a guest's messages are not kept.") if key in self._seen else NeverSeen
        if key == session.key:
            outboxes = tuple(outbox for outbox in outboxes if outbox is not session.outbox)
        parcel = Message(session.name, outboxes[0].name if outboxes else session.name, text, now, said)
        taken = [outbox for outbox in outboxes if outbox.offer(parcel)]
        if outboxes and not taken:
            raise RecipientBusy(retry_after=self.policy.busy_pause)
        self._presence.conversed(session.key, key)

    def _to_everybody(self, session: Session, to: str, parcel: Message) -> None:
        if to != EVERYBODY:
            raise NeverSeen("There is no such room.")
        if not self.policy.broadcast:
            raise BroadcastRefused
        for other in self.router:
            if other is not session:
                other.outbox.offer(parcel)

    def _predecessor(self, token: str | None, key: str) -> Session | None:
        """The session that a token resumes; None where it is not known, and the name then decides."""
        session = self._tokens.get(token) if token else None
        return session if session is not None and session.key == key else None

    def _replace(self, predecessor: Session) -> list[Parcel]:
        left_over: list[Parcel] = [parcel for parcel in predecessor.outbox.take_all() if isinstance(parcel, Message)]
        self.logout(predecessor)
        predecessor.outbox.insist(Replaced(self._clock()))
        predecessor.outbox.finish()
        return left_over
