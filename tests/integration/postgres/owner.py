"""A RagIndex that does nothing but keep a server: `owner.py FOLDER [fork]` says the pids, then waits to be killed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ragindex_local.postgres import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
assert server.pid is not None
if "fork" in sys.argv and os.fork() == 0:  # a child that outlives its parent, with every descriptor the parent had
    signal.alarm(30)
    signal.pause()
parent_of_server = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1]
sys.stdout.write(f"{server.pid} {parent_of_server}\n")
sys.stdout.close()
signal.pause()
