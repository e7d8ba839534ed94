"""A server that is killed between any two steps of an upload or a removal: what it leaves is repaired within a day."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gmessenger.chat.records import UPLOAD_TTL
from gmessenger.chat.storage import Store
from gmessenger.contents.folder import GRACE, INCOMING, REMOVED, ContentFolder
from gmessenger.store import open_store, verify_store
from tests import ROOT
from tests.support.files import png
from tests.support.timeouts import TEST_TIMEOUT

VICTIM = """
from gevent import monkey
monkey.patch_all()
import os, signal, sys
from pathlib import Path
from gevent.monkey import get_original
from gmessenger.contents.folder import ContentFolder
from gmessenger.contents.upload import ContentUpload
from gmessenger.store.sqlite.files import FileStore
from tests.conftest import RunningServer
from tests.server.test_web_files import Office
from tests.support.native_clients import Connector

# Forked for each step: importing all of this takes longer than the rest.
for step in map(int, sys.argv[2:]):
    victim = get_original("os", "fork")()
    if not victim:
        break
    _, status = get_original("os", "waitpid")(victim, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (step, status)
else:
    sys.exit(0)

folder = Path(sys.argv[1]) / str(step)
folder.mkdir()
said = (folder / "said").open("w")
STEPS = [
    (ContentFolder, "begin_upload"), (ContentUpload, "write"), (ContentUpload, "finish"), (FileStore, "add_file"),
    (ContentFolder, "keep"), (FileStore, "dropped_contents"), (FileStore, "used_contents"),
    (ContentFolder, "_set_aside"), (ContentFolder, "_finish_removal"), (FileStore, "forget_dropped"),
]
is_armed, count = False, 0

def watch(kind, name):
    call = getattr(kind, name)
    def watched(*arguments, **named):
        global count
        for is_after in (False, True):
            if is_armed:
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
            if not is_after:
                result = call(*arguments, **named)
        return result
    setattr(kind, name, watched)

server = RunningServer(web="127.0.0.1:0", store=f"sqlite:///{folder}/messenger.db")
office = Office(server, Connector())
for kind, name in STEPS:
    watch(kind, name)
is_armed = True
answer = office.upload()
print(answer.status, answer.id, file=said, flush=True)
print(office.send(answer)["response"], file=said, flush=True)
office.hank.request("msg", to="hank", message="", about=1, what="erase")
print("erased", file=said, flush=True)
server.app.files.collect()
print("done", file=said, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("steps", [range(start, start + 6) for start in range(0, 24, 6)], ids=str)
def test_no_row_is_without_its_content_and_no_content_without_a_row(steps: range, tmp_path: Path) -> None:
    script = tmp_path / "victim.py"
    script.write_text(VICTIM)
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path), *map(str, steps)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=TEST_TIMEOUT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for step in steps:
        check_what_is_left(tmp_path / str(step))


def check_what_is_left(left: Path) -> None:
    """Check what a server has left that was killed at a step, after which the folder is named."""
    url = f"sqlite:///{left}/messenger.db"
    assert verify_store(url).faults == []
    store = open_store(url)
    folder = ContentFolder(left / "messenger.files")
    try:
        folder.open(store.files_id, is_new=False)
        check(store, folder, (left / "said").read_text().split())
    finally:
        folder.close()
        store.close()


def check(store: Store, folder: ContentFolder, said: list[str]) -> None:
    if said[:1] == ["201"] and "erased" not in said and "200" in said:  # (after the erase was begun it may be gone)
        found = store.find_file(said[1])
        assert found is None or folder.has(found.digest)
        assert found is not None or store.dropped_contents(1)
    later = time.time() + max(UPLOAD_TTL, GRACE) + 10
    folder.finish_removals(store.used_contents)
    store.expire_files(later - UPLOAD_TTL)
    dropped = store.dropped_contents(100)
    folder.remove_unused([digest for _, digest in dropped], store.used_contents)
    folder.sweep(store.used_contents, later)
    contents = {digest for digest, _ in folder.iter_contents()}
    assert contents == store.used_contents([*contents, *(digest for _, digest in dropped)])
    assert len(contents) == store.file_usage().count
    for name in (INCOMING, REMOVED):
        assert not list((folder.path / name).iterdir())
    if "done" in said:
        assert not contents and not store.dropped_contents(1)
    for digest in contents:
        reader = folder.open_content(digest)
        assert reader.read(0, 1000) == png()
        reader.close()
