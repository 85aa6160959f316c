"""One file in, one document out: the door to all parsers."""

from __future__ import annotations

import traceback
from pathlib import Path

from ragindex_core.document import DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.kinds import Kind, Recognised, recognise
from ragindex_worker.parsing.limits import ParseLimits

_HERE = str(Path(__file__).parent)


def parse_file(path: Path, name: str, limits: ParseLimits) -> ParsedDocument:
    """The document in the file at ``path``; ``name`` is what its source calls it.

    Raises DocumentRejected with one of the documented reasons and nothing else. In this process nothing bounds time and
    memory: a worker calls it through ``Sandbox``.
    """
    try:
        recognised = recognise(path, name, limits)
        return _parse(recognised, path, name, limits)
    except DocumentRejected:
        raise
    except MemoryError as error:
        raise DocumentRejected(DocumentReason.POISON, "reading the document takes more memory than allowed") from error
    except RecursionError as error:
        raise DocumentRejected(DocumentReason.TOO_LARGE, "the document is nested too deeply") from error
    except OSError as error:
        raise DocumentRejected(DocumentReason.UNREADABLE, "the file cannot be read") from error
    except Exception as error:
        raise _rejected(error) from error


def _rejected(error: Exception) -> DocumentRejected:
    """Libraries meet damaged files with every kind of exception. What one of them raises is the file's fault; what
    lines of this package raise is ours. The message names the exception and never quotes it: it may hold text."""
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    if raised_in.startswith(_HERE):
        return DocumentRejected(DocumentReason.INTERNAL, f"the parser failed: {type(error).__name__}")
    return DocumentRejected(DocumentReason.CORRUPT, f"the file is damaged: {type(error).__name__}")


def _parse(recognised: Recognised, path: Path, name: str, limits: ParseLimits) -> ParsedDocument:
    """Each parser is imported when its first document comes: most processes see few kinds."""
    kind, text = recognised.kind, recognised.text
    if kind is Kind.PDF:
        from ragindex_worker.parsing import pdf

        return pdf.parse(path, limits)
    if kind is Kind.DOCX:
        from ragindex_worker.parsing import docx

        return docx.parse(path, limits)
    if kind is Kind.PPTX:
        from ragindex_worker.parsing import pptx

        return pptx.parse(path, limits)
    if kind is Kind.XLSX:
        from ragindex_worker.parsing import xlsx

        return xlsx.parse(path, limits)
    if kind is Kind.ODT:
        from ragindex_worker.parsing import odt

        return odt.parse(path, limits)
    if kind is Kind.RTF:
        from ragindex_worker.parsing import rtf

        return rtf.parse(path, limits)
    if kind is Kind.EML:
        from ragindex_worker.parsing import eml

        return eml.parse(path, limits)
    return _parse_text(kind, text, name, limits)


def _parse_text(kind: Kind, text: str, name: str, limits: ParseLimits) -> ParsedDocument:
    if kind is Kind.HTML:
        from ragindex_worker.parsing import html

        return html.parse(text, limits)
    if kind is Kind.XML:
        from ragindex_worker.parsing import xml

        return xml.parse(text, limits)
    if kind in (Kind.JSON, Kind.JSONL):
        from ragindex_worker.parsing import records

        return records.parse(text, limits, lines=kind is Kind.JSONL)
    if kind is Kind.TRANSCRIPT:
        from ragindex_worker.parsing import transcript

        return transcript.parse(text, limits)
    if kind is Kind.MARKDOWN:
        from ragindex_worker.parsing import markdown

        return markdown.parse(text, limits)
    if kind is Kind.DELIMITED:
        from ragindex_worker.parsing import delimited

        return delimited.parse(text, name, limits)
    from ragindex_worker.parsing import plain

    return plain.parse_code(text, limits) if kind is Kind.CODE else plain.parse_plain(text, limits)
