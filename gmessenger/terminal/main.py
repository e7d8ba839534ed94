"""The entry point of gmessenger-client: parse the options, run the client, and return its exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from shutil import which
from typing import Final

from gmessenger import log
from gmessenger.config.options import ClientOptions
from gmessenger.config.parser import CLIENT, parse_options
from gmessenger.config.sources import format_sources, resolve_sources
from gmessenger.console import print_error, print_text
from gmessenger.errors import ExitError, FileError, UsageError
from gmessenger.log_files import SharedLog
from gmessenger.sanitize import sanitize
from gmessenger.terminal import dates, i18n
from gmessenger.terminal.i18n import N_, _, as_notice, localize
from gmessenger.terminal.shutdown import EXIT_INTERRUPTED
from gmessenger.terminal.stdio import is_stdin_tty, open_missing_descriptors

UNIX_MODULES: Final = frozenset({"termios", "fcntl"})
# Each condition under which the options make no sense together, and the error message.
OPTION_CHECKS: Final[tuple[tuple[Callable[[ClientOptions], object], str], ...]] = (
    (lambda options: options.to is not None and options.listen, "Use --to or --listen, not both."),
    (lambda options: options.whole and options.to is None, "--whole works only with --to."),
    (lambda options: options.file and options.to is None, "--file works only with --to."),
    (lambda options: options.message is not None and not options.file, "--message works only with --file."),
    (lambda options: options.file and options.whole, "Use --file or --whole, not both."),
    (lambda options: options.file.count("-") > 1, "The input can be sent once only."),
    (lambda options: options.json and not options.listen, "--json works only with --listen."),
    (lambda options: options.exec and not options.listen, "--exec works only with --listen."),
    (lambda options: options.own and (not options.json or options.exec), "--own works only with --listen --json."),
    (
        lambda options: options.exec and not which(shlex.split(options.exec)[0]),
        "--exec does not name a program that can be run.",
    ),
    (
        lambda options: options.tls and not options.is_encrypted,
        "A ws:// or http:// URL is not encrypted; with --tls it has to begin with wss:// or https://.",
    ),
    (
        lambda options: (options.ca or options.pin) and not options.is_encrypted,
        "--ca and --pin work only with --tls or a wss:// URL.",
    ),
    (lambda options: options.to == "", "--to needs a name or a #room."),
    (lambda options: not options.name and (options.to or options.listen), "--to and --listen need --name."),
    (
        lambda options: not options.name and not is_stdin_tty(),
        "Give a name with --name: without a terminal, the client cannot ask for it.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the client, and return its exit code. Raises SystemExit for --help and the like."""
    open_missing_descriptors()
    i18n.install()
    dates.set_time_locale()
    try:
        options = parse_options(CLIENT, arguments)
        if options.check:
            print_text("".join(f"{sanitize(line)}\n" for line in format_sources(resolve_sources(CLIENT, arguments)[1])))
            return 0
        check(options)
        configure_log(options)
        return run(options, sys.argv[1:] if arguments is None else arguments)
    except ExitError as error:
        print_error(f"{CLIENT.name}: {localize(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def check(options: ClientOptions) -> None:
    """Raise `UsageError` if the options make no sense together."""
    for is_wrong, message in OPTION_CHECKS:
        if is_wrong(options):
            raise UsageError(message)


def configure_log(options: ClientOptions) -> None:
    """Open the log. A default log file that cannot be written is only reported.

    Raises `FileError` if a file that was asked for cannot be written.
    """
    try:
        log.configure(options.log_destination(CLIENT.section), options.log_level, options.log_format, SharedLog)
    except FileError as error:
        if options.log_file is not None:
            raise
        log.configure(log.NO_LOG, options.log_level, options.log_format)
        print_error(as_notice(_("{reason} Nothing is logged.", reason=localize(error))))


def run(options: ClientOptions, arguments: Sequence[str]) -> int:
    """Run the client, and return its exit code. Raises `ExitError` if it cannot start."""
    try:
        from gmessenger.terminal.app import ClientApp
    except ImportError as error:
        if error.name not in UNIX_MODULES:
            raise
        raise ExitError(N_("This program needs a Unix terminal; the client library does not.")) from error
    return ClientApp(options, arguments).run()


if __name__ == "__main__":
    raise SystemExit(main())
