"""A folder of files as a source of documents.

- Keys are paths relative to the folder; a listing is in the order of the keys.
- Links to files inside the folder are files. Links to folders are not entered: what they lead to is either listed where
  it lies or outside. Links that leave the folder or hold an absolute path, pipes, sockets and devices are not listed.
- Names that begin with ``..`` are how Kubernetes lays out mounted volumes, and ``lost+found`` belongs to the file
  system: neither is listed.
- ``<file>.metadata.json`` goes with its file and is no document; without its file it is nothing.
- The version token is the time of the last change, size and inode.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, Unavailable
from ragindex_core.ports import Fetched, SourceObject
from ragindex_providers.sources.confined import Outside, open_file, open_folder, open_root
from ragindex_providers.sources.keys import key_of, path_of
from ragindex_providers.sources.patterns import Patterns

SIDECAR_SUFFIX = ".metadata.json"
_MAX_SIDECAR_BYTES = 1024 * 1024
_BLOCK = 1024 * 1024
_MAX_DEPTH = 100
#: Of one file and no other; anything else is the source's own trouble.
_FILE_TROUBLE = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG}
)


class DirectorySource:
    def __init__(self, root: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._root = root.absolute()
        self._patterns = Patterns(include, exclude)

    def list(self) -> Iterator[SourceObject]:
        with self._opened_root() as root:
            yield from self._list_folder(root, root, "")

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        with self._opened(key) as descriptor:
            before = os.fstat(descriptor)
            if before.st_size > max_bytes:
                raise DocumentRejected(DocumentReason.TOO_LARGE, f"{before.st_size} bytes, allowed are {max_bytes}")
            digest, size = hashlib.sha256(), 0
            while block := self._read(descriptor, _BLOCK, key):
                size += len(block)
                if size > before.st_size:  # who writes faster than we read would keep us for ever
                    break
                digest.update(block)
                into.write(block)
            after = os.fstat(descriptor)
        if _token(before) != _token(after) or size != before.st_size:
            raise DocumentRejected(DocumentReason.CHANGED, "it changed while it was read")
        return Fetched(version=_token(after), sha256=digest.hexdigest(), size=size)

    def sidecar(self, key: str) -> Mapping[str, object]:
        content = bytearray()
        with self._opened(key + SIDECAR_SUFFIX) as descriptor:
            while len(content) <= _MAX_SIDECAR_BYTES and (block := self._read(descriptor, _BLOCK, key)):
                content += block
        return decode_sidecar(bytes(content))

    def _list_folder(self, root: int, folder: int, prefix: str) -> Iterator[SourceObject]:
        names, sidecars = self._names(folder, prefix)
        for name, is_folder in names:
            path = prefix + name
            found = _stat(root, folder, name, path)
            if found is None or stat.S_ISDIR(found.st_mode) != is_folder:
                continue  # removed or replaced since its folder was read
            if is_folder:
                if path != "lost+found" and not self._patterns.skip_folder(path):
                    yield from self._list_subfolder(root, folder, name, path)
            elif self._patterns.take(path):
                sidecar = name + SIDECAR_SUFFIX
                beside = _stat(root, folder, sidecar, prefix + sidecar) if sidecar in sidecars else None
                yield self._object(path, found, beside)

    def _list_subfolder(self, root: int, parent: int, name: str, path: str) -> Iterator[SourceObject]:
        if path.count("/") >= _MAX_DEPTH:
            raise Unavailable(f"folder {self._root}: it holds folders nested more than {_MAX_DEPTH} deep")
        try:
            folder = open_folder(name, parent)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return  # removed or replaced since its parent was read
            raise self._unavailable(error, path) from error
        try:
            yield from self._list_folder(root, folder, path + "/")
        finally:
            os.close(folder)

    def _names(self, folder: int, prefix: str) -> tuple[Sequence[tuple[str, bool]], set[str]]:
        """What lies in a folder and whether it is one, in the order of the keys, and the sidecars among it apart."""
        names, sidecars = list[tuple[str, bool]](), set[str]()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if entry.name.endswith(SIDECAR_SUFFIX) and not is_folder:
                        sidecars.add(entry.name)
                    elif not entry.name.startswith(".."):
                        names.append((entry.name, is_folder))
        except OSError as error:
            raise self._unavailable(error, prefix) from error
        names.sort(key=_place)
        return names, sidecars

    def _object(self, path: str, found: os.stat_result, sidecar: os.stat_result | None) -> SourceObject:
        key = key_of(path)
        return SourceObject(
            key=key,
            uri=f"file://{key_of(str(self._root))}/{key}",
            version=_token(found),
            size=found.st_size,
            modified=_moment(found),
            sidecar_version=_token(sidecar) if sidecar and stat.S_ISREG(sidecar.st_mode) else None,
        )

    @contextmanager
    def _opened_root(self) -> Iterator[int]:
        try:
            root = open_root(self._root)
        except OSError as error:
            raise self._unavailable(error, "") from error
        try:
            yield root
        finally:
            os.close(root)

    @contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        with self._opened_root() as root:
            try:
                descriptor = open_file(root, path_of(key))
            except Outside as error:
                raise DocumentRejected(DocumentReason.UNREADABLE, f"it {error.strerror}") from error
            except OSError as error:
                if error.errno in _FILE_TROUBLE:
                    raise DocumentRejected(DocumentReason.UNREADABLE, error.strerror or "unreadable") from error
                raise self._unavailable(error, key) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int, size: int, key: str) -> bytes:
        try:
            return os.read(descriptor, size)
        except OSError as error:
            raise self._unavailable(error, key) from error

    def _unavailable(self, error: OSError, path: str) -> Unavailable:
        where = f"folder {self._root}" + (f", {key_of(path)}" if path else "")
        return Unavailable(f"{where}: {error.strerror or type(error).__name__}")


def decode_sidecar(content: bytes) -> Mapping[str, object]:
    """The JSON object of a sidecar. Raises DocumentRejected(Corrupt) for anything else."""
    if len(content) > _MAX_SIDECAR_BYTES:
        raise DocumentRejected(DocumentReason.CORRUPT, f"its metadata file is larger than {_MAX_SIDECAR_BYTES} bytes")
    try:
        decoded = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DocumentRejected(DocumentReason.CORRUPT, "its metadata file is not JSON") from error
    if not isinstance(decoded, dict):
        raise DocumentRejected(DocumentReason.CORRUPT, "its metadata file is not a JSON object")
    return decoded


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _stat(root: int, folder: int, name: str, path: str) -> os.stat_result | None:
    """Of a regular file, or a link to one that stays inside, or a folder; None for anything else and what is gone."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            descriptor = open_file(root, path)
            try:
                return os.fstat(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        if error.errno in _FILE_TROUBLE or isinstance(error, Outside):
            return None
        raise Unavailable(f"{key_of(path)}: {error.strerror}") from error
    return found if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) else None


def _place(entry: tuple[str, bool]) -> str:
    """Where a name stands among those beside it: keys are compared whole, so that a folder's begin with its slash."""
    name, is_folder = entry
    return key_of(name) + "/" if is_folder else key_of(name)


def _token(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"


def _moment(found: os.stat_result) -> datetime | None:
    try:
        return datetime.fromtimestamp(found.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return None
