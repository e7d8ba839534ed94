"""The link: a name's line to a server, as bots and the terminal hold it in their hands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gmessenger.client.acks import Acks
from gmessenger.client.asking import Asking
from gmessenger.client.events import LinkEvent, Received, SentElsewhere, connected, too_long
from gmessenger.client.inbox import Inbox
from gmessenger.client.incoming import Incoming
from gmessenger.client.keeping import Keeping
from gmessenger.client.login import Login
from gmessenger.client.outbox import Message, Outbox, compose, is_larger
from gmessenger.client.patience import Patience
from gmessenger.client.positions import conversation, fold
from gmessenger.client.questions import Questions
from gmessenger.client.receiving import Receiver
from gmessenger.client.room import Room
from gmessenger.client.sending import Sender
from gmessenger.client.tls import Tls
from gmessenger.client.upkeep import Upkeep
from gmessenger.errors import AccountDeleted, Refused, Unreachable
from gmessenger.sentences import Sentence
from gmessenger.wire.events import Answer, Forget, Register, Request


class Link(Asking):
    """A name on a server, for as long as it can be kept there.

        with Link("127.0.0.1", 7777, "echo") as link:
            for event in link:
                if isinstance(event, Received):
                    link.send(event.delivery.sender, event.delivery.message)

    Iterating yields a `LinkEvent` after another; it ends when the link is closed, and raises `Refused` or `Unreachable`
    when no line will come any more. A lost line is not the end: the link comes back by itself and sends again what was
    not answered, so a message reaches the server at least once, and twice only where an answer was lost on the way.

    An account's messages come once, in order and without holes, to each of its devices: what the owner was given counts
    as done with when it comes for the next event, says `done`, or closes the link, and is acknowledged then. What an
    owner that failed, or said `abandon`, had not finished with comes again to the next link on the same `device`,
    unless it is not `receiving`: then an account is sent no messages, whoever they are from.

    With a file `unsent` an account's messages outlive the process: what was not answered is sent by the next link with
    that file, by the same ids, which the server stores once. (To the same `device`, that is. Of a guest nothing is
    kept: the server would take a message that it has for a new one.)

    With `tls` the line is encrypted, and opened only to a server that proves who it is; the link ends with `Untrusted`
    (which is `Refused`) where one does not, also when it comes back. Without, a password is sent to this machine only,
    unless `plain_passwords`.

    An owner that stops iterating is not sent more than about `inbox_size` events: receiving is held back, the line is
    kept alive. Everything may be called from any greenlet, also while another one iterates.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        *,
        password: str | None = None,
        device: str | None = None,
        tls: Tls | None = None,
        plain_passwords: bool = False,
        receiving: bool = True,
        unsent: Path | None = None,
        patience: Patience | None = None,
        outbox_size: int = 1000,
        inbox_size: int = 256,
    ) -> None:
        super().__init__()
        self.name = name
        self.limits: Mapping[str, Any] = {}
        """The server's own words: `frame` in bytes, `text` in characters, and so on."""
        self._patience = patience or Patience()
        self._inbox = Inbox(inbox_size)
        self._outbox = Outbox()
        self._room = Room(self._inbox, self._outbox, outbox_size)
        self._questions = Questions()
        self._sender = Sender(self._outbox, self._patience)
        self._acks = Acks(self._sender)
        self._incoming = Incoming(name, self._inbox, self._outbox, self._sender, self._acks, self._patience)
        receiver = Receiver(
            self._inbox, self._outbox, self._questions, self._incoming, self._sender, self._patience, self._settled
        )
        self._login = Login(host, port, name, self._patience, password, device, tls, plain_passwords, receiving)
        self._upkeep = Upkeep(
            self._login, self._patience, self._inbox, self._sender, receiver, welcomed=self._welcomed, ended=self._end
        )
        self._keeping = Keeping(unsent, self._inbox, self._outbox)
        self._given: LinkEvent | None = None
        self._forgetting = False
        self.is_forgotten = False
        """Whether the account was erased because `forget` asked for it."""

    def start(self, password: str | None = None) -> None:
        """Connect and log in, with a password where another one or none was given before.

        Raises `Unreachable` (nobody there, or no room) or `Refused` (not under this name, or not with this password;
        its cause is the server's `WireError`), and may then be tried again.
        """
        self._login.password = password or self._login.password
        self._upkeep.start()

    def close(self) -> None:
        """Say goodbye and end; what is unanswered is given up (`flush` first). Does no harm twice."""
        self.done()
        self.abandon()

    def abandon(self) -> None:
        """The same, but the event that was given last is not done with."""
        self._upkeep.stop(self._acks.frames())
        self._keeping.close()
        self._end(None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LinkEvent:
        self.done()
        event = self._inbox.get()
        if event is None:
            raise StopIteration
        self._given = event
        return event

    def done(self) -> None:
        """The event that was given last is done with. Whoever may be closed at any time had better say so at once."""
        event, self._given = self._given, None
        if isinstance(event, Received | SentElsewhere) and event.delivery.seq:
            self._acks.done(conversation(event.delivery, fold(self.name)), event.delivery.seq)

    @property
    def connected(self) -> bool:
        """Whether the line is up; if not, what is sent waits for it."""
        return self._upkeep.connected

    @property
    def can_send_password(self) -> bool:
        """Whether a password may be sent: the line is encrypted, or stays on this machine, or `plain_passwords`."""
        return self._login.confidential

    @property
    def ended(self) -> bool:
        """Whether no line will come any more: the link was closed, or ended with an error."""
        return self._inbox.ended

    @property
    def unanswered(self) -> int:
        """How many messages the server has not answered yet."""
        return len(self._outbox)

    def send(self, to: str, text: str, wait: float = 0.0) -> Message:
        """Have a message sent; what becomes of it is told by an `Accepted` or `Rejected` with that message.

        An account's message is in the file `unsent`, if there is one, when this returns.

        Raises `gevent.queue.Full` when the outbox is, and still is after `wait` seconds; `BadText` for text that UTF-8
        cannot say; and what the link ended with, or `Unreachable`, when it has ended.
        """
        message = compose(to, text)
        self._room.wait(wait)
        self._check()
        if is_larger(message, self._largest_frame):
            self._inbox.put(too_long(message, self._largest_frame))
        else:
            self._keeping.keep(message)
            self._outbox.add(message)
            self._room.look()
            self._sender.wake()
        return message

    @property
    def keeping(self) -> bool:
        """Whether all that is unanswered when this process ends is sent by the next one."""
        return self._keeping.has_everything

    def flush(self, seconds: float) -> int:
        """Wait until everything is answered, for at most so long; returns how many messages are not."""
        self._room.wait_until_empty(seconds)
        return len(self._outbox)

    def register(self, password: str, invite: str | None = None) -> None:
        """Take the guest's name for ever. Raises as every question does."""
        answer = self._ask(Register(password=password, invite=invite))
        self._login.password, self._login.token, self.registration = password, answer.session, None
        self._incoming.registered()
        self._become(account=True)

    def forget(self, password: str) -> None:
        self._forgetting = True
        try:
            super().forget(password)
        except BaseException:
            self._forgetting = False
            raise
        self.is_forgotten = True
        for message in list(self._outbox):  # or the next owner of the name would say it
            self._outbox.settle(message.id)
            self._settled(message)

    def leave(self, room: str) -> None:
        super().leave(room)
        self._incoming.forget(room)

    def _ask_once(self, request: Request) -> Answer:
        self._check()
        if isinstance(request, Register | Forget):
            self._login.check_line()
        id, frame = self._questions.add(request)
        self._sender.urge(id, frame)
        with self._inbox.stretched():
            return self._questions.wait(id, self._patience.answer)

    def _tell(self, what: str, frame: bytes) -> None:
        self._check()
        self._sender.urge(what, frame)

    @property
    def _largest_frame(self) -> float:
        return limit if isinstance(limit := self.limits.get("frame"), int) else float("inf")

    def _welcomed(self, answer: Answer, again: bool) -> None:
        if self._incoming.account and answer.account is not True:
            # Its name would do as a guest's; but what is to be said in the account's name is not a guest's to say.
            raise Refused(Sentence("The account {name} no longer exists.", name=self.name)) from AccountDeleted()
        self.limits = answer.limits or {}
        self.registration = answer.registration if self._login.confidential else None
        self._outbox.pace.announced(self.limits)
        self._become(account=answer.account is True)
        anew = self._incoming.new_line(account=self.account, token=answer.session, store=answer.store) and again
        self._inbox.put(connected(answer, again, anew))
        for message in self._outbox.larger_than(self._largest_frame):
            self._outbox.settle(message.id)
            self._settled(message)
            self._inbox.put(too_long(message, self._largest_frame))
        for what, frame in (self._to_say_again(anew=anew) | self._questions.unanswered()).items():
            self._sender.urge(what, frame)
        self._room.look()

    def _become(self, *, account: bool) -> None:
        self._acks.on = self.account = account
        self._keeping.on = account
        self._keeping.take_up()
        self._sender.wake()

    def _settled(self, message: Message) -> None:
        self._keeping.answered(message)
        self._room.look()

    def _end(self, error: Exception | None) -> None:
        self._inbox.end(None if self._is_forgotten(error) else error)
        self._questions.fail(self._ending())
        self._room.look()

    def _is_forgotten(self, error: Exception | None) -> bool:
        """Whether the end is the one that was asked for."""
        return self._forgetting and error is not None and isinstance(error.__cause__, AccountDeleted)

    def _ending(self) -> Exception:
        return self._inbox.error or Unreachable(Sentence("The link is closed."))

    def _check(self) -> None:
        if self._inbox.ended:
            raise self._ending()
