"""Installed data files: manual pages match the tables of options, and shells complete commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from gmessenger.config.completion import SHELLS, completion_script
from gmessenger.config.parser import ADMIN, CLIENT, SERVER, Program, make_parser
from scripts.man_pages import ALL, PAGES, page
from tests import ROOT

NO_DATE = "missing date"
"""mandoc's warning about the missing date, which a generated page does not have."""
every_command = pytest.mark.parametrize("command", ALL, ids=lambda command: command.section)


def needs(tool: str) -> Any:
    return pytest.mark.skipif(which(tool) is None, reason=f"{tool} is not installed")


@every_command
def test_the_page_is_what_the_tables_say(command: Program[Any]) -> None:
    assert (PAGES / f"{command.name}.1").read_text("utf-8") == page(command), "run `make config`"


@every_command
@needs("mandoc")
def test_the_page_is_well_formed(command: Program[Any]) -> None:
    file = PAGES / f"{command.name}.1"
    output = subprocess.run(["mandoc", "-Tlint", "-Wwarning", file], capture_output=True, text=True).stdout
    assert [line for line in output.splitlines() if NO_DATE not in line] == []


@pytest.fixture
def shell_path(tmp_path: Path) -> dict[str, str]:
    """Return an environment with the commands in its PATH, as if they were installed."""
    for command in ALL:
        script = tmp_path / "bin" / command.name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m gmessenger {command.section} "$@"\n')
        script.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "TERM": "dumb", "LANG": "C.UTF-8"}


def run_shell(words: list[str], env: dict[str, str]) -> list[str]:
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


TYPED = [
    (CLIENT, "--log-le", ["--log-level"]),
    (CLIENT, "--log-level w", ["warning"]),
    (SERVER, "--registration ", ["open", "invite", "closed"]),
    (ADMIN, "user gr", ["grant"]),
    (ADMIN, "status --", ["--help"]),
]
"""What is typed after a command, and completions that a shell offers (possibly among others)."""


@pytest.mark.parametrize(("command", "line", "completions"), TYPED)
@needs("bash")
def test_bash_completes(shell_path: dict[str, str], command: Program[Any], line: str, completions: list[str]) -> None:
    words = [command.name, *line.split(" ")]
    function = f"_shtab_{command.name.replace('-', '_')}"
    script = f"""
        source {ROOT}/config/completion/bash/{command.name}
        complete -p {command.name} >/dev/null || exit
        COMP_WORDS=({" ".join(word or "''" for word in words)}) COMP_CWORD={len(words) - 1}
        {function} {command.name} "${{COMP_WORDS[COMP_CWORD]}}" >/dev/null
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert run_shell(["bash", "--norc", "-c", script], shell_path) == completions


@pytest.mark.parametrize(("command", "line", "completions"), TYPED)
@needs("fish")
def test_fish_completes(shell_path: dict[str, str], command: Program[Any], line: str, completions: list[str]) -> None:
    script = f"source {ROOT}/config/completion/fish/{command.name}.fish; complete -C '{command.name} {line}'"
    assert {line.split("\t")[0] for line in run_shell(["fish", "-N", "-c", script], shell_path)} >= set(completions)


@every_command
@needs("zsh")
def test_zsh_knows_the_command(shell_path: dict[str, str], command: Program[Any]) -> None:
    folder = ROOT / "config" / "completion" / "zsh"
    assert (folder / f"_{command.name}").read_text().startswith(f"#compdef {command.name}\n")
    script = f"""
        fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D
        print $_comps[{command.name}]
        eval "$({command.name} --print-completion zsh)"
        print $_comps[{command.name}]; whence -w $_comps[{command.name}]
    """
    function = f"_shtab_{command.name.replace('-', '_')}"
    assert run_shell(["zsh", "-f", "-c", script], shell_path) == [f"_{command.name}", function, f"{function}: function"]


@pytest.mark.parametrize("shell", SHELLS)
@every_command
def test_every_option_is_completed(command: Program[Any], shell: str) -> None:
    output = completion_script(make_parser(command), shell)
    assert all(row.long_name.removeprefix("--") in output for row in command.rows)


def test_everything_shared_is_installed() -> None:
    files = [*(ROOT / "docs" / "man").iterdir(), *(ROOT / "config" / "completion").rglob("*")]
    shared = {str(file.parent.relative_to(ROOT)) for file in files if file.is_file()}
    setup = (ROOT / "setup.py").read_text("utf-8")
    assert shared and all(f'"{folder}": ' in setup for folder in shared)


def test_the_top_level_is_what_it_was_meant_to_be() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    top = {name.split("/")[0] for name in tracked if name and not name.startswith(".")}
    folders = {"gmessenger", "config", "logs", "tests", "docs", "benchmarks", "scripts"}
    files = {"launcher.py", "setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"} | {
        "SECURITY.md"
    }
    assert top <= folders | files | {"Makefile", *(lock.name for lock in ROOT.glob("requirements*.txt"))}
