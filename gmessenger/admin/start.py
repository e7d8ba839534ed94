"""From the command line to one thing done and an exit code; every fault is one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Final

from gmessenger.admin import commands
from gmessenger.config.parser import ADMIN, make_parser, parse_options
from gmessenger.console import discard_output, print_error, print_text
from gmessenger.errors import ExitError, FileError, MessengerError, Refused, StoreUnavailable, UsageError
from gmessenger.sanitize import sanitize_lines

EXIT_TRY_LATER: Final = 75
EXIT_UNEXPECTED: Final = 1
COMPLETION_OPTION: Final = "--print-completion"
OPTIONS_WITH_VALUE: Final = (
    "-c",
    "--config",
    COMPLETION_OPTION,
    *(name for row in ADMIN.rows for name in (row.long_name, *row.aliases)),
)
ATTACHED_PREFIXES: Final = tuple(f"{name}=" if name.startswith("--") else name for name in OPTIONS_WITH_VALUE)
"""How an option begins that has its value in the same word."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, do, say what came of it. Raises SystemExit only for --help and its like."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, words = split_arguments(given)
        if {"-h", "--help"} & set(options):
            print_text(f"{sanitize_lines(commands.help_text())}\n\n")
        if COMPLETION_OPTION in options:
            commands.add_commands(make_parser(ADMIN)).parse_args(options)
        settings = parse_options(ADMIN, options)
        if not words:
            raise UsageError("Give a command. See gmessenger-admin --help.")
        code = commands.run_command(settings, words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return EXIT_UNEXPECTED
    except BrokenPipeError:  # who read the output has read enough
        discard_output()
        return 0
    except Exception as error:
        return _report_error(error)


def _report_error(error: Exception) -> int:
    """Say in one line what went wrong; returns the exit code."""
    if isinstance(error, OSError):
        discard_output()
        where = f" {error.filename}" if error.filename else ""
        error = FileError(f"Cannot read or write{where}: {error.strerror or error}.")
    elif isinstance(error, UnicodeError):
        error = UsageError("The input is not valid UTF-8.")
    elif not isinstance(error, MessengerError):
        error = ExitError(f"Internal error ({type(error).__name__}: {error}).")
    told = error.operator_message if isinstance(error, StoreUnavailable) else error
    print_error(f"{ADMIN.name}: {told}")
    return exit_code(error)


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The options, and the command with what belongs to it. Ours may stand before it and behind it."""
    options: list[str] = []
    words: list[str] = []
    rest = iter(arguments)
    for each in rest:
        if each in OPTIONS_WITH_VALUE:
            options += [each, *islice(rest, 1)]
        elif each.startswith(ATTACHED_PREFIXES) or (not words and each.startswith("-")):
            options.append(each)
        else:
            words.append(each)
    return options, words


def exit_code(error: MessengerError) -> int:
    if isinstance(error, ExitError):
        return error.exit_code
    return EXIT_TRY_LATER if error.retryable else Refused.exit_code
