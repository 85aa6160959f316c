"""What becomes of PDF and office files: the same short handbook in each of them (see ``tests/samples``)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from docx import Document

from ragindex_core.document import BlockKind, DocumentReason, ParsedDocument
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.pdf import rfc3339

Parse = Callable[..., ParsedDocument]
Reject = Callable[..., DocumentReason]

SAMPLES = Path(__file__).parents[3] / "samples"
LEAVE = "Employees have twenty-five days of paid leave a year. Unused days expire at the end of March."
EXPENSES = "Receipts are handed in within thirty days. The limit for a hotel night is 140 euros."
RATES = "Country | Hotel | Meals\nGermany | 140 | 28\nFrance | 160 | 32\nJapan | 190 | 41"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def shown(document: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind.value, block.span.of(document.text)) for block in document.blocks]


def header_of(document: ParsedDocument) -> str | None:
    table = next(block for block in document.blocks if block.kind is BlockKind.TABLE)
    return table.header.of(document.text) if table.header else None


@pytest.mark.parametrize("name", ["handbook.pdf", "handbook-owner.pdf"])
def test_a_pdf_has_pages_headings_paragraphs_and_tables(parse: Parse, name: str) -> None:
    document = parse(sample(name), name)
    assert [(b.kind.value, b.level, b.location.page) for b in document.blocks] == [
        ("Heading", 1, 1), ("Heading", 2, 1), ("Paragraph", 0, 1), ("Heading", 2, 2), ("Paragraph", 0, 2),
        ("Table", 0, 2),
    ]  # fmt: skip
    assert [text for _, text in shown(document)][2] == LEAVE
    assert [text for _, text in shown(document)][4:] == [EXPENSES, "Germany 140 28\nFrance 160 32\nJapan 190 41"]
    assert document.title == "Employee handbook"


def test_a_pdf_tells_of_itself(parse: Parse) -> None:
    document = parse(sample("handbook.pdf"), "x")
    assert document.language == "en"
    assert document.metadata == {"pages": 2, "author": "Ann Example", "created": "2024-05-06T07:08:09+02:00"}


def test_a_pdf_that_needs_a_password_is_encrypted_and_a_scan_has_no_text(reject: Reject) -> None:
    assert reject(sample("locked.pdf"), "a.pdf") is DocumentReason.ENCRYPTED
    assert reject(sample("scan.pdf"), "a.pdf") is DocumentReason.NO_TEXT


def test_a_pdf_cut_short_is_no_crash_and_one_without_an_end_is_corrupt(reject: Reject) -> None:
    assert reject(b"%PDF-1.4\n" + b"rubbish" * 50, "a.pdf") is DocumentReason.CORRUPT


def test_binary_rubbish_is_corrupt_under_a_name_that_promises_more(reject: Reject) -> None:
    rubbish = bytes(range(256)) * 8
    assert reject(rubbish, "a.pdf") is DocumentReason.CORRUPT
    assert reject(rubbish, "a.bin") is DocumentReason.UNSUPPORTED
    assert reject(b"\x89PNG\r\n\x1a\n" + rubbish, "a.png") is DocumentReason.UNSUPPORTED


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("D:20230203060221-05'00'", "2023-02-03T06:02:21-05:00"),
        ("D:20220415113826", "2022-04-15T11:38:26+00:00"),
        ("D:2024", "2024-01-01T00:00:00+00:00"),
        ("20230309042904Z00'00'", "2023-03-09T04:29:04+00:00"),
        ("D:20231399", None),
        ("yesterday", None),
    ],
)
def test_dates_of_pdf_become_rfc_3339(written: str, expected: str | None) -> None:
    assert rfc3339(written) == expected


@pytest.mark.parametrize("name", ["handbook.docx", "handbook-strict.docx"])
def test_a_word_file_of_either_dialect_reads_in_order(parse: Parse, name: str) -> None:
    document = parse(sample(name), name)
    assert shown(document) == [
        ("Heading", "Employee handbook"),
        ("Heading", "Annual leave"),
        ("Paragraph", LEAVE),
        ("ListItem", "- Ask your lead"),
        ("ListItem", "- Enter the days"),
        ("Heading", "Expenses"),
        ("Paragraph", EXPENSES),
        ("Table", RATES),
    ]
    assert header_of(document) == "Country | Hotel | Meals"
    assert document.metadata["created"] == "2024-05-06T07:08:09Z"


def test_word_reads_what_python_docx_passes_over_and_not_what_was_deleted(parse: Parse) -> None:
    body = (
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:ins><w:r><w:t>Kept</w:t></w:r></w:ins><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:r><w:tab/><w:t>on</w:t><w:br/><w:t>top</w:t></w:r><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
        "<w:p><w:r><w:t>Beside</w:t><w:txbxContent><w:p><w:r><w:t>a box</w:t></w:r></w:p></w:txbxContent></w:r></w:p>"
    )
    document = parse(_with_body(body), "a.docx")
    assert [text for _, text in shown(document)] == ["In a control.", "Kept\ton\ntop", "Beside", "a box"]


def test_a_presentation_has_a_page_a_slide(parse: Parse) -> None:
    document = parse(sample("handbook.pptx"), "x")
    assert [(b.location.page, *line) for b, line in zip(document.blocks, shown(document), strict=True)] == [
        (1, "Heading", "Annual leave"),
        (1, "ListItem", "- Twenty-five days"),
        (1, "ListItem", "- Expire in March"),
        (1, "Paragraph", "Mention the form."),
        (2, "Heading", "Expenses"),
        (2, "Table", RATES),
    ]
    assert document.title == "Annual leave"  # "PowerPoint Presentation" is nobody's title


@pytest.mark.parametrize("name", ["rates.xlsx", "rates-strict.xlsx"])
def test_a_spreadsheet_knows_its_sheets_and_cells(parse: Parse, name: str) -> None:
    document = parse(sample(name), name)
    assert [
        (b.location.sheet, b.location.cells, *line) for b, line in zip(document.blocks, shown(document), strict=True)
    ] == [
        ("Rates", None, "Heading", "Rates"),
        ("Rates", "B2:B2", "Paragraph", "Rates of 2024"),
        ("Rates", "B3:D6", "Table", RATES),
        ("Notes", None, "Heading", "Notes"),
        ("Notes", "A1:A2", "Table", "2024-05-06\n0.1"),
    ]
    assert header_of(document) == "Country | Hotel | Meals"
    assert document.metadata["sheets"] == ["Rates", "Notes"]  # the hidden one is not read


def test_an_open_document_text_reads_in_order(parse: Parse) -> None:
    document = parse(sample("handbook.odt"), "x")
    assert shown(document) == [
        ("Heading", "Employee handbook"),
        ("Heading", "Annual leave"),
        ("Paragraph", LEAVE),
        ("ListItem", "- Ask  your lead"),
        ("Table", RATES),
    ]
    assert header_of(document) == "Country | Hotel | Meals"
    assert document.metadata == {"author": "Ann Example", "created": "2024-05-06T07:08:09Z", "pages": 2}


def test_old_and_locked_office_files_are_told_apart(reject: Reject) -> None:
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert reject(old, "a.doc") is DocumentReason.UNSUPPORTED
    assert reject(old + "EncryptedPackage".encode("utf-16-le"), "a.docx") is DocumentReason.ENCRYPTED


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (ParseLimits(max_pages=1), "handbook.pdf"),
        (ParseLimits(max_pages=1), "handbook.pptx"),
        (ParseLimits(max_rows=3), "rates.xlsx"),
        (ParseLimits(max_cells=3), "rates.csv"),
        (ParseLimits(max_archive_entries=3), "handbook.docx"),
        (ParseLimits(max_archive_bytes=3000), "handbook.docx"),
        *(
            (ParseLimits(max_characters=50), name)
            for name in ("handbook.pdf", "handbook.md", "handbook.html", "rates.tsv")
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_above_a_limit_is_too_large(reject: Reject, limits: ParseLimits, name: str) -> None:
    assert reject(sample(name), name, limits) is DocumentReason.TOO_LARGE


def test_an_archive_that_lies_about_its_sizes_is_corrupt(reject: Reject) -> None:
    data = bytearray(sample("handbook.docx"))
    entry = data.rindex(b"word/document.xml") - 46  # its record in the central directory
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 24 : entry + 28] = (100).to_bytes(4, "little")  # the size it claims to unpack to
    assert reject(bytes(data), "a.docx") is DocumentReason.CORRUPT


def _with_body(body: str) -> bytes:
    """A Word file whose body is the XML given."""
    made, out = io.BytesIO(), io.BytesIO()
    Document().save(made)
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w") as copy:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "word/document.xml":
                start, end = data.index(b"<w:body>") + len(b"<w:body>"), data.index(b"</w:body>")
                data = data[:start] + body.encode() + data[end:]
            copy.writestr(entry, data)
    return out.getvalue()
