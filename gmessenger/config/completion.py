"""What a shell needs to complete a command's line, made from the command's own parser (`--print-completion`)."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from gettext import gettext
from typing import Any, Final

from gmessenger.console import print_text

SHELLS: Final = ("bash", "zsh", "fish")
FILE: Final = "FILE"


def add_completion_option(parser: ArgumentParser) -> None:
    """Have the parser take the option."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        metavar=f"{{{','.join(SHELLS)}}}",
        help=gettext("print the completion script of this command for that shell, then exit"),
    )


class _PrintCompletion(Action):
    """Prints what the shell is to evaluate, and ends."""

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
    """The words for one of SHELLS, with what there is to choose and where a file belongs."""
    import shtab  # takes as long as everything else together, and nobody else needs it

    for action in _walk_actions(parser):
        metavar = str(action.metavar or "")
        if metavar.strip("[]") == gettext(FILE):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif metavar.startswith("{"):
            action.choices = metavar.strip("{}").split(",")
    return str(shtab.complete(parser, shell))


def _walk_actions(parser: ArgumentParser) -> Iterator[Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, _SubParsersAction):
            for below in action.choices.values():
                yield from _walk_actions(below)
