"""Speech: what sessions say to names, to rooms and to everybody, as far as limits and operators let them."""

from __future__ import annotations

from gmessenger.chat.limits import CHARACTERS_PER_MESSAGE, price_of
from gmessenger.chat.model import EVERYBODY
from gmessenger.chat.names import fold
from gmessenger.chat.pacing import Pacing
from gmessenger.chat.policy import Policy
from gmessenger.chat.posting import Ids, Posting
from gmessenger.chat.presence import Presence
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import Sanctions
from gmessenger.chat.session import Session
from gmessenger.errors import BroadcastRefused, NotLoggedIn, StoreUnavailable, TooLong


class Speech:
    """May block the greenlet that calls it, and so hold back reading."""

    def __init__(
        self,
        policy: Policy,
        pacing: Pacing,
        sanctions: Sanctions,
        posting: Posting,
        rooms: Rooms,
        presence: Presence,
        router: Router,
    ) -> None:
        self._policy = policy
        self._pacing = pacing
        self._sanctions = sanctions
        self._posting = posting
        self._rooms = rooms
        self._presence = presence
        self._router = router

    def message(self, session: Session, to: str, text: str, id: str | None = None, said: str = "") -> None:
        """Bring a text to a name, a room, or EVERYBODY.

        Answers 200 with its seq once it is on disk, or 202 when a live session took it and nothing is kept. Without an
        id it is answered only if it is refused later. Raises `TooLong`, `NeverSeen`, `NotHere`, `RecipientBusy`
        (nobody got it), `NoSuchRoom`, `NotMember`, `RoomClosed`, `Muted`, `Blocked`, `BroadcastRefused` or `TooFast`.
        While the session is too fast, or much of its own is still on its way to the disk, it waits.
        """
        self._pacing.message(session, len(text), self._audience(to) if to[:1] == "#" else 0)
        if self._sanctions.muted:
            self._sanctions.check_voice(session.key)
        if len(text) > self._policy.max_text:
            raise TooLong(f"A message has at most {self._policy.max_text} characters.", limit=self._policy.max_text)
        if session.unsettled > self._policy.unsettled:
            self._until_settled(session)
        if to[:1] != "#":
            key = fold(to)
            self._posting.to_name(session, key, to, text, id, said)
            self._presence.conversed(session.key, key)
        elif to != EVERYBODY:
            self._posting.to_room(session, self._rooms.entered(to, session), text, id, said)
        elif self._policy.broadcast:
            self._posting.to_everybody(session, text, id, said)
        else:
            raise BroadcastRefused

    def in_one_breath(self, session: Session, to: str, texts: list[str], ids: Ids, said: str = "") -> bool:
        """Bring several texts to one name or room, as if each were a `message`; False, and none of them has been
        brought, where each has to be looked at by itself.

        What is asked of each message is asked of them once, which is most of what a message costs.
        """
        longest = max(map(len, texts))
        if self._sanctions.muted or longest > self._policy.max_text:
            return False
        key = fold(to)
        audience = self._audience(key) if key[:1] == "#" else 0
        short = longest < CHARACTERS_PER_MESSAGE  # as nearly all are
        price = len(texts) * price_of(0, audience) if short else sum(price_of(len(text), audience) for text in texts)
        charge = self._pacing.at_once(session, price)
        if charge is None:
            return False
        with charge:
            if not self._posting.in_one_breath(session, key, texts, ids, said):
                return False
            charge.keep()
        if key[:1] != "#":
            self._presence.conversed(session.key, key)
        return True

    def enter_and_say(self, session: Session, room: str, text: str, said: str) -> None:
        """A message to a room from somebody who becomes a member by it."""
        self._rooms.join(session, room)
        self.message(session, room, text, said=said)

    def _audience(self, room: str) -> int:
        return len(self._router) if room == EVERYBODY else self._rooms.audience(room)

    def _until_settled(self, session: Session) -> None:
        if not session.until_settled(self._policy.unsettled, self._policy.store_timeout):
            raise StoreUnavailable
        if session.outbox.closed:  # it has been sent away meanwhile
            raise NotLoggedIn
