"""What ``ragindex up`` tells the person who started it: one line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from typing import TextIO

from ragindex_core.object.reasons import ConditionType, Reason
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.spec import DeletionPolicy
from ragindex_core.reconcile.observed import Revision, RevisionState
from ragindex_operator.reconcile import Outcome

_BAR = 24


class Progress:
    """``settled`` is set once every object reported has nothing left to do or waits for a person."""

    def __init__(self, out: TextIO | None = None, *, as_json: bool = False) -> None:
        self._out = out or sys.stdout
        self._json = as_json
        self._live = self._out.isatty() and not as_json
        self._lock = threading.Lock()
        self._line = ""
        self._told: dict[str, str] = {}
        self._troubles: dict[str, str | None] = {}
        self._expected: set[str] = set()
        self._done: set[str] = set()
        self.settled = threading.Event()

    def expect(self, paths: set[str]) -> None:
        self._expected = paths

    def say(self, text: str, **facts: object) -> None:
        """A line that stays; as JSON with what a program would want to know of it."""
        with self._lock:
            self._clear()
            self._out.write(json.dumps({"message": text.strip(), **facts}) if self._json else text)
            self._out.write("\n")
            self._out.write(self._line)
            self._out.flush()

    def end(self, text: str) -> None:
        """The last line: what moved stands still now."""
        self._show("")
        self.say(text)

    def report(self, index: RagIndex, outcome: Outcome) -> None:
        path = index.path
        state = _removed(index) if index.deleting else _describe(outcome)
        if state != self._told.get(path):
            self._told[path] = state
            if not _is_bar(state):
                self._show("")
                self.say(f"{path}: {state}", index=path)
            elif self._live:
                self._show(f"{path}  {state}")
        trouble = _trouble(outcome)
        if trouble != self._troubles.get(path):
            self._troubles[path] = trouble
            if trouble is not None:
                self.say(f"{path}: {trouble}", index=path)
        if _is_settled(outcome):
            self._done.add(path)
        if not self._expected - self._done:
            self.settled.set()

    def _show(self, line: str) -> None:
        if not self._live:
            return
        with self._lock:
            self._clear()
            width = shutil.get_terminal_size().columns - 1
            self._line = line[:width]
            self._out.write(self._line)
            self._out.flush()

    def _clear(self) -> None:
        if self._line:
            self._out.write("\r\x1b[K")


def _removed(index: RagIndex) -> str:
    kept = index.spec.deletion_policy is DeletionPolicy.RETAIN
    return "removed; its data is kept (ragindex retained)" if kept else "removed with its data"


def _describe(outcome: Outcome) -> str:
    observed = outcome.observed
    stalled = outcome.status.condition(ConditionType.STALLED)
    if stalled is not None and stalled.status == "True":
        return f"not in force ({stalled.reason}): {stalled.message}"
    serving = observed.revision(observed.index.serving if observed.index else None)
    building = next((r for r in observed.in_state(RevisionState.BUILDING) if r.documents.unfinished), None)
    shown = building or serving
    condition = outcome.status.condition(ConditionType.PROGRESSING)
    if shown is None or condition is None:
        return "preparing"
    if condition.status == "False":
        return f"{shown.documents.indexed} documents indexed, {shown.documents.failed} failed ({condition.reason})"
    return f"{_bar(shown)} {condition.reason}"


def _trouble(outcome: Outcome) -> str | None:
    """What needs a person's eye and shows in no count."""
    degraded = outcome.status.condition(ConditionType.DEGRADED)
    if degraded is None or degraded.status != "True" or degraded.reason == Reason.DOCUMENTS_FAILED:
        return None
    return f"{degraded.reason}: {degraded.message}"


def _bar(revision: Revision) -> str:
    counts = revision.documents
    finished = counts.indexed + counts.failed
    full = _BAR * finished // max(counts.total, 1)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {finished}/{counts.total} documents"


def _is_bar(state: str) -> bool:
    """What moves on; without a terminal, not every document is news."""
    return state.startswith("[")


def _is_settled(outcome: Outcome) -> bool:
    condition = outcome.status.condition(ConditionType.PROGRESSING)
    return condition is not None and condition.status == "False"
