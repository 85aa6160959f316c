"""PDF by PDFium: text page by page, cut into paragraphs, tables and headings by where and how large the lines are.

Only a handful of calls a line go to PDFium (not one a character), which keeps the cost near that of plain extraction.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from ragindex_core.document import BlockKind, DocumentReason, Location, MetadataValue, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.builder import About, TextBuilder, too_many_characters
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.pdf_layout import Line, Piece, heading_levels, pieces

_STAMP_CHARACTERS = 32  # what a scanner or a viewer prints onto a page that is otherwise an image
_IMAGE_COVERS = 0.5  # of the page
_HYPHENATED = re.compile(r"([^\W\d_]?)\ufffe([^\W\d_]?)")
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?\s*(?:(Z)|([+-])(\d\d)'?(\d\d)?)?.*", re.DOTALL)
_FONT_NAME_BYTES = 128
_BOLD = re.compile(rb"bold|black|heavy|semibd|demi", re.IGNORECASE)
_OBJECTS_LOOKED_AT = 50


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    with _open(path) as pdf:
        count = len(pdf)
        if count > limits.max_pages:
            raise DocumentRejected(
                DocumentReason.TOO_LARGE, f"the file says it has {count:,} pages; at most {limits.max_pages:,} are read"
            )
        pages, images, unreadable = _read_pages(pdf, limits)
        about = _about(pdf, count, unreadable)
    if not any(pages):
        if count and unreadable == count:
            raise DocumentRejected(DocumentReason.CORRUPT, "none of the pages can be read")
        if images:
            raise DocumentRejected(DocumentReason.NO_TEXT, "the pages are images without a text layer")
        raise DocumentRejected(DocumentReason.EMPTY, "the pages are blank")
    out = TextBuilder(limits.max_characters)
    levels = heading_levels([piece for page in pages for piece in page])
    for number, page in enumerate(pages, start=1):
        for piece in page:
            level = levels.get(piece.style, 0) if piece.may_be_heading else 0
            _add(out, piece, level, Location(page=number))
    return out.document(about)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[pdfium.PdfDocument]:
    try:
        pdf = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise DocumentRejected(DocumentReason.ENCRYPTED, "the file needs a password to open") from error
        raise DocumentRejected(DocumentReason.CORRUPT, "the file is a damaged PDF") from error
    try:
        yield pdf
    finally:
        pdf.close()


def _read_pages(pdf: pdfium.PdfDocument, limits: ParseLimits) -> tuple[list[list[Piece]], int, int]:
    """The pieces of every page, how many pages show something else than text, how many cannot be read at all."""
    pages: list[list[Piece]] = []
    pictured = unreadable = characters = 0
    for index in range(len(pdf)):
        found: list[Piece] = []
        try:
            page = pdf[index]
        except pdfium.PdfiumError:
            unreadable += 1
            pages.append(found)
            continue
        try:
            textpage = page.get_textpage()
            try:
                text = _text(textpage)
                characters += len(text)
                if characters > limits.max_characters:
                    raise too_many_characters(limits.max_characters)
                if len("".join(text.split())) > _STAMP_CHARACTERS or not _is_image(page):
                    found = pieces(_lines(textpage, text))
                pictured += not found and _shows_something(page)
            finally:
                textpage.close()
        except pdfium.PdfiumError:
            unreadable += 1
        finally:
            page.close()
        pages.append(found)
    return pages, pictured, unreadable


def _text(textpage: pdfium.PdfTextPage) -> str:
    """The characters of a page, one for each index PDFium counts them by."""
    count = max(textpage.count_chars(), 0)
    if not count:
        return ""
    text: str = textpage.get_text_range()
    if len(text) == count:
        return text
    return "".join(_character(raw.FPDFText_GetUnicode(textpage.raw, index)) for index in range(count))


def _character(code: int) -> str:
    return chr(code) if 0 < code < 0x110000 else " "


def _lines(textpage: pdfium.PdfTextPage, text: str) -> Iterator[Line]:
    """The lines of a page with their place on it. Geometry is asked of the first and the last character only."""
    handle, box, matrix = textpage.raw, raw.FS_RECTF(), raw.FS_MATRIX()
    start = 0
    for part in text.split("\n"):
        stripped = part.strip()
        first = start + len(part) - len(part.lstrip())
        start += len(part) + 1
        if not stripped:
            continue
        last = first + len(stripped) - 1
        raw.FPDFText_GetLooseCharBox(handle, first, box)
        left, top, height = box.left, box.top, abs(box.top - box.bottom)
        raw.FPDFText_GetMatrix(handle, first, matrix)
        size = raw.FPDFText_GetFontSize(handle, first) * math.hypot(matrix.c, matrix.d)
        raw.FPDFText_GetLooseCharBox(handle, last, box)
        bold = len(stripped) <= 120 and _is_bold(handle, first) and _is_bold(handle, last)
        yield Line(_dehyphenated(stripped), left, box.right, top, box.bottom, height, size, bold)


def _is_bold(handle: object, index: int) -> bool:
    name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
    raw.FPDFText_GetFontInfo(handle, index, name, _FONT_NAME_BYTES, None)
    return _BOLD.search(name.value) is not None


def _dehyphenated(line: str) -> str:
    """PDFium joins a word broken at the end of a line and marks the place; a soft hyphen it leaves was drawn."""
    return _HYPHENATED.sub(_joined, line).replace("\xad", "-")


def _joined(match: re.Match[str]) -> str:
    before, after = match[1], match[2]
    if before.isalpha() and after.islower():
        return before + after
    return f"{before}-{after}"


def _is_image(page: pdfium.PdfPage) -> bool:
    width, height = page.get_size()
    area = width * height * _IMAGE_COVERS
    for item in page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3):
        left, bottom, right, top = item.get_bounds()
        if (right - left) * (top - bottom) >= area:
            return True
    return False


def _shows_something(page: pdfium.PdfPage) -> bool:
    return bool(raw.FPDFPage_CountObjects(page.raw) > 0)


def _add(out: TextBuilder, piece: Piece, level: int, location: Location) -> None:
    if piece.is_table:
        # Cells are not told apart: each line is a row as it reads across the page.
        out.add(BlockKind.TABLE, piece.text, location)
    elif level:
        out.heading(level, piece.text, location)
    else:
        out.add(BlockKind.LIST_ITEM if piece.is_item else BlockKind.PARAGRAPH, piece.text, location)


def _about(pdf: pdfium.PdfDocument, count: int, unreadable: int) -> About:
    info: dict[str, str] = pdf.get_metadata_dict(skip_empty=True)
    metadata: dict[str, MetadataValue] = {"pages": count}
    for key, name in (("Author", "author"), ("Subject", "subject"), ("Keywords", "keywords")):
        if key in info:
            metadata[name] = info[key]
    for key, name in (("CreationDate", "created"), ("ModDate", "modified")):
        moment = rfc3339(info.get(key, ""))
        if moment:
            metadata[name] = moment
    if unreadable:
        metadata["unreadable_pages"] = unreadable
    return About("application/pdf", "pdf/1", title=info.get("Title"), language=_language(pdf), metadata=metadata)


def _language(pdf: pdfium.PdfDocument) -> str | None:
    size = raw.FPDFCatalog_GetLanguage(pdf.raw, None, 0)
    if not 0 < size <= 128:
        return None
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    raw.FPDFCatalog_GetLanguage(pdf.raw, buffer, size)
    return bytes(buffer).decode("utf-16-le", errors="replace").rstrip("\0")


def rfc3339(date: str) -> str | None:
    """A date as PDF writes it (``D:20230203060221-05'00'``); without a zone it is taken for UTC."""
    match = _DATE.fullmatch(date.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) if part else default for part, default in zip(
        match.groups()[:6], (1, 1, 1, 0, 0, 0), strict=True))  # fmt: skip
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0)) * (-1 if match[8] == "-" else 1)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    return moment.isoformat()
