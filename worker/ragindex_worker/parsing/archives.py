"""Zip files are measured before anything in them is unpacked.

The sizes that are summed are those the archive declares. An entry that lies about its own is cut off by ``zipfile`` at
the declared size and then fails its checksum, so that a lie ends as Corrupt.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.limits import ParseLimits

_ENCRYPTED = 0x1


@contextmanager
def open_archive(path: Path, limits: ParseLimits) -> Iterator[zipfile.ZipFile]:
    """The archive at ``path``, known to unpack to a bearable size. Damage that shows later is Corrupt as well."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, limits)
            yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise DocumentRejected(DocumentReason.CORRUPT, "the file is a damaged zip archive") from error


def _check(archive: zipfile.ZipFile, limits: ParseLimits) -> None:
    entries = archive.infolist()
    if len(entries) > limits.max_archive_entries:
        raise DocumentRejected(
            DocumentReason.TOO_LARGE,
            f"the file is an archive of {len(entries):,} entries; at most {limits.max_archive_entries:,} are read",
        )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_archive_bytes:
        raise DocumentRejected(
            DocumentReason.TOO_LARGE,
            f"the file unpacks to {unpacked:,} bytes; at most {limits.max_archive_bytes:,} are read",
        )
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise DocumentRejected(DocumentReason.ENCRYPTED, "the file needs a password to open")
