"""kubectl, as a person uses it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

_SECONDS = 90


class KubectlError(Exception):
    """What it wrote to stderr."""

    def __init__(self, arguments: tuple[str, ...], code: int, text: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: exit code {code}\n{text}")
        self.text = text


@dataclass(frozen=True, slots=True)
class Kubectl:
    program: Path
    kubeconfig: Path
    cache: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it and give what it prints."""
        command = [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_SECONDS)
        if done.returncode:
            raise KubectlError(arguments, done.returncode, done.stderr or done.stdout)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--output=json"))

    def apply(self, *objects: dict[str, Any], namespace: str | None = None) -> str:
        """What ``kubectl apply -f -`` makes of these objects."""
        where = [f"--namespace={namespace}"] if namespace else []
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self("apply", "--filename=-", *where, stdin=json.dumps(items))

    def acting_as(self, kubeconfig: Path) -> Kubectl:
        return replace(self, kubeconfig=kubeconfig)
