"""A look at what the operator would do, and a single look that does it."""

from __future__ import annotations

import json
from typing import Any

from tests.kube.harness.api import Api
from tests.kube.operator.installation import Installation, path_of, rag_index, reason

from ragindex_db import indexes


def apply(api: Api, installation: Installation, name: str, **spec: Any) -> str:
    installation.write_notes(name, {"note.md": "# A note"})
    api.create(path_of(installation.namespace), rag_index(name, installation.namespace, **spec))
    return path_of(installation.namespace, name)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(api: Api, bare_installation: Installation) -> None:
    installation = bare_installation
    path = apply(api, installation, "handbook")
    looked = installation.look("--dry-run", "--json")
    (item,) = json.loads(looked)["items"]
    assert item["index"] == f"{installation.namespace}/handbook"
    assert [action.partition("(")[0] for action in item["actions"]] == ["HoldObject", "RegisterIndex"]
    assert item["problems"] == []
    untouched = api.get(path)
    assert "finalizers" not in untouched["metadata"]
    assert "status" not in untouched
    assert installation.database.run(indexes.list_live, installation.name) == []


def test_a_dry_run_names_what_is_not_allowed(api: Api, bare_installation: Installation) -> None:
    apply(api, bare_installation, "elsewhere", databaseRef={"name": "archive"})
    assert "problem: spec.databaseRef.name: archive is not available" in bare_installation.look("--dry-run")


def test_a_single_look_does_what_can_be_done_now_and_ends(api: Api, bare_installation: Installation) -> None:
    installation = bare_installation
    paths = [apply(api, installation, name) for name in ("first", "second")]
    installation.look("--once")
    for path in paths:
        seen = api.get(path)
        assert reason(seen, "SchemaReady") == "True/TablesReady"
        assert seen["metadata"]["finalizers"] == ["ragindex.io/cleanup"]
    jobs = api.get(f"/apis/batch/v1/namespaces/{installation.namespace}/jobs")["items"]
    assert len(jobs) == 2
    (item, _) = json.loads(installation.look("--dry-run", "--json"))["items"]
    assert item["actions"] == []
