"""Every document that a parser test makes is held against the promises of ``ParsedDocument``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from ragindex_core.document import BlockKind, DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.parse import parse_file

Parse: TypeAlias = Callable[..., ParsedDocument]
Reject: TypeAlias = Callable[..., DocumentReason]


def check_promises(document: ParsedDocument) -> None:
    text = document.text
    assert text.strip()
    assert not set(text) & set("\0\r\x0b\x0c\x85\u2028\u2029\ufeff")
    text.encode("utf-8")  # raises on a lone surrogate
    covered = 0
    for block in document.blocks:
        assert covered <= block.span.start < block.span.end <= len(text)
        assert not text[covered : block.span.start].strip(), "text outside of every block"
        covered = block.span.end
        assert block.span.of(text).strip()
        assert (block.level > 0) == (block.kind is BlockKind.HEADING)
        if block.header is not None:
            assert block.header.start >= block.span.start
            assert block.header.of(text) == block.span.of(text).split("\n")[0].strip()
    assert not text[covered:].strip(), "text outside of every block"
    assert document.parser
    assert document.media_type


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    """Parses bytes or text under a name, with the default limits or given ones."""

    def parse_content(content: bytes | str, name: str, limits: ParseLimits | None = None) -> ParsedDocument:
        path = tmp_path / "document"
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        document = parse_file(path, name, limits or ParseLimits())
        check_promises(document)
        return document

    return parse_content


@pytest.fixture
def reject(parse: Parse) -> Reject:
    """The reason for which a document is turned away."""

    def reason_of(content: bytes | str, name: str, limits: ParseLimits | None = None) -> DocumentReason:
        with pytest.raises(DocumentRejected) as caught:
            parse(content, name, limits)
        return caught.value.reason

    return reason_of
