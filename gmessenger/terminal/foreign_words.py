"""Commands that other messengers have and this one does not: what there is here instead.

None of these sentences names a command that ends, blocks or erases: who typed another word did not ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gmessenger.terminal.words import N_

NAME: Final = N_("A name is chosen at the start (--name), and an account keeps its own.")
LISTS: Final = N_("/rooms lists the rooms, /users who is here.")
PEOPLE: Final = N_("/users says who is here, and how they are.")
ENTER: Final = N_("/join #ROOM enters a room, and makes it where there is none.")
WRITE: Final = N_("/msg NAME TEXT writes to somebody.")
ACTION: Final = N_("What you do is said in a message, as everything else.")
STATUS: Final = N_("/status WORDS says how you are, and /status online is the way back.")
INVITE: Final = N_("Whoever knows the name of a room enters it with /join #ROOM.")
LEAVE: Final = N_("How one leaves is in /help.")
QUIET: Final = N_("How to hear no more from somebody is in /help.")
CLEAR: Final = N_("What was said stays on the screen; /hide puts a conversation away for now.")
FIND: Final = N_("/search WORDS finds messages, /jump turns to one that was found.")
TURN: Final = N_("/go N or /go NAME turns to a conversation, /go alone lists them.")
SERVER: Final = N_("The server is named at the start; a lost line comes back by itself.")
ACCOUNT: Final = N_("/register makes your name an account; its password is asked for at the start.")
EDIT: Final = N_("What was sent stays as it is; /again sends what was refused.")
OPERATE: Final = N_("Operators are made by the owner of the server.")
FILES: Final = N_("Messages are text: lay a file down elsewhere, and write where it is.")
OPTIONS: Final = N_("Options are given at the start: gmessenger-client --help lists them.")
LINE: Final = N_("There is nothing to ask for: when the line is down, that is said.")
EARLIER: Final = N_("/history N shows what was said before.")
HELP: Final = N_("All commands are in /help.")
SENTENCES: Final = (
    (NAME, "nick nickname name rename setname handle"),
    (LISTS, "list ls channels chans groups dir"),
    (PEOPLE, "whois who whowas wi ison online contacts friends roster profile finger info seen"),
    (ENTER, "j channel chan room create new enter subscribe"),
    (WRITE, "w whisper tell dm pm m t send say notice reply r chat privmsg wall"),
    (ACTION, "me action emote slap shrug describe"),
    (STATUS, "away back afk brb dnd busy available invisible presence mood"),
    (INVITE, "invite inv add"),
    (LEAVE, "q x bye logout logoff disconnect end abort die wc"),
    (QUIET, "ignore unignore silence squelch"),
    (CLEAR, "clear cls cl archive"),
    (FIND, "find grep lastlog f s"),
    (TURN, "window win buffer b next prev goto tab switch sw"),
    (SERVER, "server connect reconnect"),
    (ACCOUNT, "login identify auth password passwd account nickserv ns signup"),
    (EDIT, "edit e del delete unsend undo retract redact react thread pin"),
    (OPERATE, "op deop mode voice devoice chanserv cs admin oper"),
    (FILES, "upload file files dcc attach share"),
    (OPTIONS, "set config settings theme options prefs preferences bell"),
    (LINE, "ping ctcp version time lag uptime motd"),
    (EARLIER, "last log scrollback hist lastmsg"),
    (HELP, "? h commands cmds man"),
)
FOREIGN: Final[Mapping[str, str]] = {f"/{word}": sentence for sentence, words in SENTENCES for word in words.split()}
"""Each word, and the sentence that answers it."""
