"""Parsing where it can do no harm: a child process under limits of memory, processor time and wall clock.

One child serves many documents, so that starting it and importing parsers is paid once. It is replaced when a document
killed it or made it break a limit, and after a number of documents, whatever it has leaked by then.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from ragindex_core.document import DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected, Misconfigured
from ragindex_worker.parsing import wire
from ragindex_worker.parsing.limits import ParseLimits

_CHILD = "ragindex_worker.parsing.child"
_DOES_NOT_START = "the parser's process does not start: check the installation and the limits for parsing"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_READ_BYTES = 1024 * 1024
_ANSWER_OVERHEAD = 64 * 1024 * 1024  # beside the text: blocks, metadata and JSON's quotes
_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Sandbox:
    """A parser in a process of its own. Its documents go one after the other; several sandboxes work side by side."""

    def __init__(self, limits: ParseLimits | None = None) -> None:
        self._limits = limits or ParseLimits()
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def parse(self, path: Path, name: str) -> ParsedDocument:
        """The document in the file at ``path``, which its source calls ``name``.

        Raises DocumentRejected, with Poison when the parser died or ran out of its limits, and Misconfigured when no
        parser can be started at all.
        """
        request = wire.request(os.fspath(path.absolute()), name)
        with self._lock:
            child = self._begin(request)
            self._child = None  # kept only if it comes out of this unharmed
            try:
                document = self._outcome(child)
            except DocumentRejected as rejection:
                if rejection.reason is DocumentReason.POISON:
                    child.stop()
                else:
                    self._child = child
                raise
            except BaseException:
                child.stop()
                raise
            self._child = child
            return document

    def close(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.stop()
                self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, request: bytes) -> _Child:
        """A process that has taken on the request. One that died while it was idle is no document's doing."""
        child, self._child = self._child, None
        if child is not None:
            if child.served < self._limits.documents_per_process and child.begin(request):
                return child
            child.stop()
        child = _Child(self._limits)
        if not child.begin(request):
            child.stop()
            raise Misconfigured(_DOES_NOT_START)
        return child

    def _outcome(self, child: _Child) -> ParsedDocument:
        answer = child.answer()
        if answer is None:
            raise DocumentRejected(DocumentReason.POISON, child.why_it_died())
        try:
            return wire.outcome(answer)
        except ValueError as error:
            raise DocumentRejected(DocumentReason.POISON, "the parser answered nonsense") from error


class _Child:
    """One process of ``ragindex_worker.parsing.child`` and the two pipes to it."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._timed_out = False
        self.served = 0
        listened_to, self._lifeline = os.pipe()
        try:
            self._process = _start(limits, listened_to)
        finally:
            os.close(listened_to)
        assert self._process.stdout is not None
        self._poll = select.poll()
        self._poll.register(self._process.stdout, select.POLLIN)
        if self._receive(time.monotonic() + _START_SECONDS) is None:
            self.stop()
            raise Misconfigured(_DOES_NOT_START)

    def begin(self, request: bytes) -> bool:
        """Hand over a request; whether the process has taken it on."""
        self.served += 1
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(wire.frame(request))
        except BrokenPipeError:
            return False
        return self._receive(time.monotonic() + _START_SECONDS) is not None

    def answer(self) -> bytes | None:
        """The answer to the request; None when the process died or had to be killed over it."""
        return self._receive(time.monotonic() + self._limits.wall_seconds)

    def why_it_died(self) -> str:
        """In words for the document's owner. Called after ``answer`` came back empty."""
        if self._timed_out:
            return f"reading the document takes longer than {self._limits.wall_seconds:g} s"
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return f"reading the document takes more than {self._limits.cpu_seconds} s of processor time"
        megabytes = self._limits.memory_bytes // (1024 * 1024)
        if code < 0:
            name = signal.Signals(-code).name
            return f"the document killed its parser ({name}), perhaps over the limit of {megabytes} MiB of memory"
        return f"the document ended its parser (exit code {code})"

    def stop(self) -> None:
        """End the process, gently if it is idle."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        os.close(self._lifeline)
        try:
            process.wait(0 if self._timed_out else _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _receive(self, deadline: float) -> bytes | None:
        head = self._read(wire.LENGTH.size, deadline)
        if head is None:
            return None
        length: int = wire.LENGTH.unpack(head)[0]
        if length > 8 * self._limits.max_characters + _ANSWER_OVERHEAD:
            return b""  # which is no answer: nonsense
        return self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytes | None:
        """Exactly so many bytes; None at the end of the pipe, or at the deadline, which kills the process."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        received = bytearray()
        while len(received) < length:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not self._poll.poll(remaining * 1000):
                self._timed_out = True
                self._process.kill()
                return None
            part = os.read(descriptor, min(_READ_BYTES, length - len(received)))
            if not part:
                return None
            received += part
        return bytes(received)


def _start(limits: ParseLimits, lifeline: int) -> subprocess.Popen[bytes]:
    """Nothing of ours goes along: no open files or sockets, no settings or secrets of the environment."""
    return subprocess.Popen(  # noqa: S603  # our own module, and numbers
        [sys.executable, "-P", "-m", _CHILD, str(lifeline), json.dumps(asdict(limits))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        pass_fds=(lifeline,),  # and no other
        env={key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ} | {"LC_ALL": "C.UTF-8"},
        cwd="/",
        process_group=0,  # a Ctrl-C is for the worker, which closes us in good order; a session would have own priority
    )
