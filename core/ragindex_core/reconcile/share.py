"""Who may start pods while ``operator.maxActivePods`` bounds those of all objects.

Pods are given out one at a time. A first pod goes before anybody's second. Among those who ask alike, the namespace
with the fewest pods goes first, in it the object with the fewest, and among equals whoever waits longest. Nothing that
runs is taken away: Jobs end, and what they free goes by the same order.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Ask:
    """What one object would start beyond what it has; one ask an object."""

    uid: str
    namespace: str
    pods: int
    since: datetime  # when it began to wait


@dataclass(frozen=True, slots=True)
class Holding:
    """Pods that an object has, or that its Jobs may start by themselves."""

    uid: str
    namespace: str
    pods: int


#: (pods that the object has, waiting since, uid): the least goes first within a namespace.
_Turn: TypeAlias = tuple[int, datetime, str]
#: (second pod or later, pods of the namespace, waiting since, namespace): the least namespace goes first.
_Claim: TypeAlias = tuple[bool, int, datetime, str]


def grant(asks: Sequence[Ask], active: Sequence[Holding], most: int | None) -> Mapping[str, int]:
    """How many pods each asking object may start now, by uid; 0 for those that wait."""
    granted = {ask.uid: 0 for ask in asks}
    wanted = {ask.uid: ask.pods for ask in asks}
    if most is None:
        return wanted
    of_object, of_namespace = Counter[str](), Counter[str]()
    for holding in active:
        of_object[holding.uid] += holding.pods
        of_namespace[holding.namespace] += holding.pods
    turns: dict[str, list[_Turn]] = {}
    for ask in asks:
        if ask.pods > 0:
            turns.setdefault(ask.namespace, []).append((of_object[ask.uid], ask.since, ask.uid))

    def claim(namespace: str) -> _Claim:
        pods, since, _ = turns[namespace][0]
        return pods > 0, of_namespace[namespace], since, namespace

    for waiting in turns.values():
        heapq.heapify(waiting)
    claims = [claim(namespace) for namespace in turns]
    heapq.heapify(claims)
    room = most - of_object.total()
    while claims and room > 0:
        namespace = claims[0][-1]
        pods, since, uid = turns[namespace][0]
        granted[uid] += 1
        of_namespace[namespace] += 1
        room -= 1
        if granted[uid] < wanted[uid]:
            heapq.heapreplace(turns[namespace], (pods + 1, since, uid))
        else:
            heapq.heappop(turns[namespace])
        if turns[namespace]:
            heapq.heapreplace(claims, claim(namespace))
        else:
            heapq.heappop(claims)
    return granted
