"""From the command line to one thing done and an exit code; every fault is one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Final

from gmessenger.admin import commands
from gmessenger.commandline import ADMIN, parse, parser_of
from gmessenger.errors import ExitError, FileProblem, MessengerError, Refused, StoreUnavailable, UsageError
from gmessenger.stdout import discard_output, print_text
from gmessenger.terminal_text import print_error, visible_lines

TRY_LATER: Final = 75
UNEXPECTED: Final = 1
COMPLETION: Final = "--print-completion"
WITH_VALUE: Final = ("-c", "--config", COMPLETION, *(name for row in ADMIN.rows for name in (row.long, *row.spellings)))
ATTACHED: Final = tuple(f"{name}=" if name.startswith("--") else name for name in WITH_VALUE)
"""How an option begins that has its value in the same word."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, do, say what came of it. Raises SystemExit only for --help and its like."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, words = split(given)
        if {"-h", "--help"} & set(options):
            print_text(f"{visible_lines(commands.overview())}\n\n")
        if COMPLETION in options:
            commands.with_commands(parser_of(ADMIN)).parse_args(options)
        settings = parse(ADMIN, options)
        if not words:
            raise UsageError("Give a command. See gmessenger-admin --help.")
        code = commands.obey(settings, words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return UNEXPECTED
    except BrokenPipeError:  # who read the output has read enough
        discard_output()
        return 0
    except Exception as error:
        return _fail(error)


def _fail(error: Exception) -> int:
    """Say in one line what went wrong; returns the exit code."""
    if isinstance(error, OSError):
        discard_output()
        where = f" {error.filename}" if error.filename else ""
        error = FileProblem(f"Cannot read or write{where}: {error.strerror or error}.")
    elif isinstance(error, UnicodeError):
        error = UsageError("The input is not valid UTF-8.")
    elif not isinstance(error, MessengerError):
        error = ExitError(f"Internal error ({type(error).__name__}: {error}).")
    told = error.for_operators if isinstance(error, StoreUnavailable) else error
    print_error(f"{ADMIN.program}: {told}")
    return exit_code(error)


def split(given: list[str]) -> tuple[list[str], list[str]]:
    """The options, and the command with what belongs to it. Ours may stand before it and behind it."""
    options: list[str] = []
    words: list[str] = []
    rest = iter(given)
    for each in rest:
        if each in WITH_VALUE:
            options += [each, *islice(rest, 1)]
        elif each.startswith(ATTACHED) or (not words and each.startswith("-")):
            options.append(each)
        else:
            words.append(each)
    return options, words


def exit_code(error: MessengerError) -> int:
    if isinstance(error, ExitError):
        return error.exit_code
    return TRY_LATER if error.retry else Refused.exit_code
