"""The Workforce of a cluster: Jobs that list and embed, a CronJob that keeps a schedule, within the pods allowed.

What there is, the store knows, which hears of our own writes at once. What an object waits for is remembered here
alone: after a restart it asks again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ragindex_core.object.resource import RagIndex
from ragindex_core.reconcile.observed import Crew, Timetable, Workers
from ragindex_core.reconcile.share import Ask, Holding, grant
from ragindex_operator.cluster import manifests as m
from ragindex_operator.cluster.api import AlreadyExists, Body, Conflict, KubeApi, NotThere, Refused, cron_jobs, jobs
from ragindex_operator.cluster.jobs import JobStore, key_of
from ragindex_operator.cluster.manifests import Release

_REST_FIRST, _REST_MOST = timedelta(seconds=30), timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class _Refusal:
    message: str
    until: datetime
    pause: timedelta


class KubeWorkforce:
    """``may_write`` raises when another operator has taken over."""

    def __init__(
        self,
        api: KubeApi,
        store: JobStore,
        release: Release,
        *,
        most_pods: int | None,
        may_write: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._store = store
        self._release = release
        self._most_pods = most_pods
        self._may_write = may_write
        self._clock = clock
        self._giving_out = threading.Lock()
        self._asks: dict[str, Ask] = {}
        self._since: dict[str, datetime] = {}  # of asks, also of those that may be granted and were not yet renewed
        self._keys: dict[str, str] = {}
        self._refusals: dict[str, _Refusal] = {}

    # What there is

    def look(self, wanted: RagIndex) -> Crew:
        found = self._store.of(wanted.metadata.uid)
        embedding = _latest(job for job in _of(found, m.EMBEDDING) if _active(job))
        trouble, rests_until = _trouble(found)
        if (refusal := self._refusals.get(wanted.metadata.uid)) is not None:
            trouble, rests_until = refusal.message, refusal.until
        workers = self._workers(wanted, embedding) if embedding is not None else None
        return Crew(
            workers=workers,
            listing=any(_active(job) for job in _of(found, m.LISTING)),
            stands_by=False,
            timetable=self._timetable(wanted),
            queued=workers is None and self._still_waits(wanted.metadata.uid),
            trouble=trouble,
            rests_until=rests_until,
            left=_left(found),
        )

    def _workers(self, wanted: RagIndex, job: Body) -> Workers:
        """Of a Job that was given fewer pods than asked for, so many as it has, once there is room for more."""
        workers, has = m.workers_of(job), int(job["spec"].get("parallelism", 1))
        if has >= workers.parallelism:
            return workers
        with self._giving_out:
            self._want(wanted, workers.parallelism - has)
            room = self._granted()[wanted.metadata.uid]
        return replace(workers, parallelism=has) if room else workers

    def _timetable(self, wanted: RagIndex) -> Timetable | None:
        body = self._store.schedule_of(wanted.metadata.uid)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return None
        spec = body["spec"]
        made_by = body["metadata"].get("annotations", {}).get(m.MADE_BY)
        return Timetable(
            schedule=spec["schedule"],
            time_zone=spec.get("timeZone", ""),
            suspended=bool(spec.get("suspend")),
            outdated=made_by != m.made_by(self._release, wanted),
        )

    # Pods, and who gets them

    def waiting(self) -> list[str]:
        """``namespace/name`` of those that wait for pods."""
        with self._giving_out:
            return [self._keys[uid] for uid in self._asks]

    def _still_waits(self, uid: str) -> bool:
        """An ask that could be granted now is forgotten: whoever still needs the pods asks again."""
        with self._giving_out:
            if uid not in self._asks:
                return False
            if self._granted()[uid] == 0:
                return True
            del self._asks[uid]  # its place in the row stays
            return False

    def _granted(self) -> Mapping[str, int]:
        holdings = [
            Holding(_label(job, m.UID), _label(job, m.NAMESPACE), int(job["spec"].get("parallelism", 1)))
            for job in self._store.every()
            if _active(job)
        ]
        return grant(list(self._asks.values()), holdings, self._most_pods)

    def _ask(self, wanted: RagIndex, pods: int) -> int:
        """How many may be started now; 0: it waits from now on, and its turn comes."""
        self._want(wanted, pods)
        granted = self._granted()[wanted.metadata.uid]
        if granted:
            self._waits_no_more(wanted.metadata.uid)
        return granted

    def _want(self, wanted: RagIndex, pods: int) -> None:
        uid = wanted.metadata.uid
        since = self._since.setdefault(uid, self._clock())
        self._asks[uid] = Ask(uid, wanted.metadata.namespace, pods, since)
        self._keys[uid] = wanted.path

    def _waits_no_more(self, uid: str) -> None:
        for remembered in (self._asks, self._since, self._keys):
            remembered.pop(uid, None)

    # What is asked for

    def ensure(self, wanted: RagIndex, workers: Workers) -> None:
        with self._giving_out:
            found = _of(self._store.of(wanted.metadata.uid), m.EMBEDDING)
            active = _latest(job for job in found if _active(job))
            if active is not None:
                self._adjust(wanted, active, workers)
                return
            if pods := self._ask(wanted, workers.parallelism):
                attempt = _next_attempt(found)
                self._create(wanted, m.embedding_job(self._release, wanted, workers, pods, attempt))

    def _adjust(self, wanted: RagIndex, job: Body, workers: Workers) -> None:
        """A Job that drains may be given more pods, or fewer; which revisions it drains it sees for itself."""
        has = int(job["spec"].get("parallelism", 1))
        more = self._ask(wanted, workers.parallelism - has) if workers.parallelism > has else 0
        pods = min(workers.parallelism, has + more)
        annotations = {**job["metadata"].get("annotations", {}), **m.described(workers)}
        self._may_write()
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": job["metadata"]["uid"]},
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
            {"op": "add", "path": "/spec/parallelism", "value": pods},
        ]
        self._store.put(self._api.patch(self._job_path(job), operations))

    def list_sources(self, wanted: RagIndex, run: str) -> None:
        with self._giving_out:
            found = _of(self._store.of(wanted.metadata.uid), m.LISTING)
            if any(_active(job) for job in found):
                return
            if self._ask(wanted, 1):
                attempt = _next_attempt([job for job in found if _label(job, m.RUN) == run])
                self._create(wanted, m.listing_job(self._release, wanted, run, attempt))

    def _create(self, wanted: RagIndex, body: Body) -> None:
        """One of that name that is ours is what we wanted, made in a life before this one."""
        self._may_write()
        try:
            self._store.put(self._api.create(jobs(self._release.namespace), body))
        except Refused as refusal:
            if not isinstance(refusal, AlreadyExists):
                self._note(wanted, refusal)
                return
            there = self._api.get(self._job_path(body))
            self._store.put(there)
            if _label(there, m.UID) != wanted.metadata.uid:
                raise Conflict(f"a Job called {body['metadata']['name']} exists and is not ours") from None
        self._refusals.pop(wanted.metadata.uid, None)

    def _note(self, wanted: RagIndex, refusal: Refused) -> None:
        """What the API server will not have, a quota or a value that no schema of ours can check, is told and tried
        again later."""
        before = self._refusals.get(wanted.metadata.uid)
        pause = min(before.pause * 2, _REST_MOST) if before is not None else _REST_FIRST
        told = f"the cluster refuses the Job or CronJob: {refusal}"
        self._refusals[wanted.metadata.uid] = _Refusal(told, self._clock() + pause, pause)

    def keep(self, wanted: RagIndex, timetable: Timetable) -> None:
        body = m.cron_job(self._release, wanted, replace(timetable, outdated=False))
        self._may_write()
        try:
            self._store.put(self._api.apply(cron_jobs(self._release.namespace, body["metadata"]["name"]), body))
        except Refused as refusal:
            self._note(wanted, refusal)
        else:
            self._refusals.pop(wanted.metadata.uid, None)

    def drop_timetable(self, wanted: RagIndex) -> None:
        body = self._store.schedule_of(wanted.metadata.uid)
        if body is not None:
            self._delete(cron_jobs(self._release.namespace, body["metadata"]["name"]), body)

    def stop(self, wanted: RagIndex) -> None:
        with self._giving_out:
            self._waits_no_more(wanted.metadata.uid)
        for job in self._store.of(wanted.metadata.uid):
            if _active(job):
                self._delete(self._job_path(job), job)

    # What is left behind

    def note_ends(self, wanted: RagIndex) -> None:
        """The end of these Jobs was told of: from now on they may go by themselves."""
        for job in self._store.of(wanted.metadata.uid):
            if _finished(job) is None or "ttlSecondsAfterFinished" in job["spec"] or _of_cron_job(job):
                continue
            self._may_write()
            seconds = self._release.pods.result_seconds
            operations = [
                {"op": "test", "path": "/metadata/uid", "value": job["metadata"]["uid"]},
                {"op": "add", "path": "/spec/ttlSecondsAfterFinished", "value": seconds},
            ]
            try:
                self._store.put(self._api.patch(self._job_path(job), operations))
            except NotThere:
                self._store.forget(job)

    def clear_away(self, uid: str) -> None:
        """Everything that was made for an object that is gone."""
        with self._giving_out:
            self._waits_no_more(uid)
        self._refusals.pop(uid, None)
        schedule = self._store.schedule_of(uid)
        if schedule is not None:
            self._delete(cron_jobs(self._release.namespace, schedule["metadata"]["name"]), schedule)
        for job in self._store.of(uid):
            self._delete(self._job_path(job), job)

    def known(self, key: str | None = None) -> set[str]:
        """The uids of all objects that something was made for; of those of one "namespace/name"."""
        every = (*self._store.every(), *self._store.every_schedule())
        return {_label(body, m.UID) for body in every if key is None or key_of(body) == key}

    def _delete(self, path: str, body: Body) -> None:
        self._may_write()
        with suppress(NotThere, Conflict):  # gone, and perhaps another of its name has come
            self._api.delete(path, uid=body["metadata"]["uid"])
        self._store.forget(body)

    def _job_path(self, job: Mapping[str, Any]) -> str:
        return jobs(self._release.namespace, job["metadata"]["name"])


def _label(body: Mapping[str, Any], name: str) -> str:
    return str(body["metadata"].get("labels", {}).get(name, ""))


def _of(found: Sequence[Body], part: str) -> list[Body]:
    return [job for job in found if _label(job, m.PART) == part]


def _of_cron_job(job: Body) -> bool:
    return any(owner.get("kind") == "CronJob" for owner in job["metadata"].get("ownerReferences", ()))


def _finished(job: Body) -> Body | None:
    """The condition that says so."""
    conditions = job.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None)


def _active(job: Body) -> bool:
    return _finished(job) is None and "deletionTimestamp" not in job["metadata"]


def _left(found: Sequence[Body]) -> dict[str, datetime]:
    """The runs that Jobs were made for and that ended, with the time of the last one's end."""
    ended: dict[str, datetime] = {}
    for job in found:
        run, end = _label(job, m.RUN), _finished(job)
        if run and end is not None and end.get("lastTransitionTime"):
            at = datetime.fromisoformat(end["lastTransitionTime"])
            ended[run] = max(at, ended.get(run, at))
    return ended


def _latest(found: Any) -> Body | None:
    return max(found, key=lambda job: job["metadata"].get("creationTimestamp", ""), default=None)


def _next_attempt(found: Sequence[Body]) -> int:
    return 1 + max((int(_label(job, m.ATTEMPT) or 0) for job in found), default=0)


def _trouble(found: Sequence[Body]) -> tuple[str | None, datetime | None]:
    """Of those parts whose last Job failed: how, and until when the next waits. Longer after each failure."""
    told: list[str] = []
    rests: list[datetime] = []
    for part in (m.LISTING, m.EMBEDDING):
        ends = sorted(
            (end for job in _of(found, part) if (end := _finished(job)) is not None),
            key=lambda end: end.get("lastTransitionTime", ""),
            reverse=True,
        )
        failures = 0
        while failures < len(ends) and ends[failures]["type"] == "Failed":
            failures += 1
        if failures:
            told.append(f"{part}: {ends[0].get('message') or ends[0].get('reason') or 'failed'}")
            wait = min(_REST_FIRST * (1 << min(failures - 1, 16)), _REST_MOST)
            rests.append(datetime.fromisoformat(ends[0]["lastTransitionTime"]) + wait)
    return "; ".join(told) or None, max(rests, default=None)
