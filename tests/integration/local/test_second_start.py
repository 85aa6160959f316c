"""A second ``ragindex up`` with the folder of one that runs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from ragindex_core.errors import Misconfigured
from ragindex_local.up import UpOptions, run


def test_the_one_that_runs_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        (tmp_path / "run.json").write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}))
        with pytest.raises(Misconfigured, match=f"already, at http://127.0.0.1:{port}"):
            run(UpOptions((), data=tmp_path, port=port))


def test_what_a_killed_one_left_behind_is_not_taken_for_one_that_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = closed.getsockname()[1]
    (tmp_path / "run.json").write_text(json.dumps({"url": f"http://127.0.0.1:{gone}", "pid": os.getpid()}))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1:{port}"):
            run(UpOptions((), data=tmp_path, port=port))
