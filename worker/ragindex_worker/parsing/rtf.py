"""Rich Text Format: its words, paragraph by paragraph. Styles are not read, so there are no headings."""

from __future__ import annotations

import re
from pathlib import Path

from striprtf.striprtf import rtf_to_text

from ragindex_core.document import BlockKind, ParsedDocument
from ragindex_worker.parsing.builder import About, TextBuilder, normalise
from ragindex_worker.parsing.limits import ParseLimits

_INFO = {name: re.compile(r"\{\\" + name + r"\s+([^{}\\]*)\}") for name in ("title", "author", "subject")}
_HEAD = 64 * 1024


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    source = path.read_bytes().decode("latin-1")  # RTF is ASCII; striprtf decodes its \'xx escapes by the code page
    text = normalise(str(rtf_to_text(source, errors="replace")))  # type: ignore[no-untyped-call]  # publishes no types
    out = TextBuilder(limits.max_characters)
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if "|" in line:  # how striprtf ends each cell
            rows.append(line.rstrip().removesuffix("|").split("|"))
            continue
        out.table(rows)
        rows = []
        out.add(BlockKind.PARAGRAPH, line)
    info = {name: match[1] for name, pattern in _INFO.items() if (match := pattern.search(source[:_HEAD]))}
    title = info.pop("title", None)
    return out.document(About("application/rtf", "rtf/1", title, metadata={**info}))
