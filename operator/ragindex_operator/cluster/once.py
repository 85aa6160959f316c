"""``ragindex operator --dry-run``: what the operator would do next, found out without touching anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from ragindex_core.errors import Misconfigured
from ragindex_core.object.resource import RagIndex
from ragindex_core.reconcile import actions as act
from ragindex_core.reconcile.plan import plan
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.room import Room
from ragindex_operator import allow
from ragindex_operator.capabilities import refusals
from ragindex_operator.cluster.api import KubeApi
from ragindex_operator.cluster.jobs import JobStore
from ragindex_operator.cluster.leading import CAPABILITIES, LIMITS, release_of
from ragindex_operator.cluster.objects import Objects, key_of
from ragindex_operator.cluster.originals import ConfigMaps
from ragindex_operator.cluster.settings import OperatorEnvironment
from ragindex_operator.cluster.vital_signs import VitalSigns
from ragindex_operator.cluster.workforce import KubeWorkforce
from ragindex_operator.observe import observe

_LIST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Intention:
    """The next step for one object, in words; further ones follow from what it brings about."""

    index: str
    actions: tuple[str, ...]
    problems: tuple[str, ...] = ()


def intentions(environment: OperatorEnvironment, api: KubeApi) -> Iterator[Intention]:
    """Of every object looked after, as the world is now."""
    database = Database(
        DatabaseSettings(environment.database_url.get_secret_value(), pool_size=1, application_name="ragindex-dry-run")
    )
    store = JobStore(api, environment.release_namespace, environment.installation, lambda _key: None, VitalSigns())
    workforce = KubeWorkforce(
        api,
        store,
        release_of(api, environment),
        most_pods=environment.max_active_pods,
        may_write=_never,
    )
    objects = Objects(api)
    store.start()
    try:
        if not store.synced.wait(_LIST_SECONDS):
            raise Misconfigured("Jobs and CronJobs cannot be listed: may this identity see them?")
        for body in objects.list(environment.namespaces):
            seen = objects.get(key_of(body))
            if seen is None:
                continue
            if seen.wanted is None:
                yield Intention(seen.key, (), tuple(map(str, seen.problems)))
                continue
            yield _intention(environment, database, workforce, api, seen.wanted, held=seen.held)
    finally:
        store.stop()
        database.close()


def _intention(
    environment: OperatorEnvironment,
    database: Database,
    workforce: KubeWorkforce,
    api: KubeApi,
    wanted: RagIndex,
    *,
    held: bool,
) -> Intention:
    refused = (
        *refusals(wanted.spec, CAPABILITIES),
        *allow.refusals(environment.allow, wanted, environment.directories),
    )
    observed = observe(database, environment.installation, wanted, workforce, Room(), ConfigMaps(api), refused)
    now = observed.database.now or datetime.now(UTC)
    actions = [_said(action) for action in plan(wanted, observed, now, LIMITS)]
    if not held and not wanted.deleting:
        actions.insert(0, "HoldObject")
    problems = [str(problem) for problem in refused]
    if not observed.database.reachable:
        problems.append(observed.database.message)
    return Intention(wanted.path, tuple(actions), tuple(problems))


def _said(action: act.Action) -> str:
    given = ((each.name, getattr(action, each.name)) for each in fields(action))
    shown = ", ".join(f"{name}={_short(value)}" for name, value in given)
    return f"{type(action).__name__}({shown})"


def _short(value: object) -> str:
    if isinstance(value, frozenset):
        return str(sorted(value))
    return str(value) if not isinstance(value, dict) else "…"


def _never() -> None:
    raise AssertionError("a dry run writes nothing")
