"""Commands that other messengers have and this one does not: what there is here instead.

None of these sentences names a command that ends, blocks or erases: who typed another word did not ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gmessenger.terminal.i18n import N_

NAME: Final = N_("A name is chosen at the start (--name), and an account keeps its own.")
LISTS: Final = N_("/rooms lists the rooms, /users the users who are online.")
PEOPLE: Final = N_("/users lists the users who are online, with their status.")
ENTER: Final = N_("/join #ROOM joins a room, and creates it if it does not exist.")
WRITE: Final = N_("/msg NAME TEXT sends a direct message.")
ACTION: Final = N_("There are no action messages; write it as an ordinary message.")
STATUS: Final = N_("/status WORDS sets your status, and /status online clears it.")
INVITE: Final = N_("There are no room invitations; users join a room with /join #ROOM.")
LEAVE: Final = N_("The commands that leave a room or quit the client are in /help.")
QUIET: Final = N_("The commands that block and unblock a user are in /help.")
CLEAR: Final = N_("Messages stay on the screen; /hide hides a conversation for now.")
FIND: Final = N_("/search WORDS searches for messages, /jump goes to a result.")
TURN: Final = N_("/go N or /go NAME switches to a conversation, /go alone lists all.")
SERVER: Final = N_("The server is chosen at the start; a lost connection is restored automatically.")
ACCOUNT: Final = N_("/register makes your name an account; the client asks for its password at the start.")
EDIT: Final = N_("Sent messages cannot be changed; /again resends a refused one.")
OPERATE: Final = N_("Only the owner of the server appoints operators.")
FILES: Final = N_("Messages are text only: put the file on another server and send a link to it.")
OPTIONS: Final = N_("Options are given at the start: gmessenger-client --help lists them.")
LINE: Final = N_("No such command is needed: the client reports when the connection is lost.")
EARLIER: Final = N_("/history N shows earlier messages.")
HELP: Final = N_("All commands are in /help.")
REPLIES: Final = (
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
FOREIGN_COMMANDS: Final[Mapping[str, str]] = {
    f"/{word}": sentence for sentence, words in REPLIES for word in words.split()
}
"""Each word, and the sentence that answers it."""
