"""The contents of files, on disk and named by their SHA-256 digest; which of them are kept is decided by the store.

Nothing here knows messages, accounts or HTTP. A content is written before its id is told, and deleted after the
last row of the store that names it; `ContentFolder` says how a crash between any two steps is repaired.
"""
