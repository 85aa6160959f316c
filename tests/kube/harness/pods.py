"""What a pod asks of its node, as the arguments and the environment of a process, and what the node tells of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.kube.harness.api import Object

Read = Callable[[str, str], Mapping[str, str] | None]
"""Gives the data of a ConfigMap or Secret, by plural and name, or None when it is not there."""


class CannotStart(Exception):
    """As the real one says it: CreateContainerConfigError."""


def command_of(container: Object, environment: Mapping[str, str]) -> list[str]:
    return [_expanded(part, environment) for part in [*container.get("command", []), *container.get("args", [])]]


def environment_of(pod: Object, container: Object, read: Read) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        plural, reference = _reference(source, "configMapRef", "secretRef")
        data = read(plural, reference["name"])
        if data is None and not reference.get("optional"):
            raise CannotStart(f'{plural} "{reference["name"]}" not found')
        found.update({source.get("prefix", "") + name: value for name, value in (data or {}).items()})
    for variable in container.get("env", []):
        value = (
            _value_from(pod, variable["valueFrom"], read)
            if "valueFrom" in variable
            else _expanded(variable.get("value", ""), found)
        )
        if value is not None:
            found[variable["name"]] = value
    return found


def data_of(item: Object) -> dict[str, str]:
    """Of a ConfigMap or a Secret."""
    data = item.get("data") or {}
    if item["kind"] == "Secret":
        return {name: base64.b64decode(value).decode() for name, value in data.items()}
    return dict(data)


def status(pod: Object, phase: str, begun: str, state: Object) -> Object:
    container, running = pod["spec"]["containers"][0], "running" in state
    told = {"name": container["name"], "image": container.get("image", ""), "imageID": "", "restartCount": 0}
    ready = condition("Ready", "True" if running else "False", "" if running else "PodCompleted")
    return {
        "phase": phase,
        "startTime": begun,
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "conditions": [condition("PodScheduled", "True"), ready, {**ready, "type": "ContainersReady"}],
        "containerStatuses": [{**told, "ready": running, "started": running, "state": state}],
    }


def condition(kind: str, status: str, reason: str = "") -> Object:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": now()}


def path_of(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _value_from(pod: Object, source: Object, read: Read) -> str | None:
    if field := source.get("fieldRef"):
        return _field(pod, field["fieldPath"])
    plural, reference = _reference(source, "configMapKeyRef", "secretKeyRef")
    value = (read(plural, reference["name"]) or {}).get(reference["key"])
    if value is None and not reference.get("optional"):
        raise CannotStart(f'no key {reference["key"]} in {plural} "{reference["name"]}"')
    return value


def _reference(source: Object, config_map: str, secret: str) -> tuple[str, Object]:
    if config_map in source:
        return "configmaps", source[config_map]
    if secret in source:
        return "secrets", source[secret]
    raise CannotStart(f"the process kubelet does not know {sorted(source)}")


def _field(pod: Object, path: str) -> str:
    """``metadata.name`` and ``metadata.labels['some/key']`` alike."""
    value: Any = pod
    for key in re.findall(r"\['([^']*)'\]|([^.\[\]']+)", path):
        value = value.get(key[0] or key[1], "")
    return str(value)


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """``$(NAME)`` is the variable's value where there is one; ``$$`` is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]+)\)", value, text)
