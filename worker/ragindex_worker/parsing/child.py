"""The parser's own process: takes the name of a file from its standard input, answers with a document or a rejection.

It is started with nothing but its pipes, binds itself to the limits before the first document comes, and ends as soon
as its parent closes the pipe or dies. It writes no log: its standard error goes nowhere, for it may quote documents.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sys
from pathlib import Path
from threading import Thread
from time import process_time
from typing import BinaryIO

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing import wire
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.parse import parse_file

READY = b"ready"
STARTED = b"started"
_OPEN_FILES = 64


def main(lifeline: int, limits: ParseLimits) -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _detach()
    _bind(limits)
    Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    _send(answers, READY)
    while head := requests.read(wire.LENGTH.size):
        path, name = wire.read_request(requests.read(wire.LENGTH.unpack(head)[0]))
        _renew_cpu_time(limits)
        _send(answers, STARTED)  # from here on, what happens to this process is the document's doing
        _send(answers, _answer(Path(path), name, limits))


def _answer(path: Path, name: str, limits: ParseLimits) -> bytes:
    try:
        return wire.accepted(parse_file(path, name, limits))
    except DocumentRejected as rejection:
        return wire.rejected(rejection)
    except MemoryError:
        return wire.rejected(DocumentRejected(DocumentReason.POISON, "the document takes more memory than allowed"))


def _detach() -> None:
    """Whatever a library prints must not end up between the answers."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _bind(limits: ParseLimits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a parser writes no files; pipes do not count
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    with contextlib.suppress(ValueError, OSError):  # macOS has no limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


def _renew_cpu_time(limits: ParseLimits) -> None:
    """The limit counts from the start of the process, so that each document gets its own by raising it."""
    until = math.ceil(process_time()) + limits.cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _die_with_parent(lifeline: int) -> None:
    """Nothing ever comes through this pipe but its end: the parent closed it, or died. Whatever is under way ends."""
    os.read(lifeline, 1)
    os._exit(0)


def _send(answers: BinaryIO, payload: bytes) -> None:
    answers.write(wire.frame(payload))
    answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), ParseLimits(**json.loads(sys.argv[2])))
