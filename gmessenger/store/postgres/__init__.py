"""Remembers in PostgreSQL, which several nodes may share: it is the truth for all of them, and numbers the messages.
It must not know sessions, sockets, fronts, the bus, or how anything is said on the wire.
"""
