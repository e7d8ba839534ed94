"""Payloads of incoming hooks: the bodies that other programs post, translated into the text of one message.

Pure. `RULES` in `senders` is the table of programs. What a program says beside its text (a name, a channel, an icon) is
ignored: a hook speaks as itself, in its room.
"""
