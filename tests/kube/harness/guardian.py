"""Ends the processes it was told of when the one that started it is gone, however that went: also by SIGKILL.

A process of its own. Lines on its standard input say ``+PID`` for the leader of a process group that has begun and
``-PID`` for one that has ended; the end of the input means that the other side is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    running: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            running.add(int(line[1:]))
        else:
            running.discard(int(line[1:]))
    for group in running:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
