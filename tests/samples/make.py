"""Makes the sample documents beside this file: one short handbook in every kind that is read, and some that are not.

Run it after a change and commit what it makes: ``python tests/samples/make.py``.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
WHEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
LEAVE = "Employees have twenty-five days of paid leave a year. Unused days expire at the end of March."
EXPENSES = "Receipts are handed in within thirty days. The limit for a hotel night is 140 euros."
RATES = [["Country", "Hotel", "Meals"], ["Germany", "140", "28"], ["France", "160", "32"], ["Japan", "190", "41"]]
PASSWORD_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")

PdfLine = tuple[str, float, float, float, bool]  # text, x, y, size, bold


def pdf(pages: Sequence[Sequence[PdfLine]], info: str = "", image: bool = False) -> list[bytes]:
    """The objects of a PDF with the lines given, numbered from 1."""
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        shown = "".join(
            f"BT /F{2 if bold else 1} {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET\n" for text, x, y, size, bold in lines
        )
        if image:
            shown += "q 500 0 0 700 40 40 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x7f EI Q\n"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {6 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>".encode()
        )
        data = shown.encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(data), data))
    objects.append(
        f"<< /Title (Employee handbook) /Author (Ann Example) /CreationDate (D:20240506070809+02'00') {info}>>".encode()
    )
    return objects


def pdf_file(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    out, offsets = b"%PDF-1.4\n", list[int]()
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    info = next((n for n, body in enumerate(objects, 1) if b"/CreationDate" in body), 1)
    return out + b"trailer << /Size %d /Root 1 0 R /Info %d 0 R %b>>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        info,
        trailer,
        start,
    )


def encrypted(objects: Sequence[bytes], user: bytes, owner: bytes) -> bytes:
    """The same file under the standard security handler, revision 2 (RC4, 40 bits)."""
    objects = [body for body in objects if b"/CreationDate" not in body]  # its strings would need encryption as well
    objects[0] = objects[0].replace(b"/Lang (en-GB) ", b"")
    user_padded, owner_padded = ((word + PASSWORD_PADDING)[:32] for word in (user, owner))
    identity, permissions = bytes(range(16)), -4
    owner_entry = rc4(hashlib.md5(owner_padded).digest()[:5], user_padded)
    key = hashlib.md5(user_padded + owner_entry + permissions.to_bytes(4, "little", signed=True) + identity).digest()[
        :5
    ]
    sealed = []
    for number, body in enumerate(objects, start=1):
        head, found, rest = body.partition(b"\nstream\n")
        if found:
            data = rest.removesuffix(b"\nendstream")
            object_key = hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]
            body = head + found + rc4(object_key, data) + b"\nendstream"  # noqa: PLW2901
        sealed.append(body)
    sealed.append(
        b"<< /Filter /Standard /V 1 /R 2 /P %d /O <%b> /U <%b> >>"
        % (permissions, owner_entry.hex().encode(), rc4(key, PASSWORD_PADDING).hex().encode())
    )
    name = identity.hex().encode()
    return pdf_file(sealed, b"/Encrypt %d 0 R /ID [<%b> <%b>] " % (len(sealed), name, name))


def rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def handbook_pages() -> list[list[PdfLine]]:
    first: list[PdfLine] = [
        ("Employee handbook", 60, 780, 20, True),
        ("Annual leave", 60, 740, 14, True),
        ("Employees have twenty-five days of paid leave a year.", 60, 720, 11, False),
        ("Unused days expire at the end of March.", 60, 706, 11, False),
    ]
    second: list[PdfLine] = [("Expenses", 60, 780, 14, True)]
    second += [
        ("Receipts are handed in within thirty days. The limit", 60, 760, 11, False),
        ("for a hotel night is 140 euros.", 60, 746, 11, False),
    ]
    for number, row in enumerate(RATES[1:]):
        y = 710 - 14 * number
        second += [(row[0], 60, y, 11, False), (row[1], 200, y, 11, False), (row[2], 300, y, 11, False)]
    return [first, second]


def docx() -> bytes:
    from docx import Document

    document = Document()
    core = document.core_properties
    core.title, core.author, core.created, core.modified = "Employee handbook", "Ann Example", WHEN, WHEN
    document.add_heading("Employee handbook", 0)
    document.add_heading("Annual leave", 1)
    document.add_paragraph(LEAVE)
    document.add_paragraph("Ask your lead", style="List Bullet")
    document.add_paragraph("Enter the days", style="List Bullet")
    document.add_heading("Expenses", 1)
    document.add_paragraph(EXPENSES)
    table = document.add_table(rows=0, cols=3)
    for row in RATES:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def strict(transitional: bytes) -> bytes:
    """The same Office file in the Strict dialect."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(transitional)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in source.infolist():
            data = source.read(entry)
            for family in ("wordprocessingml", "officeDocument", "drawingml", "spreadsheetml", "presentationml"):
                data = data.replace(
                    f"http://schemas.openxmlformats.org/{family}/2006/".encode(),
                    f"http://purl.oclc.org/ooxml/{family}/".encode(),
                )
            copy.writestr(zipfile.ZipInfo(entry.filename), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def pptx() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    core = deck.core_properties
    core.title, core.author, core.created, core.modified = "PowerPoint Presentation", "Ann Example", WHEN, WHEN
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Annual leave"
    first.placeholders[1].text = "Twenty-five days\nExpire in March"
    first.notes_slide.notes_text_frame.text = "Mention the form."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Expenses"
    table = second.shapes.add_table(len(RATES), 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for r, row in enumerate(RATES):
        for c, text in enumerate(row):
            table.cell(r, c).text = text
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def xlsx() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.properties.title, book.properties.creator, book.properties.created = (
        "Rates",
        "Ann Example",
        WHEN.replace(tzinfo=None),
    )
    sheet = book.worksheets[0]
    sheet.title = "Rates"
    sheet["B2"] = "Rates of 2024"
    for r, row in enumerate(RATES):
        for c, text in enumerate(row):
            sheet.cell(r + 3, c + 2, int(text) if text.isdigit() else text)
    notes = book.create_sheet("Notes")
    notes["A1"], notes["A2"] = WHEN.replace(tzinfo=None, hour=0, minute=0, second=0), 0.1
    hidden = book.create_sheet("Hidden")
    hidden["A1"] = "secret"
    hidden.sheet_state = "hidden"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def odt() -> bytes:
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
        for short, long in (("office", "office"), ("text", "text"), ("table", "table"), ("meta", "meta"))
    )
    rows = "".join(
        "<table:table-row>"
        + "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row)
        + '<table:table-cell table:number-columns-repeated="1000"/></table:table-row>'
        for row in RATES
    )
    content = (
        f"<office:document-content {names}><office:body><office:text>"
        '<text:h text:outline-level="1">Employee handbook</text:h><text:h text:outline-level="2">Annual leave</text:h>'
        f"<text:p>{LEAVE}</text:p><text:list><text:list-item>"
        '<text:p>Ask<text:s text:c="2"/>your <text:span>lead</text:span>'
        "</text:p></text:list-item></text:list>"
        f"<table:table>{rows}</table:table></office:text></office:body></office:document-content>"
    )
    meta = (
        f'<office:document-meta {names} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
        "<dc:title>Employee handbook"
        "</dc:title><meta:initial-creator>Ann Example</meta:initial-creator><meta:creation-date>2024-05-06T07:08:09.123"
        '</meta:creation-date><meta:document-statistic meta:page-count="2"/></office:meta></office:document-meta>'
    )
    return archive({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "meta.xml": meta})


def archive(entries: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in entries.items():
            file.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def texts() -> dict[str, str]:
    table = "\n".join(f"| {' | '.join(row)} |" for row in (RATES[0], ["---"] * 3, *RATES[1:]))
    cells = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in RATES)
    records = [{"title": "Annual leave", "text": LEAVE, "year": 2024}, {"title": "Expenses", "text": EXPENSES}]
    return {
        "handbook.md": f"# Employee handbook\n\n## Annual leave\n\n{LEAVE}\n\n- Ask your lead\n- Enter the days\n\n"
        f"## Expenses\n\n{EXPENSES}\n\n{table}\n\n```sh\nhotel --limit 140\n```\n",
        "handbook.html": f"<!doctype html><html lang=en><title>Employee handbook</title><body>"
        f"<h1>Annual leave</h1><p>{LEAVE}"
        f"<ul><li>Ask your lead<li>Enter the days</ul><h1>Expenses</h1><p>{EXPENSES}<table>{cells}</table></html>",
        "handbook.txt": f"Annual leave\n\n{LEAVE}\n\nExpenses\n\n{EXPENSES}\n",
        "handbook.rtf": r"{\rtf1\ansi{\info{\title Employee handbook}}"
        rf"{{\pard {LEAVE}\par}}{{\pard {EXPENSES}\par}}}}",
        "handbook.eml": "From: Ann Example <ann@example.org>\nTo: all@example.org\nSubject: Annual leave\n"
        f"Date: Mon, 06 May 2024 07:08:09 +0200\n\n{LEAVE}\n\n{EXPENSES}\n",
        "handbook.xml": f"<?xml version='1.0'?><handbook><part><name>Annual leave</name><text>{LEAVE}</text></part>"
        f"<part><name>Expenses</name><text>{EXPENSES}</text></part></handbook>",
        "handbook.json": json.dumps({"title": "Employee handbook", "parts": records}, indent=1),
        "handbook.jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "rates.csv": "".join(",".join(row) + "\n" for row in RATES),
        "rates.tsv": "".join("\t".join(row) + "\n" for row in RATES),
        "talk.vtt": f"WEBVTT\n\n00:01.000 --> 00:04.500\n<v Ann>{LEAVE}\n\n"
        f"00:05.000 --> 00:09.000\n<v Bob>{EXPENSES}\n",
        "talk.srt": f"1\n00:00:01,000 --> 00:00:04,500\n{LEAVE}\n\n2\n00:00:05,000 --> 00:00:09,000\n{EXPENSES}\n",
        "tool.py": '"""Hotel limits."""\n\nLIMIT = 140\n\n\n'
        "def allowed(price: int) -> bool:\n    return price <= LIMIT\n",
    }


def main() -> None:
    pages = handbook_pages()
    word = docx()
    files = {name: text.encode() for name, text in texts().items()} | {
        "handbook.pdf": pdf_file(pdf(pages)),
        "handbook-owner.pdf": encrypted(pdf(pages), user=b"", owner=b"owner"),
        "locked.pdf": encrypted(pdf(pages), user=b"secret", owner=b"owner"),
        "scan.pdf": pdf_file(pdf([[], []], image=True)),
        "handbook.docx": word,
        "handbook-strict.docx": strict(word),
        "handbook.pptx": pptx(),
        "rates.xlsx": xlsx(),
        "rates-strict.xlsx": strict(xlsx()),
        "handbook.odt": odt(),
    }
    for name, data in files.items():
        (HERE / name).write_bytes(data)


if __name__ == "__main__":
    main()
