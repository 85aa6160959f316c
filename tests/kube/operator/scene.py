"""One installation and one object in it, whose operators are mortal, and all that a look from outside can see of it."""

from __future__ import annotations

import json
import re
import signal
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from tests.integration.faults.state import state
from tests.kube.harness.api import Api, Object
from tests.kube.harness.control_plane import free_ports
from tests.kube.operator.hands import Hands
from tests.kube.operator.installation import Installation, path_of, up_to_date
from tests.kube.operator.mortals import Mortal, Mortals

from ragindex_core.object.resource import knowledge_base_id
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_providers.testing.openai_server import FakeOpenAIServer


@dataclass
class Theatre:
    """What all scenes share."""

    api: Api
    kubeconfig: Path
    server_url: str
    template: str
    folder: Path
    models: FakeOpenAIServer
    mortals: Mortals
    databases: list[str] = field(default_factory=list)

    def new_database(self) -> str:
        name = f"life_{uuid.uuid4().hex[:12]}"
        self.databases.append(name)
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, self.template)
        return f"{self.server_url}/{name}"

    def close(self) -> None:
        for name in self.databases:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def _run(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(f"{self.server_url}/postgres", autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))


class Scene:
    """One installation, with one object in it, from its creation to its deletion."""

    def __init__(self, theatre: Theatre) -> None:
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.api = theatre.api
        self.where = path_of(self.namespace)
        self.url = theatre.new_database()
        self.database = Database(DatabaseSettings(url=self.url, pool_size=4))
        self.uid = ""
        self._mortals = theatre.mortals
        self._lives: list[Mortal] = []
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self._folder = theatre.folder / self.namespace
        self._folder.mkdir()
        self.installation = Installation(
            self.api, theatre.kubeconfig, self.namespace, self.url, self.database, self._folder, theatre.models
        )
        self._kubeconfig = theatre.kubeconfig
        self.installation.set_up()
        self._hands = Hands(self.api, self.namespace, self.installation.name, self.database, self._folder)

    def operator(
        self,
        end_at: str | None = None,
        how: signal.Signals = signal.SIGKILL,
        *,
        lease: str | None = None,
        times: Mapping[str, float] | None = None,
        kubeconfig: Path | None = None,
    ) -> Mortal:
        """Without a Lease named, each has its own: the next need not wait until that of a dead one has run out."""
        (port,) = free_ports(1)
        self._lives.append(
            self._mortals.live(
                {
                    "database_url": self.url,
                    "installation": self.installation.name,
                    "kubeconfig": str(kubeconfig or self._kubeconfig),
                    "release_namespace": self.namespace,
                    "namespaces": json.dumps([self.namespace]),
                    "lease": lease or f"ragindex-operator-{len(self._lives)}",
                    "worker": json.dumps({"image": "ragindex"}),
                    "concurrency": "2",
                    "database_pool": "3",
                    "port": str(port),
                },
                end_at,
                how,
                times,
            )
        )
        return self._lives[-1]

    def close(self) -> None:
        for life in self._lives:
            life.kill()
        self._hands.close()
        self.database.close()
        self.api.delete(f"/api/v1/namespaces/{self.namespace}")

    def create(self, body: Object) -> None:
        self.uid = self.api.create(self.where, body)["metadata"]["uid"]

    # What is there

    def item(self) -> Object | None:
        listed = self.api.get(self.where)["items"]
        return listed[0] if listed else None

    def everything(self) -> dict[str, Any]:
        """All that a look from outside can see, without times, and with one name for what each scene names itself."""
        item = self.item()
        found = {
            "finalizers": item["metadata"].get("finalizers") if item else None,
            "status": {**item.get("status", {}), "database": None} if item else None,
            "jobs": sorted({repr(_job(each)) for each in self._batch("jobs")}),
            "schedules": sorted(repr(_job(each)) for each in self._batch("cronjobs")),
            **self._database(),
        }
        names = {
            self.uid: "UID",
            self.uid[:8]: "UID",
            self.namespace: "NAMESPACE",
            self.installation.name: "INSTALLATION",
            knowledge_base_id(self.uid): "KNOWLEDGE-BASE",
        }
        text = json.dumps(found, default=repr, sort_keys=True)
        for own, common in names.items():
            text = text.replace(own, common)
        for what, common in _VARYING.items():
            text = what.sub(common, text)
        plain: dict[str, Any] = json.loads(text)
        return plain

    def _database(self) -> dict[str, Any]:
        try:
            # How the worker groups what it asks of the model is its own affair.
            return {name: rows for name, rows in state(self.url).items() if name != "usage"}
        except sa.exc.DBAPIError as error:  # a table went while we read
            return {"read at a bad moment": str(error)}

    def _batch(self, plural: str) -> list[Object]:
        items: list[Object] = self.api.get(f"/apis/batch/v1/namespaces/{self.namespace}/{plural}")["items"]
        return items

    def settled(self) -> bool:
        """Everything that was asked for is done, and the end of every Job was taken note of."""
        item = self.item()
        noted = all("ttlSecondsAfterFinished" in job["spec"] for job in self._batch("jobs"))
        return noted and (up_to_date(item) if item else not self._batch("jobs"))


#: An estimate knows more the further the worker has come meanwhile.
_VARYING = {
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"): "a time",
    re.compile(r"(?<='resourceVersion': ')\d+"): "a version",
    re.compile(r"(?<='estimated_tokens': )\d+"): "an estimate",
}


def _job(body: Object) -> dict[str, Any]:
    """A Job or a CronJob. How often a queue was found empty too early, and a successor made, is a matter of chance."""
    labels = {name: value for name, value in body["metadata"]["labels"].items() if name != "ragindex.io/attempt"}
    name = body["metadata"]["name"]
    if "ragindex.io/attempt" in body["metadata"]["labels"]:
        name = name.rpartition("-")[0]
    ends = [each["type"] for each in body["status"].get("conditions", []) if each["status"] == "True"]
    return {"name": name, "labels": labels, "ended": sorted(ends)}


def differences(clean: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What should be there, and what is there instead."""
    wrong = {}
    for key in clean | found:
        wanted, there = clean.get(key), found.get(key)
        if wanted == there:
            continue
        if isinstance(wanted, list) and isinstance(there, list):
            these, those = Counter(map(repr, wanted)), Counter(map(repr, there))
            wanted, there = list((these - those).elements()), list((those - these).elements())
        wrong[key] = {"wanted": wanted, "there": there}
    return wrong
