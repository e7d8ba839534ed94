"""Commands of other chat programs, each with an answer that names what to use instead.

No answer names a command that quits, blocks or erases: the user who typed another word did not ask for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gmessenger.terminal.i18n import N_

CHANGE_NAME: Final = N_(
    "A name stays as long as you are here, so that others know who writes; start again with --name NAME for another. "
    "An account keeps its name."
)
LIST_ROOMS_OR_USERS: Final = N_("/rooms lists the rooms, /users the users who are online.")
LIST_USERS: Final = N_("/users lists the users who are online, with their status; /whois NAME tells more of one.")
JOIN_ROOM: Final = N_("/join #ROOM joins a room, and creates it if it does not exist.")
MAKE_ROOM: Final = N_("/make #ROOM makes a room, /make #ROOM private one that only who is invited can find.")
SEND_MESSAGE: Final = N_("/msg NAME TEXT sends a direct message.")
ACTION: Final = N_("/me TEXT says what you do.")
SET_STATUS: Final = N_("/away TEXT says that you are away, /back that you are here; /status WORDS says anything else.")
LEAVE_OR_QUIT: Final = N_("The commands that leave a room or quit the client are in /help.")
BLOCK_USER: Final = N_("The commands that block and unblock a user are in /help.")
HIDE_CONVERSATION: Final = N_("/hide hides a conversation for now, /clear clears the screen.")
SEARCH: Final = N_("/search WORDS searches for messages, /jump goes to a result.")
SWITCH_CONVERSATION: Final = N_("/go N or /go NAME switches to a conversation, /go alone lists all.")
CHOOSE_SERVER: Final = N_("The server is chosen at the start; a lost connection is restored automatically.")
REGISTER_ACCOUNT: Final = N_(
    "/register makes your name an account; the client asks for its password at the start, and /password changes it."
)
CHANGE_MESSAGE: Final = N_("/edit changes a message of yours; /help has all that can be done with messages.")
REACT: Final = N_("/react EMOJI reacts to a message, /reply TEXT replies to it.")
INVITE: Final = N_("/invite NAME invites a user to this room.")
GIVE_ROLE: Final = N_(
    "/role NAME moderator or speaker gives a role in your room; only the owner of the server appoints operators."
)
SET_RULES: Final = N_("/rules lists the rules of a room, /rule KEY VALUE sets one.")
SEND_FILE: Final = N_("/file PATH sends a file.")
COMMAND_LINE_OPTIONS: Final = N_("Options are given at the start: gmessenger-client --help lists them.")
CONNECTION_STATE: Final = N_("No such command is needed: the client reports when the connection is lost.")
SHOW_HISTORY: Final = N_("/history N shows earlier messages.")
SHOW_HELP: Final = N_("All commands are in /help.")
ANSWERS: Final = (
    (CHANGE_NAME, "nick nickname name rename setname handle"),
    (LIST_ROOMS_OR_USERS, "ls channels chans groups dir"),
    (LIST_USERS, "who whowas ison online contacts friends roster finger info seen"),
    (JOIN_ROOM, "channel chan room enter subscribe"),
    (MAKE_ROOM, "create new newroom"),
    (SEND_MESSAGE, "whisper tell dm pm m t send say notice r chat privmsg wall"),
    (ACTION, "action emote slap shrug describe"),
    (SET_STATUS, "afk brb dnd busy available invisible presence mood"),
    (INVITE, "inv add"),
    (LEAVE_OR_QUIT, "x bye logoff disconnect end abort die wc"),
    (BLOCK_USER, "squelch"),
    (HIDE_CONVERSATION, "cl archive"),
    (SEARCH, "find grep lastlog f"),
    (SWITCH_CONVERSATION, "window win buffer b next prev goto tab switch sw"),
    (CHOOSE_SERVER, "server connect reconnect"),
    (REGISTER_ACCOUNT, "login identify auth account nickserv ns signup"),
    (CHANGE_MESSAGE, "e s correct fix del delete unsend undo retract redact"),
    (REACT, "like star upvote thread pin quote"),
    (GIVE_ROLE, "op deop halfop voice devoice owner mod admin oper chanserv cs promote demote"),
    (SET_RULES, "mode lock unlock moderate"),
    (SEND_FILE, "files dcc attach share"),
    (COMMAND_LINE_OPTIONS, "set config settings theme options prefs preferences bell"),
    (CONNECTION_STATE, "ping ctcp version time lag uptime motd"),
    (SHOW_HISTORY, "last log scrollback hist lastmsg"),
    (SHOW_HELP, "? h commands cmds man"),
)
FOREIGN_COMMANDS: Final[Mapping[str, str]] = {f"/{word}": answer for answer, words in ANSWERS for word in words.split()}
"""Each command of another program, and the answer to it."""
