"""Reads a command's options: command line, then environment, then config file, then default (ConfigArgParse).

Every fault is one sentence that names the option and where it was given; only the command line's own exit with 2.
The help is in the language of the process's text domain, as the parser's own words are; only the client chooses one.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentError, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from gettext import gettext
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

import configargparse

from gmessenger import __version__
from gmessenger.completion import offer_completion
from gmessenger.configfile import check, config_file_of, open_file, section_parser
from gmessenger.errors import ConfigProblem, UsageError
from gmessenger.hosts import split_host_port
from gmessenger.options import ENVIRONMENT_PREFIX, AdminOptions, ClientOptions, Flag, Option, ServerOptions, table
from gmessenger.places import config_file
from gmessenger.sentences import Sentence
from gmessenger.stdout import print_text
from gmessenger.urls import masked_fault, masked_text

Options = TypeVar("Options", ServerOptions, ClientOptions, AdminOptions)
CONFIG_ENV: Final = ENVIRONMENT_PREFIX + "CONFIG"
NOT_GIVEN: Final = object()


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A command: the section of its config file, its option table, and the arguments it takes without a dash.

    `reads` is whose config file it reads, if not its own: it takes what it knows from it. A `personal` command is used
    by people, who may have a config file of their own, which is read when no other one is named.
    """

    section: str
    options: type[Options]
    about: str
    positionals: tuple[str, ...] = ()
    reads: Command[Any] | None = None
    personal: bool = False
    endpoint: tuple[str, str] | None = None
    """The keys of a host, which may be given as HOST:PORT, and of the port that it then sets."""

    @property
    def program(self) -> str:
        return f"gmessenger-{self.section}"

    @property
    def rows(self) -> tuple[Option, ...]:
        return table(self.options)

    @property
    def file(self) -> Command[Any]:
        return self.reads or self


SERVER: Final = Command(
    "server", ServerOptions, "A chat server: JIM over TCP, for native and course clients.", endpoint=("ip", "port")
)
CLIENT: Final = Command(
    "client",
    ClientOptions,
    "A chat client for the terminal and for pipes.",
    ("host", "port"),
    personal=True,
    endpoint=("host", "port"),
)
ADMIN: Final = Command("admin", AdminOptions, "Manage a server: its accounts, its rooms and its store.", reads=SERVER)


def parse(
    command: Command[Options], arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Options:
    """The options as given. Raises `UsageError` (2) or `ConfigProblem` (78); --help and the like raise SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--print-config" in given:
        print_text(config_text(command.file))
        raise SystemExit(0)
    environment = environment_of(command, environ)
    _check_environment(command, environment)
    namespace = vars(parser_of(command).parse_args(given, env_vars=environment))
    for key in command.positionals:
        if (value := namespace.pop(f"{key}_given")) is not None:
            namespace[key] = value
    if command.endpoint is not None:
        _split_endpoint(command, namespace, given, *command.endpoint)
    return command.options(**{row.key: namespace[row.key] for row in command.rows})


def _split_endpoint(
    command: Command[Any], namespace: dict[str, Any], words: list[str], host_key: str, port_key: str
) -> None:
    """Take the port out of a host that was given as HOST:PORT.

    It wins over a port from elsewhere, but for one on the command line. Raises `UsageError` where both are there and
    differ.
    """
    if not namespace[host_key]:
        return
    namespace[host_key], port = split_host_port(namespace[host_key])
    if port in (None, namespace[port_key]):
        return
    on_line = keys_on_line(command, words)
    if port_key not in on_line:
        namespace[port_key] = port
    elif host_key in on_line:
        raise UsageError(Sentence("The port is given twice: {one} and {other}.", one=port, other=namespace[port_key]))


def keys_on_line(command: Command[Any], words: list[str]) -> set[str]:
    """Return the keys of the options that the command line itself sets."""
    parser = parser_of(command)
    parser.set_defaults(**{row.key: NOT_GIVEN for row in command.rows})
    nothing = f"[{command.file.section}]\n"
    namespace = vars(parser.parse_args(words, env_vars={}, config_file_contents=nothing))
    bare = {key for key in command.positionals if namespace[f"{key}_given"] is not None}
    return bare | {row.key for row in command.rows if namespace[row.key] is not NOT_GIVEN}


def environment_of(command: Command[Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are ours; an empty one counts as unset. A person's own config file counts as named by one."""
    ours = {name: value for name, value in environ.items() if name.startswith(ENVIRONMENT_PREFIX) and value}
    own = config_file(command.section, environ) if command.personal else None
    return {CONFIG_ENV: str(own)} | ours if own is not None and _is_there(own) else ours


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # in a directory that is not for us
        return False


EPILOG: Final = """\
Every option may also be set as {prefix}… in the environment (--port: MESSENGER_PORT) or
in the [{section}] section of a config file; the command line takes precedence over the
environment, which takes precedence over the file."""
VERSION: Final = "show program's version number and exit"
OWN_FILE: Final = "The default config file is ~/.config/gmessenger/client.ini."


class _Parser(configargparse.ArgumentParser):  # type: ignore[misc]
    """ConfigArgParse's parser, with errors raised instead of printed."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            print_text(message)

    def error(self, message: str) -> NoReturn:
        if isinstance(cause := sys.exception(), ConfigProblem):
            raise cause
        raise UsageError(Sentence("{fault}. See {program} --help.", fault=_fault(message, cause), program=self.prog))


def _fault(message: str, cause: BaseException | None) -> Sentence:
    """What the parser complains of, in sentences that can be said in another language where they are known."""
    if isinstance(cause, ArgumentError) and isinstance(cause.message, Sentence) and cause.argument_name:
        fault = masked_fault(cause.message)
        return Sentence(
            "Argument {name}: {fault}",
            name=cause.argument_name,
            fault=cause.message if fault == cause.message else fault,
        )
    begins, _, words = message.partition(": ")
    if begins == "unrecognized arguments":
        return Sentence("Unrecognized arguments: {words}", words=masked_text(words))
    return Sentence(masked_fault(message[:1].upper() + message[1:].rstrip(".")))


def parser_of(command: Command[Any]) -> _Parser:
    """The parser of a command, as ConfigArgParse has it; `parse` is what to use it by."""
    parser = _Parser(
        prog=command.program,
        description=gettext(command.about),
        formatter_class=partial(RawDescriptionHelpFormatter, max_help_position=32),
        config_file_parser_class=section_parser(command.file.section, command.file.rows, command.rows),
        config_file_open_func=open_file,
        add_config_file_help=False,
        add_env_var_help=False,
        allow_abbrev=False,
        epilog=_epilog(command),
    )
    for key in command.positionals:
        row = next(row for row in command.rows if row.key == key)
        parser.add_argument(
            f"{key}_given",
            nargs="?",
            type=row.kind.read,
            metavar=gettext(key.upper()),
            help=gettext("the same as {option}").format(option=row.long),
        )
    parser.add_argument(
        "-c",
        "--config",
        is_config_file=True,
        env_var=CONFIG_ENV,
        metavar=gettext("FILE"),
        help=gettext("a config file"),
    )
    for row in command.rows:
        _add(parser, row)
    offer_completion(parser)
    parser.add_argument(
        "--print-config", action="store_true", help=gettext("print the default config file, with comments, then exit")
    )
    parser.add_argument("--version", action="version", version=f"gmessenger {__version__}", help=gettext(VERSION))
    return parser


def _epilog(command: Command[Any]) -> str:
    every = gettext(EPILOG).format(prefix=ENVIRONMENT_PREFIX, section=command.file.section)
    return f"{every} {gettext(OWN_FILE)}" if command.personal else every


def _add(parser: _Parser, row: Option) -> None:
    # The long name comes last: ConfigArgParse hands on values from files and the environment under the last one.
    names = [*row.spellings, row.long]
    default = f" [{row.shown}]" if row.shown else ""
    what = f"{gettext(row.what)}{default}".replace("%", "%%")
    if row.kind is Flag:
        parser.add_argument(
            *names, dest=row.key, action="store_true", default=row.default, env_var=row.env or None, help=what
        )
    else:
        kind = row.kind
        parser.add_argument(
            *names,
            dest=row.key,
            type=kind.read,
            default=row.default,
            env_var=row.env or None,
            metavar=gettext(kind.metavar),
            help=what,
        )


def _check_environment(command: Command[Any], environment: Mapping[str, str]) -> None:
    for row in command.rows:
        if (value := environment.get(row.env)) is not None:
            check(row, value, Sentence("The environment variable {name}", name=row.env))


def config_text(command: Command[Any]) -> str:
    """The shipped config file."""
    about = f"{command.program}: {command.about}"
    return config_file_of(about, command.section, command.rows, reloads=command is SERVER)
