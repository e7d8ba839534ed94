"""gmessenger: a chat server one person can run, and a terminal client that never loses a line.

Importing the package patches nothing; only the entry points do.
"""

__version__ = "0.1.0"
