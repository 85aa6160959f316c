"""Writes the binary documents of the sample handbook: `python examples/make_handbook.py`.

Their words are in handbook-sources/; the other documents of k8s/samples/handbook are written by hand. Results
are the same on every run, so that a change shows as a change.
"""

from __future__ import annotations

import csv
import datetime
import io
import textwrap
import zipfile
from pathlib import Path

from docx import Document
from openpyxl import Workbook
from pptx import Presentation

FOLDER = Path(__file__).parents[1] / "k8s" / "samples" / "handbook"
SOURCES = Path(__file__).parent / "handbook-sources"
TRAVEL_TITLE = "Travel policy"
WRITTEN = datetime.datetime(2026, 1, 15, 9, 0, 0)  # noqa: DTZ001 - office files know no time zones
AUTHOR = "People team, Halvorsen Tidal"

Section = tuple[str, list[str]]


def sections(name: str) -> list[list[Section]]:
    """The pages of a text in handbook-sources/, divided by `---`; a section begins with `# ` and its heading."""
    pages = []
    for page in (SOURCES / name).read_text(encoding="utf-8").split("\n---\n"):
        parts = [part.strip().split("\n\n") for part in page.strip().removeprefix("# ").split("\n# ")]
        pages.append([(heading, [" ".join(text.split()) for text in texts]) for heading, *texts in parts])
    return pages


def rows(name: str) -> list[list[str]]:
    with (SOURCES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def number_or_text(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def docx() -> bytes:
    document = Document()
    properties = document.core_properties
    properties.title, properties.author, properties.created, properties.modified = "Expenses", AUTHOR, WRITTEN, WRITTEN
    document.add_heading("Expenses", level=0)
    for heading, paragraphs in sections("expenses.txt")[0]:
        document.add_heading(heading, level=1)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    document.add_heading("Messages of the expenses tool", level=1)
    table = document.add_table(rows=0, cols=3, style="Table Grid")
    for row in rows("expenses-messages.csv"):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def xlsx() -> bytes:
    book = Workbook()
    book.properties.title, book.properties.creator = "Pension and benefits", AUTHOR
    book.properties.created = WRITTEN
    pension = book.active
    assert pension is not None
    pension.title = "Pension"
    for row in rows("pension.csv"):
        pension.append([number_or_text(cell) for cell in row])
    benefits = book.create_sheet("Benefits")
    for row in rows("benefits.csv"):
        benefits.append([number_or_text(cell) for cell in row])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def pptx() -> bytes:
    show = Presentation()
    properties = show.core_properties
    properties.title, properties.author, properties.created, properties.modified = (
        "Onboarding",
        AUTHOR,
        WRITTEN,
        WRITTEN,
    )
    opening = show.slides.add_slide(show.slide_layouts[0])
    opening.shapes.title.text = "Welcome to Halvorsen Tidal"
    opening.placeholders[1].text = "What to expect in your first weeks"
    for title, points in sections("onboarding.txt")[0]:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(points)
    target = io.BytesIO()
    show.save(target)
    return target.getvalue()


def same_every_time(archive: bytes) -> bytes:
    """Office files are zip archives that note when they were packed, and openpyxl notes when it saved."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "docProps/core.xml":
                data = _with_fixed_modification(data)
            info = zipfile.ZipInfo(entry.filename, date_time=WRITTEN.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, data)
    return target.getvalue()


def _with_fixed_modification(core: bytes) -> bytes:
    head, opening, rest = core.partition(b"<dcterms:modified")
    attributes, _, tail = rest.partition(b">")
    _, closing, end = tail.partition(b"</dcterms:modified>")
    return head + opening + attributes + b">" + WRITTEN.strftime("%Y-%m-%dT%H:%M:%SZ").encode() + closing + end


class PdfPage:
    """Lines of Helvetica from the top of an A4 page down."""

    def __init__(self) -> None:
        self._operators: list[str] = []
        self._y = 780

    def line(self, text: str, font: str, size: int, gap: int) -> None:
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        self._operators.append(f"BT /{font} {size} Tf 1 0 0 1 64 {self._y} Tm ({escaped}) Tj ET")
        self._y -= gap

    def section(self, heading: str, paragraphs: list[str]) -> None:
        self.line(heading, "F2", 14, 24)
        for paragraph in paragraphs:
            for text in textwrap.wrap(paragraph, 88):
                self.line(text, "F1", 11, 15)
            self._y -= 8
        self._y -= 10

    def content(self) -> bytes:
        return "\n".join(self._operators).encode("cp1252")


def pdf() -> bytes:
    """A plain PDF 1.4 with a text layer and a title."""
    pages = []
    for number, parts in enumerate(sections("travel-policy.txt"), start=1):
        page = PdfPage()
        if number == 1:
            page.line(TRAVEL_TITLE, "F2", 22, 40)
        for heading, paragraphs in parts:
            page.section(heading, paragraphs)
        pages.append(page.content())
    first = 6  # objects 1 to 5: catalogue, pages, two fonts, information; then a page and its content each
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en) >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        f"<< /Title ({TRAVEL_TITLE}) /Author ({AUTHOR}) /CreationDate (D:{WRITTEN:%Y%m%d%H%M%S}Z) >>".encode(),
    ]
    for i, content in enumerate(pages):
        resources = "<< /Font << /F1 3 0 R /F2 4 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources {resources} "
            f"/Contents {first + 2 * i + 1} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    return _pdf_file(objects)


def _pdf_file(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def main() -> None:
    (FOLDER / "travel-policy.pdf").write_bytes(pdf())
    (FOLDER / "expenses.docx").write_bytes(same_every_time(docx()))
    (FOLDER / "pension-and-benefits.xlsx").write_bytes(same_every_time(xlsx()))
    (FOLDER / "onboarding.pptx").write_bytes(same_every_time(pptx()))


if __name__ == "__main__":
    main()
