"""The command `gmessenger-admin`: accounts, invites, rooms, backups, and whether everything is still there.
It must not know sessions, fronts, or how the store is laid out; a running server does the work itself when asked.
"""
