"""Parse a program's options: command line, then environment, then config file, then default (ConfigArgParse).

Every error is one sentence that names the option and its source: `UsageError` (exit code 2) for the command line,
`ConfigError` (78) otherwise. Help is translated by the process's gettext domain, which only the client sets.
"""

from __future__ import annotations

import os
import sys
from argparse import Action, ArgumentError, RawDescriptionHelpFormatter
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
from gmessenger.server_urls import is_server_url, parse_server_url
from gmessenger.text import Text
from gmessenger.urls import redact_error, redact_text

OptionsT = TypeVar("OptionsT", ServerOptions, ClientOptions, AdminOptions)
CONFIG_ENV_VAR: Final = ENVIRONMENT_PREFIX + "CONFIG"
NOT_GIVEN: Final = object()


@dataclass(frozen=True)
class Program(Generic[OptionsT]):
    """A program: the section of its config file, its table of options, and its positional arguments.

    `config_program`: the program whose config file it reads, if not its own; it uses the options that it knows.
    `has_user_config`: without --config it reads the user's file (~/.config/gmessenger/).
    """

    section: str
    options_class: type[OptionsT]
    description: str
    positionals: tuple[str, ...] = ()
    config_program: Program[Any] | None = None
    has_user_config: bool = False
    endpoint_keys: tuple[str, str] | None = None
    """The keys of the host, which may be given as HOST:PORT, and of the port."""

    @property
    def name(self) -> str:
        return f"gmessenger-{self.section}"

    @property
    def rows(self) -> tuple[Option, ...]:
        return option_rows(self.options_class)

    @property
    def config_owner(self) -> Program[Any]:
        """The program to which the config file belongs."""
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
    """Return the options with their values. `arguments`: by default those of the process.

    Raises `UsageError` or `ConfigError`; SystemExit for --help and the like.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    if "--print-config" in args:
        print_text(default_config(program.config_owner))
        raise SystemExit(0)
    environment = own_environment(program, environ)
    _check_environment(program, environment)
    namespace = vars(make_parser(program).parse_args(args, env_vars=environment))
    for key in program.positionals:
        if (value := namespace.pop(f"{key}_given")) is not None:
            namespace[key] = value
    if program.endpoint_keys is not None:
        _split_endpoint(program, namespace, args, *program.endpoint_keys)
    return program.options_class(**{row.key: namespace[row.key] for row in program.rows})


def _split_endpoint(
    program: Program[Any], namespace: dict[str, Any], arguments: list[str], host_key: str, port_key: str
) -> None:
    """Take the port out of a host that was given as HOST:PORT.

    It takes precedence over any other port, except one on the command line. Raises `UsageError` if the command line has
    both and they differ.
    """
    if not namespace[host_key]:
        return
    if is_server_url(namespace[host_key]):
        _split_url(program, namespace, arguments, host_key, port_key)
        return
    namespace[host_key], port = split_host_port(namespace[host_key])
    if port in (None, namespace[port_key]):
        return
    given_keys = keys_on_command_line(program, arguments)
    if port_key not in given_keys:
        namespace[port_key] = port
    elif host_key in given_keys:
        raise UsageError(Text("The port is given twice: {one} and {other}.", one=port, other=namespace[port_key]))


def _split_url(
    program: Program[Any], namespace: dict[str, Any], arguments: list[str], host_key: str, port_key: str
) -> None:
    """Take the invite out of a URL, whose port takes precedence over any other.

    Raises `UsageError` if the command line has another port.
    """
    url = parse_server_url(namespace[host_key])
    port, namespace[host_key], namespace[port_key] = namespace[port_key], str(url), 0
    namespace["invite"] = namespace["invite"] or url.invite
    if port not in (0, url.port) and port_key in keys_on_command_line(program, arguments):
        raise UsageError(Text("{url} has its port in itself; {port} is another one.", url=url, port=port))


def keys_on_command_line(program: Program[Any], arguments: list[str]) -> set[str]:
    """Return the keys of the options that the command line sets."""
    parser = make_parser(program)
    parser.set_defaults(**{row.key: NOT_GIVEN for row in program.rows})
    empty_file = f"[{program.config_owner.section}]\n"
    namespace = vars(parser.parse_args(arguments, env_vars={}, config_file_contents=empty_file))
    positionals = {key for key in program.positionals if namespace[f"{key}_given"] is not None}
    return positionals | {row.key for row in program.rows if namespace[row.key] is not NOT_GIVEN}


def own_environment(program: Program[Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the non-empty MESSENGER_ variables; one names the user's config file, if it exists."""
    variables = {name: value for name, value in environ.items() if name.startswith(ENVIRONMENT_PREFIX) and value}
    user_file = config_file(program.section, environ) if program.has_user_config else None
    return {CONFIG_ENV_VAR: str(user_file)} | variables if user_file and _is_file(user_file) else variables


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # in a directory that this user may not read
        return False


EPILOG: Final = """\
Every option may also be set as {prefix}… in the environment (--port: MESSENGER_PORT) or
in the [{section}] section of a config file; the command line takes precedence over the
environment, which takes precedence over the file."""
VERSION_HELP: Final = "show program's version number and exit"
USER_CONFIG_HELP: Final = "The default config file is ~/.config/gmessenger/client.ini."


class _OptionParser(configargparse.ArgumentParser):  # type: ignore[misc]
    """ConfigArgParse's parser, which raises errors instead of printing them and exiting."""

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
    """Return the parser's error without secrets; translatable, if it is one of the two that have a text."""
    if isinstance(cause, ArgumentError) and isinstance(cause.message, Text) and cause.argument_name:
        redacted = redact_error(cause.message)
        return Text(
            "Argument {name}: {fault}",
            name=cause.argument_name,
            fault=cause.message if redacted == cause.message else redacted,
        )
    kind, _, words = message.partition(": ")
    if kind == "unrecognized arguments":
        return Text("Unrecognized arguments: {words}", words=redact_text(words))
    return Text(redact_error(message[:1].upper() + message[1:].rstrip(".")))


def make_parser(program: Program[Any]) -> _OptionParser:
    """Return the parser of a program. `parse_options` uses it, and so does shell completion."""
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
    for row in (row for key in program.positionals for row in program.rows if row.key == key):
        _add_positional(parser, row)
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
    epilog = gettext(EPILOG).format(prefix=ENVIRONMENT_PREFIX, section=program.config_owner.section)
    return f"{epilog} {gettext(USER_CONFIG_HELP)}" if program.has_user_config else epilog


def _add_positional(parser: _OptionParser, row: Option) -> None:
    """Let an option also be given without its name."""
    parser.add_argument(
        f"{row.key}_given",
        nargs="?",
        type=row.value_type.parse,
        metavar=gettext(row.key.upper()),
        help=gettext("the same as {option}").format(option=row.long_name),
    )


def _add_option(parser: _OptionParser, row: Option) -> None:
    # The long name comes last: ConfigArgParse hands on values from files and the environment under the last one.
    names = [*row.aliases, row.long_name]
    default = f" [{row.default_text}]" if row.default_text else ""
    description = f"{gettext(row.description)}{default}".replace("%", "%%")
    value_arguments: dict[str, Any] = {"action": "store_true"}
    if row.value_type is not FLAG:
        value_arguments = {"type": row.value_type.parse, "metavar": gettext(row.value_type.metavar)}
    if row.value_type.repeatable:
        value_arguments["action"] = _ArgumentCollector
    parser.add_argument(
        *names, dest=row.key, default=row.default, env_var=row.env_var or None, help=description, **value_arguments
    )


class _ArgumentCollector(Action):
    """Adds the value of an option that may be given several times to those before it."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option: str | None = None) -> None:
        known = getattr(namespace, self.dest)
        setattr(namespace, self.dest, (*(known if isinstance(known, tuple) else ()), value))


def _check_environment(program: Program[Any], environment: Mapping[str, str]) -> None:
    """Check variables. Raises `ConfigError`, where ConfigArgParse would blame the command line."""
    for row in program.rows:
        if (value := environment.get(row.env_var)) is not None:
            check_value(row, value, Text("The environment variable {name}", name=row.env_var))


def default_config(program: Program[Any]) -> str:
    """Return the text of the shipped config file."""
    title = f"{program.name}: {program.description}"
    return render_config(title, program.section, program.rows, reloadable=program is SERVER)
