"""However an object came to its spec, it ends as one that was made with that spec: random edits of one object, and a
fresh one with its last spec to compare with."""

from __future__ import annotations

import copy
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.kube.harness.api import Api, Object
from tests.kube.operator.ends import falling, of_catalogue, of_schedule, of_status, readers_leave
from tests.kube.operator.hands import Hands
from tests.kube.operator.installation import Installation, path_of, rag_index, wait_for

from ragindex_core.object.revision import complete
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db.revisions import RevisionRow

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
SEED = int(os.environ.get("RAGINDEX_SEED", "20261121"))
WALKS, EDITS_OF_EACH, AT_ONCE = (30, 10, 5) if LONG else (1, 10, 1)
RESTS_WITHIN = 120
#: That embed for one object. Those that wait for a document's next turn must leave hands for one that lists.
MOST_PODS = 2

Spec = dict[str, Any]

CONFIG_MAPS = {
    name: {
        f"{name}-{n}.md": f"# {name} {n}\n\n" + " ".join(f"Rule {m} of {name}." for m in range(30)) for n in range(3)
    }
    for name in ("leave", "travel", "pay")
}


# The edits. Each leaves a spec that is valid if it was valid before. Not edited is what acts on what comes and not on
# what was (``onSourceDeletion``, ``maxDeletePercent``, ``maxObjectBytes``), and what cannot be (``databaseRef``).


def _suspend(spec: Spec, _chance: random.Random) -> None:
    spec["suspend"] = not spec.get("suspend", False)


def _chunking(spec: Spec, chance: random.Random) -> None:
    spec["chunking"] = {
        "strategy": chance.choice(["Structural", "Sentence", "Fixed", "None"]),
        "maxTokens": chance.choice([64, 100, 300]),
        "overlapTokens": chance.choice([0, 16, 40]),
    }


def _embedding(spec: Spec, chance: random.Random) -> None:
    spec["embedding"] = {
        "provider": "OpenAI",
        "model": chance.choice(["words", "more-words"]),
        "dimensions": chance.choice([16, 32]),
        "elementType": chance.choice(["HalfVector", "Vector"]),
        "distance": chance.choice(["Cosine", "L2"]),
    }


def _index(spec: Spec, chance: random.Random) -> None:
    small = {"type": "HNSW", "hnsw": {"m": 8, "efConstruction": 32}}
    rebuilt = {"type": "HNSW", "rebuildSchedule": "0 5 3 3 *"}
    spec["index"] = chance.choice([{"type": "None"}, {"type": "HNSW"}, small, rebuilt])


def _add_source(spec: Spec, chance: random.Random) -> None:
    name = f"source-{chance.randrange(10_000)}"
    if chance.random() < 0.25 and not any("uploads" in each for each in spec["sources"]):
        spec["sources"].append({"name": name, "uploads": {}})
    elif len(spec["sources"]) < 4:
        spec["sources"].append({"name": name, "configMap": {"name": chance.choice(sorted(CONFIG_MAPS))}})


def _remove_source(spec: Spec, chance: random.Random) -> None:
    if len(spec["sources"]) > 1:
        spec["sources"].remove(chance.choice(spec["sources"]))


def _rename_source(spec: Spec, chance: random.Random) -> None:
    chance.choice(spec["sources"])["name"] = f"source-{chance.randrange(10_000)}"


def _change_source(spec: Spec, chance: random.Random) -> None:
    """Never to one that lists nothing: such a source deletes nothing until somebody agrees."""
    found = [each for each in spec["sources"] if "configMap" in each]
    if found:
        source = chance.choice(found)
        source["configMap"] = {"name": chance.choice(sorted(CONFIG_MAPS))}
        source["exclude"] = chance.choice([[], ["*-2.md"]])
        source.pop("access", None)
        if chance.random() < 0.5:
            source["access"] = {"groups": chance.sample(["hr", "legal", "staff"], 2)}


def _schedule(spec: Spec, chance: random.Random) -> None:
    """None that fires while we look."""
    ingestion = spec["ingestion"]
    if chance.random() < 0.3:
        ingestion.pop("schedule", None)
        ingestion.pop("timeZone", None)
    else:
        ingestion["schedule"] = chance.choice(["0 3 1 1 *", "30 4 2 2 *"])
        ingestion["timeZone"] = chance.choice(["Etc/UTC", "Europe/Berlin"])


def _pods(spec: Spec, chance: random.Random) -> None:
    spec["ingestion"]["parallelism"] = chance.randint(1, MOST_PODS)
    spec["ingestion"]["maxAttemptsPerDocument"] = chance.randint(3, 8)
    spec["ingestion"]["resources"] = chance.choice([{}, {"requests": {"cpu": "100m"}, "limits": {"memory": "2Gi"}}])
    spec["ingestion"]["nodeSelector"] = chance.choice([{}, {"kubernetes.io/os": "linux"}])


def _retrieval(spec: Spec, chance: random.Random) -> None:
    spec["retrieval"] = {
        "mode": chance.choice(["Hybrid", "Vector", "Keyword"]),
        "topK": chance.randint(1, 20),
        "efSearch": chance.randint(20, 200),
        "fusion": chance.choice(["Weighted", "RRF"]),
        "vectorWeight": chance.randint(0, 100),
    }


def _rollout(spec: Spec, chance: random.Random) -> None:
    spec["rollout"] = {
        "promotion": chance.choice(["Automatic", "Automatic", "Manual"]),
        "minDocumentsPercent": chance.choice([0, 50, 95, 100]),
        "retainRevisions": chance.randint(0, 3),
        "maxEstimatedTokens": chance.choice([0, 50_000_000, 50_000_000]),
    }


def _generation(spec: Spec, chance: random.Random) -> None:
    routes = [{"provider": "OpenAI", "model": name} for name in chance.sample(["small", "large"], chance.randint(0, 2))]
    spec["generation"] = {"routes": routes, "maxTokens": chance.choice([256, 1024])}


def _deletion_policy(spec: Spec, chance: random.Random) -> None:
    spec["deletionPolicy"] = chance.choice(["Retain", "Delete"])


EDITS: tuple[Callable[[Spec, random.Random], None], ...] = (
    _suspend,
    _chunking,
    _embedding,
    _index,
    _add_source,
    _remove_source,
    _rename_source,
    _change_source,
    _schedule,
    _pods,
    _retrieval,
    _rollout,
    _generation,
    _deletion_policy,
)


def first_spec() -> Spec:
    return {
        "embedding": {"provider": "OpenAI", "model": "words", "dimensions": 32},
        "sources": [{"name": "notes", "configMap": {"name": "leave"}}],
        "ingestion": {"parallelism": MOST_PODS},
        "rollout": {},
    }


def edited(spec: Spec, chance: random.Random) -> Spec:
    """Something else than it was."""
    new = copy.deepcopy(spec)
    while new == spec:
        chance.choice(EDITS)(new, chance)
    return new


def at_last(spec: Spec) -> Spec:
    """With nothing in it that makes it wait for a person: what would come then is not there to be compared."""
    rollout = {**spec["rollout"], "promotion": "Automatic", "maxEstimatedTokens": 50_000_000}
    return {**spec, "suspend": False, "rollout": rollout}


# What is there


class _AnyModel(Hands):
    """The pods' part, with whatever model a revision is built with."""

    def of(self, revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        built = complete(dict(revision.projection))
        return HashEmbedder(built["embedding.dimensions"], model=built["embedding.model"])


def at_rest(item: Object) -> bool:
    """Of this generation, and nothing goes on by itself."""
    status = item.get("status") or {}
    progressing = [c for c in status.get("conditions", []) if c["type"] == "Progressing"]
    seen = status.get("observedGeneration") == item["metadata"]["generation"]
    return seen and [(c["status"], c["observedGeneration"]) for c in progressing] == [
        ("False", item["metadata"]["generation"])
    ]


@dataclass(frozen=True)
class Place:
    api: Api
    installation: Installation

    def apply(self, name: str, spec: Spec) -> None:
        where = path_of(self.installation.namespace)
        if self.api.answers(f"{where}/{name}"):
            operations = [{"op": "replace", "path": "/spec", "value": spec}]
            self.api.patch(f"{where}/{name}", operations, "application/json-patch+json")  # type: ignore[arg-type]
        else:
            body = rag_index(name, self.installation.namespace)
            self.api.create(where, {**body, "spec": spec})

    def await_rest(self, name: str) -> Object:
        return self.api.until(path_of(self.installation.namespace, name), at_rest, RESTS_WITHIN)

    def jobs(self, uid: str, plural: str = "jobs") -> list[Object]:
        where = f"/apis/batch/v1/namespaces/{self.installation.namespace}/{plural}"
        found: list[Object] = self.api.get(where, labelSelector=f"ragindex.io/uid={uid}")["items"]
        return found

    def end_of(self, name: str) -> dict[str, Any]:
        """All that may be compared of an object that has come to rest, when no reader is left of what it was."""
        item = self.await_rest(name)
        uid = item["metadata"]["uid"]
        readers_leave(self.installation.database, uid)
        wait_for(lambda: not falling(self.installation.database, uid), f"the fall of tables of {name}", 60)
        wait_for(lambda: all(map(ended, self.jobs(uid))), f"the end of Jobs of {name}", 60)
        item = self.await_rest(name)
        found = {
            **of_status(item["status"]),
            "schedules": [of_schedule(each) for each in self.jobs(uid, "cronjobs")],
            **of_catalogue(self.installation.database, uid),
        }
        text = json.dumps(found, default=str, sort_keys=True)
        for own, common in ((uid, "UID"), (uid[:8], "UID"), (name, "NAME")):
            text = text.replace(own, common)
        plain: dict[str, Any] = json.loads(text)
        return plain


def ended(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions") or []
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


# The walks


@pytest.fixture
def place(api: Api, bare_installation: Installation, tmp_path: Path) -> Iterator[Place]:
    for name, entries in CONFIG_MAPS.items():
        bare_installation.write_notes(name, entries)
    namespace, installation = bare_installation.namespace, bare_installation
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    pods = AT_ONCE * (MOST_PODS + 1)
    every = [_AnyModel(api, namespace, installation.name, installation.database, scratch) for _ in range(pods)]
    yield Place(api, bare_installation)
    for hands in every:
        hands.close()


def walk(place: Place, number: int) -> tuple[str, dict[str, Any]]:
    """The edits of one object, told, and what differs at its end from one that was made as it is now."""
    chance = random.Random(f"{SEED}/{number}")
    name, spec = f"walk-{number}", first_spec()
    place.apply(name, spec)
    left, said = EDITS_OF_EACH, []
    while left:
        for _ in range(min(left, chance.randint(1, 4))):
            before, spec = spec, edited(spec, chance)
            place.apply(name, spec)
            changed = {key: spec.get(key) for key in spec if spec.get(key) != before.get(key)}
            said.append(json.dumps(changed))
            left -= 1
            time.sleep(chance.choice([0, 0, 0.5, 1.5]))  # in the midst of whatever the last edit began
        place.await_rest(name)
    spec = at_last(spec)
    place.apply(name, spec)
    place.apply(f"fresh-{number}", spec)
    walked, fresh = place.end_of(name), place.end_of(f"fresh-{number}")
    return "\n".join(said), _differences(walked, fresh)


def _differences(walked: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {"walked": walked.get(key), "fresh": fresh.get(key)}
        for key in sorted(walked | fresh)
        if walked.get(key) != fresh.get(key)
    }


def test_however_an_object_was_edited_it_ends_as_one_made_so(place: Place) -> None:
    operator = place.installation.operator()
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        walks = list(pool.map(lambda number: walk(place, number), range(WALKS)))
    print(  # noqa: T201
        f"\nseed {SEED}: {WALKS * EDITS_OF_EACH} edits of {WALKS} objects in {time.monotonic() - began:.0f} s, "
        f"{sum(bool(different) for _, different in walks)} ended otherwise than fresh ones"
    )
    wrong = [f"walk {n} (seed {SEED})\n{said}\n{json.dumps(d, indent=1)}" for n, (said, d) in enumerate(walks) if d]
    assert not wrong, "\n\n".join(wrong)
    assert "cannot reconcile" not in operator.said()
    assert "does not come to an end" not in operator.said()
