"""What a ConfigMap is to the object that names it: there, not there, or not to be told just now."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ragindex_core.object.resource import RagIndex, parse
from ragindex_operator.cluster.api import ApiUnavailable, Body, Forbidden, KubeApi, NotThere
from ragindex_operator.cluster.originals import ConfigMaps


class ScriptedApi(KubeApi):
    """Gives or raises ``answer``."""

    def __init__(self, answer: Body | Exception) -> None:
        self.answer = answer

    def get(self, path: str) -> Body:
        assert path == "/api/v1/namespaces/hr/configmaps/notes"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


FORBIDDEN = Forbidden("cannot get resource configmaps", "Forbidden")
WANTED = """
apiVersion: ragindex.io/v1alpha1
kind: RagIndex
metadata: {name: handbook, namespace: hr, uid: u-1, generation: 1}
spec:
  embedding: {provider: Local, model: all-minilm-l6-v2, dimensions: 384}
  sources: [{name: notes, configMap: {name: notes}}]
"""


@pytest.fixture
def wanted() -> RagIndex:
    document: dict[str, Any] = yaml.safe_load(WANTED)
    return parse(document, "hr/handbook")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_entries_are_read_as_they_are_and_their_version_is_of_nothing_else(wanted: RagIndex) -> None:
    body = {"metadata": {"labels": {"a": "1"}}, "data": {"a.md": "text"}, "binaryData": {"b.pdf": "AAEC"}}
    first = ConfigMaps(ScriptedApi(body)).read(wanted, "notes")
    assert first is not None
    assert first.entries == {"a.md": b"text", "b.pdf": b"\x00\x01\x02"}
    again = ConfigMaps(ScriptedApi({**body, "metadata": {"labels": {"a": "2"}}})).read(wanted, "notes")
    edited = ConfigMaps(ScriptedApi({**body, "data": {"a.md": "other"}})).read(wanted, "notes")
    assert again == first
    assert edited is not None
    assert edited.version != first.version


def test_one_that_is_gone_is_gone_at_once_and_one_that_cannot_be_asked_for_is_not(wanted: RagIndex) -> None:
    assert ConfigMaps(ScriptedApi(NotThere("not found"))).read(wanted, "notes") is None
    with pytest.raises(ApiUnavailable):
        ConfigMaps(ScriptedApi(ApiUnavailable("away"))).read(wanted, "notes")


def test_what_is_forbidden_for_a_moment_is_not_taken_for_gone(wanted: RagIndex) -> None:
    clock, api = Clock(), ScriptedApi(FORBIDDEN)
    reads = ConfigMaps(api, clock)
    for _ in range(4):
        with pytest.raises(Forbidden):
            reads.read(wanted, "notes")
        clock.now += 10
    clock.now += 10
    assert reads.read(wanted, "notes") is None, "and for good, it is"
    clock.now += 10
    api.answer = {"metadata": {}, "data": {"a.md": "text"}}
    assert reads.read(wanted, "notes") is not None
    clock.now += 1000
    api.answer = FORBIDDEN
    with pytest.raises(Forbidden):
        reads.read(wanted, "notes")
