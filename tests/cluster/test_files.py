"""Files of a cluster: uploaded to one node, delivered by another, read from each, and erased on any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gmessenger.errors import ConfigError
from tests.cluster.conftest import Cluster
from tests.conftest import RunningServer
from tests.support.files import ask, png, upload
from tests.support.moderation import expect_ok


def web_port(node: RunningServer) -> int:
    assert node.app.web_port is not None
    return node.app.web_port


def test_a_file_is_there_on_every_node(start_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = start_cluster(web="127.0.0.1:0", files=str(tmp_path / "files"))
    cluster.register(cluster.first, "hank")
    dale = cluster.register(cluster.second, "dale")
    hank = cluster.log_in(cluster.first, "hank")
    answer = upload(web_port(cluster.second), hank.session, png(640, 480))
    seq = expect_ok(hank.request("msg", to="dale", message="the graph", file=answer.id))["seq"]
    file = dale.next_event("msg")["file"]
    assert (file["url"], file["width"]) == (answer.headers["Location"], 640)
    assert dale.history("hank")[0]["file"] == file
    for node in cluster.nodes:
        assert ask(web_port(node), "GET", file["url"]).body == png(640, 480)
    expect_ok(hank.request("msg", to="dale", message="", about=seq, what="erase"))
    assert dale.next_event("msg")["what"] == "erase"
    for node in cluster.nodes:
        assert ask(web_port(node), "GET", file["url"]).status == 404
        assert node.app.files is not None
        node.app.files.collect()
    assert not list((tmp_path / "files").glob("??/*"))


def test_a_message_is_sent_again_on_another_node(start_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = start_cluster(web="127.0.0.1:0", files=str(tmp_path / "files"))
    cluster.register(cluster.first, "hank")
    hank = cluster.log_in(cluster.first, "hank")
    ids = [upload(web_port(cluster.first), hank.session, png()).id for _ in range(2)]
    message = {"to": "hank", "message": "", "id": "one"}
    seq = expect_ok(hank.request("msg", file=ids[0], **message))["seq"]
    again = cluster.log_in(cluster.second, "hank")  # the same device
    assert expect_ok(again.request("msg", file=ids[0], **message))["seq"] == seq
    assert again.request("msg", file=ids[1], **message)["code"] == "id_reused"
    assert again.request("msg", **message | {"message": "graph.png"})["code"] == "id_reused"
    expect_ok(again.request("msg", to="hank", message="", about=seq, what="erase"))
    assert expect_ok(again.request("msg", file=ids[0], **message))["seq"] == seq


def test_without_a_folder_a_cluster_keeps_no_files(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(web="127.0.0.1:0")
    answer = cluster.connect(cluster.first).try_log_in("gus")
    assert "file" not in answer["features"]
    assert ask(web_port(cluster.first), "POST", "/file", {}, b"x").status == 404


def test_another_store_cannot_take_the_folder(
    start_server: Callable[..., RunningServer], launch: Callable[..., RunningServer], tmp_path: Path
) -> None:
    start_server(web="127.0.0.1:0", files=str(tmp_path / "files"))
    with pytest.raises(ConfigError, match="another store"):
        launch(web="127.0.0.1:0", files=str(tmp_path / "files"), store=f"sqlite:///{tmp_path}/other.db")
