"""Parse the command line, run the command, and turn any error into one line on stderr and an exit code."""

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
"""The beginnings of arguments that hold an option and its value."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the arguments; return its exit code. Raises SystemExit only for --help."""
    try:
        options, words = split_arguments(list(sys.argv[1:] if arguments is None else arguments))
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
    except BrokenPipeError:  # the reader of a pipe has closed it, as `head` does
        discard_output()
        return 0
    except Exception as error:
        return _report_error(error)


def _report_error(error: Exception) -> int:
    """Print an error as one line on stderr; return the exit code."""
    if isinstance(error, OSError):
        discard_output()
        where = f" {error.filename}" if error.filename else ""
        error = FileError(f"Cannot read or write{where}: {error.strerror or error}.")
    elif isinstance(error, UnicodeError):
        error = UsageError("The input is not valid UTF-8.")
    elif not isinstance(error, MessengerError):
        error = ExitError(f"Internal error ({type(error).__name__}: {error}).")
    message = error.operator_message if isinstance(error, StoreUnavailable) else error
    print_error(f"{ADMIN.name}: {message}")
    return exit_code(error)


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split arguments into general options, which may stand anywhere, and the command's words."""
    options: list[str] = []
    words: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument in OPTIONS_WITH_VALUE:
            options += [argument, *islice(remaining, 1)]
        elif argument.startswith(ATTACHED_PREFIXES) or (not words and argument.startswith("-")):
            options.append(argument)
        else:
            words.append(argument)
    return options, words


def exit_code(error: MessengerError) -> int:
    """Return an error's exit code: its own, 75 if it is retryable, otherwise that of `Refused`."""
    if isinstance(error, ExitError):
        return error.exit_code
    return EXIT_TRY_LATER if error.retryable else Refused.exit_code
