from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.local.running import Running


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Not started yet; whatever is started is ended."""
    made = Running(tmp_path)
    for n in range(4):
        made.write(f"note-{n}.md", f"# Note {n}\n\nThe lighthouse number {n} is painted in shade {n * 7}.\n")
    made.write_object()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.send_signal(signal.SIGKILL)
        made.process.wait()
