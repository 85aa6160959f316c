"""Runs one PostgreSQL program as the server's account, and watches over the server.

    launch.py run   UID GID CAPABILITY OWNER_PID PROGRAM ARGUMENT…
    launch.py guard UID GID CAPABILITY OWNER_PID PROGRAM ARGUMENT…

A program of its own, started with ``python -I -S``, importing nothing of RagIndex: it must start in milliseconds and
outlive whatever happens to its owner. ``run`` becomes the program. ``guard`` stays its parent: it says the server's
process id on standard output, and stops the server once its owner is gone, which shows in two ways, the end of
standard input and the owner's process descriptor. Should the guardian itself be killed, the kernel tells the server.

UID ``-1`` keeps the account. CAPABILITY ``-1`` is none; another number stays with the program after it has left
root's account (see account.py for which, and why).
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522

# A fast shutdown writes a checkpoint, which a slow disk may take long over. What is cut off is recovered at next start.
STOPPING = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def step_down(uid: int, gid: int, capability: int) -> None:
    """Leave root's account for good; ``capability`` (one of the first 32) survives that and the next exec.

    The secure bit keeps capabilities over the change of account, and, which is why it is not the gentler KEEPCAPS, has
    access(2) heed them: PostgreSQL looks for its own programs with that. All but the one are given up right after."""
    libc = ctypes.CDLL(None, use_errno=True) if capability >= 0 else None
    if libc is not None:
        _checked(libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "keep capabilities")
    os.setgroups([])
    os.setregid(gid, gid)
    os.setreuid(uid, uid)
    if libc is not None:
        bit = 1 << capability
        sets = (_CapData * 2)(_CapData(bit, bit, bit), _CapData(0, 0, 0))
        header = _CapHeader(LINUX_CAPABILITY_VERSION_3, 0)
        _checked(libc.capset(ctypes.byref(header), sets), "set capabilities")
        _checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "hand a capability on")


def _become_server(guardian: int, program: list[str]) -> NoReturn:
    """The child's side: ends in exec, or in words on standard error and status 127."""
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
            if os.getppid() != guardian:  # it died before the kernel was asked to tell
                os._exit(0)
        for number in (*DEAF_TO, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)  # standard output belongs to the guardian: its end is how the owner learns of ours
        os.execv(program[0], program)  # noqa: S606 - no shell wanted
    except OSError as error:
        os.write(2, f"FATAL:  {program[0]}: {error}\n".encode())
    os._exit(127)


class _Child:
    """The server, and a descriptor that becomes readable when one of our children ends."""

    def __init__(self, pid: int, wakeup: int) -> None:
        self.pid, self.wakeup = pid, wakeup

    def exit_code(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else os.waitstatus_to_exitcode(status)

    def wait(self, timeout: float) -> int | None:
        deadline = time.monotonic() + timeout
        while (code := self.exit_code()) is None and (left := deadline - time.monotonic()) > 0:
            select.select([self.wakeup], [], [], left)
            _drain(self.wakeup)
        return code

    def stop(self) -> int:
        for number, patience in STOPPING:
            os.kill(self.pid, number)
            if (code := self.wait(patience)) is not None:
                return code
        return 1


def _drain(descriptor: int) -> None:
    try:
        os.read(descriptor, 512)
    except BlockingIOError:
        return


def guard(owner: int, program: list[str]) -> int:
    """Start the server, then wait for its end or the owner's, whichever comes first."""
    for number in DEAF_TO:  # a whole service group may be told to end; the owner drains first, then closes our input
        signal.signal(number, signal.SIG_IGN)
    wakeup, wakeup_write = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wakeup_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
    guardian = os.getpid()
    watched = [0, wakeup]
    if sys.platform == "linux":  # a forked child of the owner's may hold our input open; the owner's own end counts
        try:
            watched.append(os.pidfd_open(owner))
        except ProcessLookupError:
            return 0
        except OSError:  # a kernel or sandbox without process descriptors: the end of input has to do
            watched = watched[:2]
    pid = os.fork()
    if pid == 0:
        _become_server(guardian, program)
    child = _Child(pid, wakeup)
    os.write(1, b"%d\n" % pid)
    while True:
        readable, _, _ = select.select(watched, [], [])
        if (code := child.exit_code()) is not None:
            return code
        if set(readable) - {wakeup}:
            return child.stop()
        _drain(wakeup)


def main(arguments: list[str]) -> int:
    mode, uid, gid, capability, owner, *program = arguments
    try:
        if int(uid) >= 0:
            step_down(int(uid), int(gid), int(capability))
        if mode == "run":
            os.execv(program[0], program)  # noqa: S606 - no shell wanted
    except OSError as error:
        os.write(2, f"FATAL:  {program[0]}: {error}\n".encode())
        return 126
    return abs(guard(int(owner), program))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
