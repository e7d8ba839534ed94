"""One server and several clients from one terminal, each in a window of its own: `python launcher.py --clients 3`.

With `--nodes 3` it is a cluster of three servers, and a PostgreSQL and a Redis of their own, where none are named.
What does it is `gmessenger/launcher`; this file is the command.
"""

from gmessenger.launcher.main import run

if __name__ == "__main__":
    run()
