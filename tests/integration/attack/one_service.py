"""The service as a process of its own, which tells on request what it holds."""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from tests.integration.api.library import serve

from ragindex_api.settings import ApiSettings
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_core.testing.generator import Reply, ScriptedGenerator


def main(url: str, settings: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))  # as most systems begin

    async def never() -> None:
        await asyncio.Event().wait()

    unending = ScriptedGenerator([Reply(["Thirty days of annual leave, ", never])] * 1000)
    service = serve(url, embedder=HashEmbedder(64), generator=unending, settings=ApiSettings(**json.loads(settings)))
    sys.stdout.write(f"{service.server.port}\n")
    sys.stdout.flush()
    for _ in sys.stdin:  # each line is a question
        loop = service.server._loop
        assert loop is not None
        held = {
            "in_flight": service.metrics.registry.get_sample_value("ragindex_requests_in_flight"),
            "tasks": len(asyncio.all_tasks(loop)),
            "connections": len(service.server.server_state.connections),
        }
        sys.stdout.write(json.dumps(held) + "\n")
        sys.stdout.flush()
    service.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
