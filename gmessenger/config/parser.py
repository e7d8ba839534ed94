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
from gmessenger.config.completion import add_completion_option
from gmessenger.config.files import check_value, open_file, render_config, section_parser
from gmessenger.config.options import (
    ENVIRONMENT_PREFIX,
    FLAG,
    AdminOptions,
    ClientOptions,
    Option,
    ServerOptions,
    option_rows,
)
from gmessenger.console import print_text
from gmessenger.errors import ConfigError, UsageError
from gmessenger.hosts import split_host_port
from gmessenger.paths import config_file
from gmessenger.text import Text
from gmessenger.urls import redact_error, redact_text

OptionsT = TypeVar("OptionsT", ServerOptions, ClientOptions, AdminOptions)
CONFIG_ENV_VAR: Final = ENVIRONMENT_PREFIX + "CONFIG"
NOT_GIVEN: Final = object()


@dataclass(frozen=True)
class Program(Generic[OptionsT]):
    """A command: the section of its config file, its option table, and the arguments it takes without a dash.

    `reads` is whose config file it reads, if not its own: it takes what it knows from it. A `personal` command is used
    by people, who may have a config file of their own, which is read when no other one is named.
    """

    section: str
    options_class: type[OptionsT]
    description: str
    positionals: tuple[str, ...] = ()
    config_program: Program[Any] | None = None
    has_user_config: bool = False
    endpoint_keys: tuple[str, str] | None = None
    """The keys of a host, which may be given as HOST:PORT, and of the port that it then sets."""

    @property
    def name(self) -> str:
        return f"gmessenger-{self.section}"

    @property
    def rows(self) -> tuple[Option, ...]:
        return option_rows(self.options_class)

    @property
    def config_owner(self) -> Program[Any]:
        return self.config_program or self


SERVER: Final = Program(
    "server", ServerOptions, "A chat server: JIM over TCP, for native and course clients.", endpoint_keys=("ip", "port")
)
CLIENT: Final = Program(
    "client",
    ClientOptions,
    "A chat client for the terminal and for pipes.",
    ("host", "port"),
    has_user_config=True,
    endpoint_keys=("host", "port"),
)
ADMIN: Final = Program(
    "admin", AdminOptions, "Manage a server: its accounts, its rooms and its store.", config_program=SERVER
)


def parse_options(
    program: Program[OptionsT], arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ
) -> OptionsT:
    """The options as given. Raises `UsageError` (2) or `ConfigError` (78); --help and the like raise SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--print-config" in given:
        print_text(default_config(program.config_owner))
        raise SystemExit(0)
    environment = own_environment(program, environ)
    _check_environment(program, environment)
    namespace = vars(make_parser(program).parse_args(given, env_vars=environment))
    for key in program.positionals:
        if (value := namespace.pop(f"{key}_given")) is not None:
            namespace[key] = value
    if program.endpoint_keys is not None:
        _split_endpoint(program, namespace, given, *program.endpoint_keys)
    return program.options_class(**{row.key: namespace[row.key] for row in program.rows})


def _split_endpoint(
    program: Program[Any], namespace: dict[str, Any], arguments: list[str], host_key: str, port_key: str
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
    on_line = keys_on_command_line(program, arguments)
    if port_key not in on_line:
        namespace[port_key] = port
    elif host_key in on_line:
        raise UsageError(Text("The port is given twice: {one} and {other}.", one=port, other=namespace[port_key]))


def keys_on_command_line(program: Program[Any], arguments: list[str]) -> set[str]:
    """Return the keys of the options that the command line itself sets."""
    parser = make_parser(program)
    parser.set_defaults(**{row.key: NOT_GIVEN for row in program.rows})
    nothing = f"[{program.config_owner.section}]\n"
    namespace = vars(parser.parse_args(arguments, env_vars={}, config_file_contents=nothing))
    bare = {key for key in program.positionals if namespace[f"{key}_given"] is not None}
    return bare | {row.key for row in program.rows if namespace[row.key] is not NOT_GIVEN}


def own_environment(program: Program[Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are ours; an empty one counts as unset. A person's own config file counts as named by one."""
    ours = {name: value for name, value in environ.items() if name.startswith(ENVIRONMENT_PREFIX) and value}
    own = config_file(program.section, environ) if program.has_user_config else None
    return {CONFIG_ENV_VAR: str(own)} | ours if own is not None and _is_file(own) else ours


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # in a directory that is not for us
        return False


EPILOG: Final = """\
Every option may also be set as {prefix}… in the environment (--port: MESSENGER_PORT) or
in the [{section}] section of a config file; the command line takes precedence over the
environment, which takes precedence over the file."""
VERSION_HELP: Final = "show program's version number and exit"
USER_CONFIG_HELP: Final = "The default config file is ~/.config/gmessenger/client.ini."


class _OptionParser(configargparse.ArgumentParser):  # type: ignore[misc]
    """ConfigArgParse's parser, with errors raised instead of printed."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            print_text(message)

    def error(self, message: str) -> NoReturn:
        if isinstance(cause := sys.exception(), ConfigError):
            raise cause
        raise UsageError(
            Text("{fault}. See {program} --help.", fault=_describe_error(message, cause), program=self.prog)
        )


def _describe_error(message: str, cause: BaseException | None) -> Text:
    """What the parser complains of, in sentences that can be said in another language where they are known."""
    if isinstance(cause, ArgumentError) and isinstance(cause.message, Text) and cause.argument_name:
        fault = redact_error(cause.message)
        return Text(
            "Argument {name}: {fault}",
            name=cause.argument_name,
            fault=cause.message if fault == cause.message else fault,
        )
    begins, _, words = message.partition(": ")
    if begins == "unrecognized arguments":
        return Text("Unrecognized arguments: {words}", words=redact_text(words))
    return Text(redact_error(message[:1].upper() + message[1:].rstrip(".")))


def make_parser(program: Program[Any]) -> _OptionParser:
    """The parser of a command, as ConfigArgParse has it; `parse` is what to use it by."""
    parser = _OptionParser(
        prog=program.name,
        description=gettext(program.description),
        formatter_class=partial(RawDescriptionHelpFormatter, max_help_position=32),
        config_file_parser_class=section_parser(program.config_owner.section, program.config_owner.rows, program.rows),
        config_file_open_func=open_file,
        add_config_file_help=False,
        add_env_var_help=False,
        allow_abbrev=False,
        epilog=_epilog(program),
    )
    for key in program.positionals:
        row = next(row for row in program.rows if row.key == key)
        parser.add_argument(
            f"{key}_given",
            nargs="?",
            type=row.value_type.parse,
            metavar=gettext(key.upper()),
            help=gettext("the same as {option}").format(option=row.long_name),
        )
    parser.add_argument(
        "-c",
        "--config",
        is_config_file=True,
        env_var=CONFIG_ENV_VAR,
        metavar=gettext("FILE"),
        help=gettext("a config file"),
    )
    for row in program.rows:
        _add_option(parser, row)
    add_completion_option(parser)
    parser.add_argument(
        "--print-config", action="store_true", help=gettext("print the default config file, with comments, then exit")
    )
    parser.add_argument("--version", action="version", version=f"gmessenger {__version__}", help=gettext(VERSION_HELP))
    return parser


def _epilog(program: Program[Any]) -> str:
    every = gettext(EPILOG).format(prefix=ENVIRONMENT_PREFIX, section=program.config_owner.section)
    return f"{every} {gettext(USER_CONFIG_HELP)}" if program.has_user_config else every


def _add_option(parser: _OptionParser, row: Option) -> None:
    # The long name comes last: ConfigArgParse hands on values from files and the environment under the last one.
    names = [*row.aliases, row.long_name]
    default = f" [{row.default_text}]" if row.default_text else ""
    what = f"{gettext(row.description)}{default}".replace("%", "%%")
    if row.value_type is FLAG:
        parser.add_argument(
            *names, dest=row.key, action="store_true", default=row.default, env_var=row.env_var or None, help=what
        )
    else:
        kind = row.value_type
        parser.add_argument(
            *names,
            dest=row.key,
            type=kind.parse,
            default=row.default,
            env_var=row.env_var or None,
            metavar=gettext(kind.metavar),
            help=what,
        )


def _check_environment(program: Program[Any], environment: Mapping[str, str]) -> None:
    for row in program.rows:
        if (value := environment.get(row.env_var)) is not None:
            check_value(row, value, Text("The environment variable {name}", name=row.env_var))


def default_config(program: Program[Any]) -> str:
    """The shipped config file."""
    about = f"{program.name}: {program.description}"
    return render_config(about, program.section, program.rows, reloadable=program is SERVER)
