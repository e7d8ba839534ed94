"""`python -m gmessenger server|client|admin`: the same as the commands gmessenger-server, -client and -admin."""

import sys

COMMANDS = {"server": "gmessenger.server.main", "client": "gmessenger.terminal.main", "admin": "gmessenger.admin.main"}


def main() -> int:
    """Run the named command with the remaining arguments."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(f"Usage: python -m gmessenger {{{','.join(COMMANDS)}}} [option ...]", file=sys.stderr)
        return 2
    from importlib import import_module

    command = import_module(COMMANDS[sys.argv.pop(1)])
    return int(command.main())


if __name__ == "__main__":
    sys.exit(main())
