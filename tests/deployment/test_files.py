"""The unit and the image fit the server that they start."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess

import pytest

from gmessenger.config.options import ServerOptions
from gmessenger.config.parser import SERVER, parse_options
from gmessenger.server.net import descriptors
from tests import ROOT

CONFIG = ROOT / "config"
UNIT = (CONFIG / "gmessenger.service").read_text("utf-8")
IMAGE = (CONFIG / "Containerfile").read_text("utf-8")


def setting(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)


def test_the_unit_starts_the_server_with_options_it_knows() -> None:
    program, *options = shlex.split(setting("ExecStart"))
    assert program.endswith("/bin/gmessenger-server")
    at = options.index("-c")
    assert parse_options(SERVER, options[:at] + options[at + 2 :], {}).log_file == "-"


def test_the_unit_leaves_room_and_time() -> None:
    shipped = ServerOptions()
    assert int(setting("LimitNOFILE")) >= descriptors.descriptors_needed(shipped.max_connections)
    assert float(setting("TimeoutStopSec")) > shipped.drain_timeout + shipped.store_timeout
    assert (setting("Type"), setting("RestartPreventExitStatus")) == ("notify-reload", "2 78")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_the_unit_is_hardened() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(CONFIG / "gmessenger.service")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_image_runs_the_server_as_somebody_else_than_root() -> None:
    assert re.findall(r"^USER (.*)$", IMAGE, re.MULTILINE) == ["gmessenger"]
    (entry,), (options,) = (re.findall(rf"^{name} (\[.*\])$", IMAGE, re.MULTILINE) for name in ("ENTRYPOINT", "CMD"))
    assert json.loads(entry) == ["gmessenger-server"]
    assert parse_options(SERVER, json.loads(options), {}).log_file == "-"


def test_the_image_looks_after_its_health_with_a_program() -> None:
    (check,) = re.findall(r"HEALTHCHECK .* CMD (\[.*\])$", IMAGE.replace("\\\n", ""), re.MULTILINE)
    program, switch, text = json.loads(check)
    assert (program, switch) == ("python", "-c")
    compile(text, "HEALTHCHECK", "exec")


def test_the_image_is_for_clusters_too_and_takes_what_was_tested() -> None:
    (install,) = re.findall(r"^RUN (python -m venv .*)$", IMAGE.replace("\\\n", ""), re.MULTILINE)
    locked, ours = install.split("&&")[1:]
    assert "--require-hashes -r requirements-cluster.txt" in locked
    assert shlex.split(ours)[-1] == ".[cluster]" and {"--no-deps", "--no-build-isolation"} <= set(shlex.split(ours))


def test_the_image_has_what_the_setup_reads() -> None:
    copied = {name for line in re.findall(r"^COPY ([^-].*) \S+$", IMAGE, re.MULTILINE) for name in line.split()}
    setup = (CONFIG.parent / "setup.py").read_text("utf-8")
    read = set(re.findall(r'HERE / "([^"/]+)', setup)) | {"pyproject.toml", "setup.py"}
    shared = re.findall(r'^    "(.+)": ".+",$', setup, re.MULTILINE)
    assert read <= copied
    assert shared and all(any(folder.startswith(name) for name in copied) for folder in shared)
