"""gmessenger: a chat server that keeps every message it has acknowledged, and a terminal client for it.

Importing the package patches nothing; only the entry points do.
"""

__version__ = "0.1.0"
