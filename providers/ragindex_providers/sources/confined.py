"""Opens files below a folder, and only there, whatever links the folder holds and whoever moves things meanwhile.

The kernel is never given more than one name at a time, never follows a link and never sees a ``..``: each step opens
one name in a folder that is already open. Links are read and walked here, so one that leaves the folder is refused
rather than followed, and a file swapped for a link between two steps leads nowhere.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MAX_LINKS = 40  # the kernel's own limit
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _NO_LINK
_FILE = os.O_RDONLY | os.O_NONBLOCK | _NO_LINK  # opening a pipe must not wait for a writer


class Outside(OSError):
    """A path or link that leaves the folder, or goes round in circles."""


def open_root(root: Path) -> int:
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_folder(name: str, parent: int) -> int:
    return os.open(name, _FOLDER, dir_fd=parent)


def open_file(root: int, path: str) -> int:
    """A regular file below the open folder ``root``. Raises OSError; of kind Outside for what is not in there."""
    walk = _Walk(root)
    try:
        descriptor = walk.to(path)
    finally:
        walk.close()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Outside(errno.EINVAL, "is not a regular file")
    return descriptor


class _Walk:
    """The folders from the root down to where the walk is, all held open, so that ``..`` is a step back to a folder
    that is known to be inside."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._folders: list[int] = []

    def to(self, path: str) -> int:
        ahead = path.split("/")[::-1]
        if any(part in ("", ".", "..") for part in ahead) or "\0" in path:
            raise Outside(errno.EINVAL, "is not a path below the folder")
        links = 0
        while True:
            name = ahead.pop()
            if name in ("", "."):
                descriptor = None
            elif name == "..":
                if not self._folders:
                    raise Outside(errno.EXDEV, "leads out of the folder")
                os.close(self._folders.pop())
                descriptor = None
            else:
                descriptor = self._step(name, last=not ahead)
                if descriptor is None:
                    links += 1
                    if links > _MAX_LINKS:
                        raise Outside(errno.ELOOP, "goes through too many links")
                    ahead += self._link_target(name)
            if descriptor is not None and not ahead:
                return descriptor
            if descriptor is not None:
                self._folders.append(descriptor)
            if not ahead:
                raise Outside(errno.EISDIR, "is a folder")

    def _step(self, name: str, *, last: bool) -> int | None:
        """One name further; None for a link."""
        try:
            return os.open(name, _FILE if last else _FOLDER, dir_fd=self._here)
        except OSError as error:
            # For a folder's flags Linux calls a link "not a directory"; a file is that as well.
            if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR) and self._is_link(name):
                return None
            raise

    def _is_link(self, name: str) -> bool:
        return stat.S_ISLNK(os.stat(name, dir_fd=self._here, follow_symlinks=False).st_mode)

    def _link_target(self, name: str) -> list[str]:
        target = os.readlink(name, dir_fd=self._here)
        if target.startswith("/"):
            raise Outside(errno.EXDEV, "is a link to an absolute path")
        return target.split("/")[::-1]

    @property
    def _here(self) -> int:
        return self._folders[-1] if self._folders else self._root

    def close(self) -> None:
        for descriptor in self._folders:
            os.close(descriptor)
        self._folders.clear()
