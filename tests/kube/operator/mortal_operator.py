"""The real operator, but mortal: it kills or stops itself before or after any effect that it is told.

``python -m tests.kube.operator.mortal_operator`` waits for lives as lines of JSON and lives each in a process of its
own, forked from itself, so that what has to be imported is imported once. To each line it answers the process' id; when
its input ends, so do all lives. What an operator does is enumerated by name: writes to the API server, actions of a
plan, other transactions that write, and index builds.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa

from ragindex_api import logging as json_logging
from ragindex_core.reconcile import actions as act
from ragindex_operator.cluster.api import Body, KubeApi
from ragindex_operator.cluster.connection import Connection
from ragindex_operator.cluster.leading import LIMITS, Leading
from ragindex_operator.cluster.lease import Leadership, Times
from ragindex_operator.cluster.main import Operator
from ragindex_operator.cluster.originals import ConfigMaps
from ragindex_operator.cluster.settings import OperatorEnvironment
from ragindex_operator.perform import Performer
from ragindex_operator.reconcile import Reconciler

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"})
#: Nothing but one write to the API server each, which has a name of its own.
_BY_API = (act.EnsureWorkers, act.ListSources, act.KeepTimetable, act.DropTimetable, act.StopWorkers, act.ReleaseObject)


@dataclass(frozen=True, slots=True)
class Life:
    """``settings`` are the operator's variables without their prefix; ``note`` is told of every point reached."""

    settings: Mapping[str, str]
    note: str
    log: str
    end_at: str | None = None  # the point, as it is noted
    how: int = signal.SIGKILL
    times: Mapping[str, float] = field(default_factory=dict)  # of its Lease


class Points:
    """Where this process has come to; it ends, or stops, at the one it is told to."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def effect(self, name: str) -> Iterator[None]:
        named = self.named(name)
        self.reached(f"{named}, before")
        try:
            yield
        except Exception:
            self.reached(f"{named}, in vain")
            raise
        self.reached(f"{named}, after")

    def named(self, name: str) -> str:
        with self._lock:
            self._times[name] += 1
            return name if self._times[name] == 1 else f"{name} #{self._times[name]}"

    def reached(self, point: str) -> None:
        with self._lock, Path(self._life.note).open("a") as note:
            note.write(f"{point}\n")
        if point == self._life.end_at:
            signal.pthread_kill(threading.get_ident(), self._life.how)  # not one step further, whatever others do


class MortalApi(KubeApi):
    def __init__(self, connection: Connection, made: Callable[[str], None], points: Points) -> None:
        super().__init__(connection, made)
        self._points = points

    def _ask(self, verb: str, method: str, path: str, *rest: Any, **more: Any) -> Body:
        body = more.get("body", rest[1] if len(rest) > 1 else None)
        name = _effect_of(verb, path, body)
        if name is None:
            return super()._ask(verb, method, path, *rest, **more)
        with self._points.effect(name):
            return super()._ask(verb, method, path, *rest, **more)


def _effect_of(verb: str, path: str, body: Any) -> str | None:
    """None for what changes nothing, and for the Lease, which is written by the clock."""
    kind, _, of = path.partition("/namespaces/")[2].partition("/")[2].partition("/")
    if verb in ("get", "list") or kind == "leases":
        return None
    if of.endswith("/status"):
        return f"{verb} status of {kind}"
    if verb == "patch":
        return f"patch {kind}: {body[-1]['op']} {body[-1]['path'].split('/')[2]}"
    if verb == "create" and kind == "jobs":
        return f"create {body['metadata']['labels']['ragindex.io/part']} job"
    return f"{verb} {kind}"


class MortalPerformer(Performer):
    points: ClassVar[Points]
    under_way: ClassVar[threading.local] = threading.local()

    def perform(self, action: act.Action, answers: Sequence[act.AnswerRequest] = ()) -> bool:
        if isinstance(action, _BY_API):
            return super().perform(action, answers)
        self.under_way.action, self.under_way.commits = type(action).__name__, 0
        try:
            with self.points.effect(type(action).__name__):
                return super().perform(action, answers)
        finally:
            self.under_way.action = None


class Transactions:
    """Those that write and are no action of a plan: the epoch, the status, what a sweep mends. Index builds. An action
    is one transaction; were it more, its middle would be a point too."""

    def __init__(self, points: Points, engine: sa.Engine) -> None:
        self._points = points
        self._of = threading.local()
        sa.event.listen(engine, "before_cursor_execute", self._executing)
        sa.event.listen(engine, "after_cursor_execute", self._executed)
        sa.event.listen(engine, "handle_error", self._failed)
        sa.event.listen(engine, "commit", self._committing)
        sa.event.listen(engine, "checkin", self._returned)

    def _executing(self, *arguments: Any) -> None:
        words = arguments[2].split(maxsplit=4)
        if "CONCURRENTLY" in words[:4]:
            self._of.build = self._points.named(f"{words[0].lower()} vector index")
            self._points.reached(f"{self._of.build}, before")
        elif words[0] in _WRITES:
            self._of.writes = f"{words[0].lower()} {words[1] if words[0] == 'UPDATE' else words[2]}"

    def _executed(self, *_arguments: Any) -> None:
        self._built("after")

    def _failed(self, _context: Any) -> None:
        self._built("in vain")

    def _built(self, how: str) -> None:
        build, self._of.build = getattr(self._of, "build", None), None
        if build is not None:
            self._points.reached(f"{build}, {how}")

    def _committing(self, _connection: Any) -> None:
        writes, self._of.writes = getattr(self._of, "writes", None), None
        action = getattr(MortalPerformer.under_way, "action", None)
        if writes is not None and action is not None:
            MortalPerformer.under_way.commits += 1
            if MortalPerformer.under_way.commits > 1:
                self._points.reached(f"{action}, before commit {MortalPerformer.under_way.commits}")
        elif writes is not None:
            self._of.committed = self._points.named(writes)
            self._points.reached(f"{self._of.committed}, before")

    def _returned(self, *_arguments: Any) -> None:
        committed, self._of.committed = getattr(self._of, "committed", None), None
        if committed is not None:
            self._points.reached(f"{committed}, after")


class MortalLeading(Leading):
    """Small indexes get a vector index too, and readers forget soon what they resolved."""

    def watched_by(self, points: Points) -> MortalLeading:
        Transactions(points, self._database.engine)
        return self

    def _reconciler(self, originals: ConfigMaps) -> Reconciler:
        made = super()._reconciler(originals)
        made.performer = MortalPerformer
        made.limits = replace(LIMITS, index_from_chunks=3, reader_cache=timedelta(seconds=2))
        return made


class MortalOperator(Operator):
    def __init__(self, environment: OperatorEnvironment, life: Life) -> None:
        super().__init__(environment)
        self._times = Times(**life.times)
        self._points = MortalPerformer.points = Points(life)

    def connect(self, made: Callable[[str], None]) -> KubeApi:
        return MortalApi(Connection.found(self.environment.kubeconfig), made, self._points)

    def leadership(self, api: KubeApi, identity: str, over: threading.Event) -> Leadership:
        namespace, name = self.environment.release_namespace, self.environment.lease
        return Leadership(api, namespace, name, over.set, identity=identity, times=self._times)

    def leading(self, *parts: Any) -> Leading:
        return MortalLeading(self.environment, *parts).watched_by(self._points)


def _live(life: Life) -> None:
    output = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update({f"RAGINDEX_{name.upper()}": value for name, value in life.settings.items()})
    json_logging.configure("INFO")
    operator = MortalOperator(OperatorEnvironment(), life)  # type: ignore[call-arg]  # filled from the environment
    signal.signal(signal.SIGTERM, lambda *_: operator.stop())
    operator.run()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a life ended
    lives = set[int]()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _live(Life(**json.loads(line)))
            except Exception:
                logging.getLogger(__name__).exception("a life broke off")
            finally:
                os._exit(0)
        lives.add(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in lives:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def as_line(life: Life) -> str:
    return json.dumps(asdict(life)) + "\n"


if __name__ == "__main__":
    main()
