"""The entry point of gmessenger-client: reads the options, and ends with an exit code and at most one sentence."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from shutil import which
from typing import Final

from gmessenger import logs
from gmessenger.commandline import CLIENT, parse
from gmessenger.errors import ExitError, FileProblem, UsageError
from gmessenger.given import given, listed
from gmessenger.log_files import SharedLog
from gmessenger.options import ClientOptions
from gmessenger.stdout import print_text
from gmessenger.terminal import dates, words
from gmessenger.terminal.ending import INTERRUPTED
from gmessenger.terminal.input import is_typed, occupy_standard_descriptors
from gmessenger.terminal.spoken import spoken
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import print_error, visible

UNIX: Final = frozenset({"termios", "fcntl"})
# What does not go together or is missing, and what is said of it.
FAULTS: Final[tuple[tuple[Callable[[ClientOptions], object], str], ...]] = (
    (lambda given: given.to is not None and given.listen, "Use --to or --listen, not both."),
    (lambda given: given.whole and given.to is None, "--whole works only with --to."),
    (lambda given: given.json and not given.listen, "--json works only with --listen."),
    (lambda given: given.exec and not given.listen, "--exec works only with --listen."),
    (lambda given: given.own and (not given.json or given.exec), "--own works only with --listen --json."),
    (
        lambda given: given.exec and not which(shlex.split(given.exec)[0]),
        "--exec does not name a program that can be run.",
    ),
    (lambda given: (given.ca or given.pin) and not given.tls, "--ca and --pin work only with --tls."),
    (lambda given: given.to == "", "--to needs a name or a #room."),
    (lambda given: not given.name and (given.to or given.listen), "--to and --listen need --name."),
    (
        lambda given: not given.name and not is_typed(),
        "Give a name with --name: without a terminal, the client cannot ask for it.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the client; returns its exit code. Raises nothing but SystemExit for --help and the like."""
    occupy_standard_descriptors()
    words.choose()
    dates.adopt_locale()
    try:
        options = parse(CLIENT, arguments)
        if options.check:
            print_text("".join(f"{visible(line)}\n" for line in listed(given(CLIENT, arguments)[1])))
            return 0
        check(options)
        configure_log(options)
        return run(options, sys.argv[1:] if arguments is None else arguments)
    except ExitError as error:
        print_error(f"{CLIENT.program}: {spoken(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def check(options: ClientOptions) -> None:
    """Raises `UsageError` for options that make no sense together."""
    for wrong, sentence in FAULTS:
        if wrong(options):
            raise UsageError(sentence)


def configure_log(options: ClientOptions) -> None:
    """A log that nobody asked for stops nobody. Raises `FileProblem` where the one that was cannot be written."""
    try:
        logs.configure(options.log_place(CLIENT.section), options.log_level, options.log_format, SharedLog)
    except FileProblem as error:
        if options.log_file is not None:
            raise
        logs.configure(logs.NOWHERE, options.log_level, options.log_format)
        print_error(noted(_("{reason} Nothing is logged.", reason=spoken(error))))


def run(options: ClientOptions, arguments: Sequence[str]) -> int:
    """Run the client; returns its exit code. Raises `ExitError` where it cannot begin."""
    try:
        from gmessenger.terminal.client import Client
    except ImportError as error:
        if error.name not in UNIX:
            raise
        raise ExitError(N_("This program needs a Unix terminal; the client library does not.")) from error
    return Client(options, arguments).run()


if __name__ == "__main__":
    raise SystemExit(main())
