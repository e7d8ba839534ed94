"""From the command line to one thing done and an exit code; every fault is one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from gmessenger.admin import commands
from gmessenger.commandline import ADMIN, parse
from gmessenger.errors import ExitError, MessengerError, Refused, UsageError

TRY_LATER: Final = 75
STANDING_ALONE: Final = frozenset({"-h", "--help", "--version", "--print-config"})


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, do, say what came of it. Raises SystemExit only for --help and its like."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, words = split(given)
        if {"-h", "--help"} & set(options):
            print(commands.overview(), end="\n\n")
        settings = parse(ADMIN, options)
        if not words:
            raise UsageError("Say what to do. See gmessenger-admin --help.")
        return commands.obey(settings, words)
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:  # who read the output has read enough
        sys.stderr.close()
        return 0
    except MessengerError as error:
        print(f"{ADMIN.program}: {error}", file=sys.stderr)
        return exit_code(error)


def split(given: list[str]) -> tuple[list[str], list[str]]:
    """The options, and the command with what belongs to it: every option here but a few takes a value."""
    place = 0
    while place < len(given) and given[place].startswith("-"):
        place += 1 if given[place] in STANDING_ALONE or "=" in given[place] else 2
    return given[:place], given[place:]


def exit_code(error: MessengerError) -> int:
    if isinstance(error, ExitError):
        return error.exit_code
    return TRY_LATER if error.retry else Refused.exit_code
