"""Completion scripts for shells (`--print-completion`), made by shtab from a command's parser."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from gettext import gettext
from typing import Any, Final

from gmessenger.console import print_text

SHELLS: Final = ("bash", "zsh", "fish")
FILE: Final = "FILE"


def add_completion_option(parser: ArgumentParser) -> None:
    """Add `--print-completion` to a parser."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        metavar=f"{{{','.join(SHELLS)}}}",
        help=gettext("print the completion script of this command for that shell, then exit"),
    )


class _PrintCompletion(Action):
    """Prints the script that a shell evaluates, and raises SystemExit."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option: str | None = None,
    ) -> None:
        print_text(f"{completion_script(parser, str(values))}\n")
        raise SystemExit(0)


def completion_script(parser: ArgumentParser, shell: str) -> str:
    """Return the completion script for one of SHELLS, with choices and files for options."""
    import shtab  # its import takes as long as all others together

    for action in _walk_actions(parser):
        metavar = str(action.metavar or "")
        if metavar.strip("[]") == gettext(FILE):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif metavar.startswith("{"):
            action.choices = metavar.strip("{}").split(",")
    return str(shtab.complete(parser, shell))


def _walk_actions(parser: ArgumentParser) -> Iterator[Action]:
    """Yield the actions of a parser and of all its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, _SubParsersAction):
            for subparser in action.choices.values():
                yield from _walk_actions(subparser)
