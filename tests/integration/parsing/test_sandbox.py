"""Hostile documents meet the sandbox: each is turned away for what it is, and the next document never notices."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ragindex_core.document import DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected, Misconfigured
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.parse import parse_file
from ragindex_worker.parsing.sandbox import Sandbox

SAMPLES = Path(__file__).parents[2] / "samples"
MIB = 1024 * 1024
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


def rejection(sandbox: Sandbox, path: Path) -> DocumentRejected:
    with pytest.raises(DocumentRejected) as caught:
        sandbox.parse(path, path.name)
    return caught.value


def outcome(sandbox: Sandbox | None, path: Path) -> ParsedDocument | tuple[DocumentReason, str]:
    """What becomes of a document, in the sandbox or else in this process."""
    try:
        return sandbox.parse(path, path.name) if sandbox else parse_file(path, path.name, ParseLimits())
    except DocumentRejected as rejected:
        return rejected.reason, str(rejected)


def children() -> set[int]:
    """The processes that this one started and that still run."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def still_works(sandbox: Sandbox) -> bool:
    return "paid leave" in sandbox.parse(SAMPLES / "handbook.md", "handbook.md").text


@pytest.mark.parametrize(
    "path", sorted(path for path in SAMPLES.iterdir() if path.is_file()), ids=lambda path: path.name
)
def test_the_sandbox_gives_what_parsing_here_gives(path: Path, sandbox: Sandbox) -> None:
    assert outcome(sandbox, path) == outcome(None, path)


def test_a_name_that_is_no_unicode_is_no_obstacle(sandbox: Sandbox, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("Hello")
    assert sandbox.parse(path, path.name).text == "Hello"


def test_a_document_that_eats_processor_time_is_poison(tmp_path: Path) -> None:
    with Sandbox(ParseLimits(cpu_seconds=1, wall_seconds=60)) as sandbox:
        caught = rejection(sandbox, cpu_eater(tmp_path))
        assert caught.reason is DocumentReason.POISON
        assert "1 s of processor time" in str(caught)
        assert still_works(sandbox)


def test_a_document_that_takes_too_long_is_poison(tmp_path: Path) -> None:
    with Sandbox(ParseLimits(wall_seconds=0.7)) as sandbox:
        caught = rejection(sandbox, cpu_eater(tmp_path))
        assert caught.reason is DocumentReason.POISON
        assert "longer than 0.7 s" in str(caught)
        assert still_works(sandbox)


def test_a_document_that_eats_memory_is_poison(tmp_path: Path) -> None:
    body = b"<document><body>" + b"<p/>" * 8_000_000 + b"</body></document>"
    path = archive(tmp_path / "a.docx", {**word(), "word/document.xml": body})
    with Sandbox(ParseLimits(memory_bytes=400 * MIB)) as sandbox:
        caught = rejection(sandbox, path)
        assert caught.reason is DocumentReason.POISON, str(caught)
        assert "memory" in str(caught)
        assert still_works(sandbox)


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx"])
def test_a_zip_bomb_is_too_large_before_it_unpacks(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / name, {"[Content_Types].xml": b"", "word/document.xml": bytes(257 * MIB)})
    assert path.stat().st_size < MIB
    assert rejection(sandbox, path).reason is DocumentReason.TOO_LARGE


def test_a_small_file_with_a_sheet_of_many_rows_is_too_large(tmp_path: Path) -> None:
    row = b'<row><c t="n"><v>1</v></c></row>'
    sheet = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    with zipfile.ZipFile(SAMPLES / "rates.xlsx") as file:
        parts = {entry: file.read(entry) for entry in file.namelist()}
    parts["xl/worksheets/sheet1.xml"] = sheet + row * 200_000 + b"</sheetData></worksheet>"
    with Sandbox(ParseLimits(max_rows=20_000)) as small:
        assert rejection(small, archive(tmp_path / "a.xlsx", parts)).reason is DocumentReason.TOO_LARGE


def test_bottomless_xml_is_turned_away_in_every_wrapping(sandbox: Sandbox, tmp_path: Path) -> None:
    deep = b"<?xml version='1.0'?>" + b"<a>" * 200_000
    plain = tmp_path / "a.xml"
    plain.write_bytes(deep)
    wrapped = archive(tmp_path / "a.docx", {**word(), "word/document.xml": deep})
    assert rejection(sandbox, plain).reason is DocumentReason.TOO_LARGE
    assert rejection(sandbox, wrapped).reason is DocumentReason.TOO_LARGE


def test_entities_that_multiply_are_turned_away(sandbox: Sandbox, tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    path = tmp_path / "a.xml"
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "aaaaaaaaaa">{entities}]><a>&e9;</a>')
    assert rejection(sandbox, path).reason in (DocumentReason.TOO_LARGE, DocumentReason.CORRUPT, DocumentReason.EMPTY)


def test_a_pdf_that_claims_two_hundred_thousand_pages_is_too_large(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    kids = b"3 0 R " * 200_000
    path.write_bytes(
        pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 200000 /Kids [%b] >>" % kids,
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>")
    )  # fmt: skip
    assert rejection(sandbox, path).reason is DocumentReason.TOO_LARGE


@linux
def test_one_process_serves_many_documents_and_is_replaced_in_time() -> None:
    before = children()
    with Sandbox(ParseLimits(documents_per_process=2)) as sandbox:
        served: list[int] = []
        for _ in range(4):
            assert still_works(sandbox)
            served += children() - before
    assert served[0] == served[1] != served[2] == served[3]
    assert children() == before


@linux
def test_a_process_that_died_between_documents_costs_none_of_them(sandbox: Sandbox) -> None:
    before = children()
    assert still_works(sandbox)
    (child,) = children() - before
    os.kill(child, signal.SIGKILL)
    assert still_works(sandbox)


@linux
def test_the_process_gets_no_files_and_no_secrets_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGINDEX_DATABASE_URL", "postgresql://secret")
    before = children()
    with (tmp_path / "open").open("w") as file, Sandbox() as sandbox:
        os.set_inheritable(file.fileno(), True)
        assert still_works(sandbox)
        (child,) = children() - before
        assert "secret" not in Path(f"/proc/{child}/environ").read_text()
        opened = {os.readlink(entry) for entry in Path(f"/proc/{child}/fd").iterdir()}
    assert {name.partition(":")[0] for name in opened} <= {"pipe", "/dev/null"}


@linux
def test_the_process_dies_with_its_parent_amid_a_document(tmp_path: Path) -> None:
    script = (
        "import sys, threading\nfrom pathlib import Path\nfrom ragindex_worker.parsing.sandbox import Sandbox\n"
        "sandbox = Sandbox()\nsandbox.parse(Path(sys.argv[1]), 'a.md')\n"
        "threads = Path('/proc/self/task').iterdir()\n"
        "print(*[(t / 'children').read_text() for t in threads], flush=True)\n"
        "sandbox.parse(Path(sys.argv[2]), 'a.pdf')\n"
    )
    arguments = [sys.executable, "-c", script, str(SAMPLES / "handbook.md"), str(cpu_eater(tmp_path))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        descriptor = os.pidfd_open(child)
        parent.kill()
        parent.wait()
    try:
        import select

        assert select.select([descriptor], [], [], 20)[0], "the parser outlived its parent"
    finally:
        os.close(descriptor)


def test_sandboxes_work_side_by_side() -> None:
    documents = [path for path in SAMPLES.iterdir() if path.name.startswith("handbook.")]

    def parse_all(_: int) -> list[str]:
        with Sandbox() as sandbox:
            return [sandbox.parse(path, path.name).text for path in documents]

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(parse_all, range(3))
    assert all(other == first for other in others)


def test_limits_no_process_can_live_in_are_a_misconfiguration() -> None:
    with Sandbox(ParseLimits(memory_bytes=MIB)) as sandbox, pytest.raises(Misconfigured):
        sandbox.parse(SAMPLES / "handbook.md", "handbook.md")


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def word() -> dict[str, bytes]:
    with zipfile.ZipFile(SAMPLES / "handbook.docx") as file:
        return {name: file.read(name) for name in ("[Content_Types].xml", "_rels/.rels")}


def pdf(*objects: bytes) -> bytes:
    out, offsets = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def cpu_eater(folder: Path) -> Path:
    """A page of a few hundred bytes whose forms show one another, ten times each, eight levels deep."""
    levels = 8
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] /MediaBox [0 0 595 842] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /XObject << /X 6 0 R >> >> >>",
        stream(b"", b"/X Do " * 10),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for level in range(levels):
        following = b"/XObject << /X %d 0 R >>" % (7 + level) if level < levels - 1 else b""
        content = b"/X Do " * 10 if following else b"BT /F 9 Tf 50 50 Td (text) Tj ET"
        resources = b"/Resources << /Font << /F 5 0 R >> %b >>" % following
        objects.append(stream(b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] " + resources, content))
    path = folder / "eater.pdf"
    path.write_bytes(pdf(*objects))
    return path


def stream(entries: bytes, content: bytes) -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), entries, content)
