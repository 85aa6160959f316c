"""How much one document may ask for before it is turned away."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What breaks one of the first group is TooLarge; what breaks one of the second is Poison."""

    max_characters: int = 20_000_000  # of normalised text
    max_pages: int = 10_000  # of a PDF, and slides
    max_rows: int = 300_000  # of one sheet, or of a delimited file
    max_cells: int = 1_000_000  # likewise
    max_archive_bytes: int = 256 * _MIB  # a zip's entries, unpacked
    max_archive_entries: int = 10_000

    memory_bytes: int = 1536 * _MIB  # address space of the parser's process
    cpu_seconds: int = 60
    wall_seconds: float = 120.0

    documents_per_process: int = 500  # after that the process is replaced, whatever it has leaked
