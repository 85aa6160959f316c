"""Documents made to hurt whoever reads them: small on disk, without end once opened. Each with the ends it may have."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "samples"
MIB = 1024 * 1024
READ = "Indexed"


@dataclass(frozen=True, slots=True)
class Hostile:
    """``ends`` are the reasons for which it may be turned away, or READ; ``slow`` ones run into a limit of time or
    memory, which takes its while."""

    name: str
    make: Callable[[], bytes]
    ends: frozenset[str]
    slow: bool = False


def hostile(name: str, make: Callable[[], bytes], *ends: str, slow: bool = False) -> Hostile:
    return Hostile(name, make, frozenset(ends), slow)


def documents() -> Iterator[Hostile]:
    yield from _archives()
    yield from _xml()
    yield from _office()
    yield from _nested()
    yield from _pdf()
    yield from _lines()
    yield from _mails()
    yield from _binary()


# Archives


def archive(parts: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name, content in parts.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def sample(name: str, **changed: bytes) -> bytes:
    """A sound file with some of its parts exchanged; ``__`` in a name stands for a slash."""
    with zipfile.ZipFile(SAMPLES / name) as file:
        parts = {entry: file.read(entry) for entry in file.namelist()}
    return archive(parts | {part.replace("__", "/"): content for part, content in changed.items()})


def lying_archive() -> bytes:
    """One part that says it unpacks to a hundred bytes and unpacks to two hundred million."""
    made = bytearray(sample("handbook.docx", **{"word__document.xml": bytes(200 * MIB)}))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = made.find(signature)
        while at >= 0:
            if int.from_bytes(made[at + place : at + place + 4], "little") == 200 * MIB:
                made[at + place : at + place + 4] = (100).to_bytes(4, "little")
            at = made.find(signature, at + 4)
    return bytes(made)


def overlapping_archive() -> bytes:
    """Ten thousand entries that are all the same megabyte, none of it stored twice."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", b"<Types/>")
        file.writestr("word/document.xml", b" " * MIB)
        real = file.infolist()[1]
        for number in range(9000):
            twin = zipfile.ZipInfo(f"word/{number}.xml")
            twin.header_offset, twin.CRC, twin.compress_type = real.header_offset, real.CRC, real.compress_type
            twin.compress_size, twin.file_size = real.compress_size, real.file_size
            file.filelist.append(twin)
    return made.getvalue()


def _archives() -> Iterator[Hostile]:
    for name, part in (
        ("handbook.docx", "word__document.xml"),
        ("rates.xlsx", "xl__workbook.xml"),
        ("handbook.pptx", "ppt__presentation.xml"),
        ("handbook.odt", "content.xml"),
    ):
        yield hostile(f"bomb-{name}", partial(sample, name, **{part: bytes(257 * MIB)}), "TooLarge")
    yield hostile("lying.docx", lying_archive, "Corrupt", slow=True)
    yield hostile("overlapping.docx", overlapping_archive, "TooLarge")
    yield hostile(
        "traversal.docx",
        lambda: archive({"../../../../etc/passwd": b"x", "/etc/shadow": b"x", "C:\\windows\\x": b"x"}),
        "Unsupported",
    )
    yield hostile(
        "many-entries.docx", lambda: archive({f"word/{number}.xml": b"" for number in range(10_001)}), "TooLarge"
    )
    yield hostile("nested.zip", lambda: archive({"inner.zip": archive({"inner.zip": bytes(MIB)})}), "Unsupported")
    yield hostile("leads-outside.docx", _outside_part, "Corrupt")


def _outside_part() -> bytes:
    relation = (
        b'<Relationships><Relationship Id="1" Type="x/officeDocument" Target="../../../etc/passwd"/></Relationships>'
    )
    return sample("handbook.docx", **{"_rels__.rels": relation})


# XML


def laughs(root: str = "a", levels: int = 12) -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))
    return f'<?xml version="1.0"?><!DOCTYPE {root} [<!ENTITY e0 "ha ha ha ha">{entities}]><{root}>&e{levels - 1};</{root}>'.encode()  # noqa: E501


def _xml() -> Iterator[Hostile]:
    refused = ("TooLarge", "Corrupt", "Empty")
    yield hostile("laughs.xml", laughs, *refused)
    yield hostile(
        "laughs.docx", lambda: sample("handbook.docx", **{"word__document.xml": laughs("document")}), *refused
    )
    yield hostile("laughs.odt", lambda: sample("handbook.odt", **{"content.xml": laughs("document")}), *refused)
    yield hostile("laughs.pptx", lambda: sample("handbook.pptx", **{"ppt__presentation.xml": laughs()}), *refused)
    yield hostile("laughs.xlsx", lambda: _shared_strings(laughs("sst")), *refused)
    yield hostile(
        "quadratic.xml",
        lambda: b'<!DOCTYPE a [<!ENTITY e "%b">]><a>%b</a>' % (b"x" * 100_000, b"&e;" * 50_000),
        *refused,
    )
    yield hostile(
        "reads-files.xml",
        lambda: (
            b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><b>&e;</b><c>words</c></a>'
        ),
        READ,
        *refused,
    )
    yield hostile("deep.xml", lambda: b"<a>" * 300_000, "TooLarge")
    yield hostile(
        "attributes.xml", lambda: b"<a " + b" ".join(b"a%d='x'" % n for n in range(100_000)) + b"/>", "TooLarge"
    )
    yield hostile(
        "wide.xml", lambda: b"<?xml version='1.0'?><a>" + b"<b>word</b>" * 300_001 + b"</a>", "TooLarge", slow=True
    )


# Office files


def _odt(body: str) -> bytes:
    names = "".join(
        f' xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in (("office", "office"), ("text", "text"), ("draw", "drawing"), ("table", "table"))
    )
    text = f"<office:body><office:text>{body}</office:text></office:body>"
    content = f"<office:document-content{names}>{text}</office:document-content>"
    return sample("handbook.odt", **{"content.xml": content.encode()})


def _boxes() -> bytes:
    """Text boxes in text boxes, forty deep."""
    inner = "<text:p>the innermost words</text:p>"
    for _ in range(40):
        inner = f"<text:p>x<draw:frame><draw:text-box>{inner}</draw:text-box></draw:frame></text:p>"
    return _odt(inner)


def _sheet(rows: bytes) -> bytes:
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return sample("rates.xlsx", **{"xl__worksheets__sheet1.xml": head + rows + b"</sheetData></worksheet>"})


def _word(body: bytes) -> bytes:
    head = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    return sample("handbook.docx", **{"word__document.xml": head + body + b"</w:body></w:document>"})


def _shared_strings(strings: bytes, rows: bytes = b"") -> bytes:
    """A book with strings that its cells refer to by their number."""
    with zipfile.ZipFile(SAMPLES / "rates.xlsx") as file:
        types = file.read("[Content_Types].xml")
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    named = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%b"/></Types>' % kind
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    parts = {
        "[Content_Types].xml": types.replace(b"</Types>", named),
        "xl__sharedStrings.xml": strings,
        "xl__worksheets__sheet1.xml": head + rows + b"</sheetData></worksheet>",
    }
    return sample("rates.xlsx", **parts)


def _echo() -> bytes:
    """Half a million cells that are all the same string of half a megabyte."""
    strings = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>%b</t></si></sst>'
    cells = (b"<row>" + b'<c t="s"><v>0</v></c>' * 50 + b"</row>") * 10_000
    return _shared_strings(strings % (b"word " * 100_000), cells)


def _office() -> Iterator[Hostile]:
    yield hostile(
        "columns.xlsx", lambda: _sheet(b"<row>" + b"<c><v>1</v></c>" * 1_000_001 + b"</row>"), "TooLarge", slow=True
    )
    yield hostile("far-column.xlsx", lambda: _sheet(b'<row r="1"><c r="ZZZZZZZ1"><v>1</v></c></row>'), READ, "Corrupt")
    yield hostile(
        "far-row.xlsx",
        lambda: _sheet(b'<row r="1999999999"><c r="A1999999999"><v>1</v></c></row>'),
        READ,
        "Empty",
        "Corrupt",
        "TooLarge",
    )
    yield hostile(
        "wide-rows.xlsx",
        lambda: _sheet(b'<row><c r="XFD1"><v>1</v></c></row>' * 100_000),
        "TooLarge",
        "Poison",
        slow=True,
    )
    yield hostile("echo.xlsx", _echo, "TooLarge", slow=True)
    yield hostile("columns.csv", lambda: b"1," * 1_000_001 + b"\n", "TooLarge")
    yield hostile("empty-columns.csv", lambda: b"," * 5_000_000 + b"x\n", "TooLarge")
    yield hostile("boxes.odt", _boxes, READ)
    yield hostile(
        "repeats.odt",
        lambda: _odt(
            "<table:table><table:table-row>"
            + '<table:table-cell table:number-columns-repeated="999999999"><text:p>word</text:p></table:table-cell>'
            * 100
            + "</table:table-row></table:table>"
        ),
        READ,
        "TooLarge",
    )
    yield hostile("blanks.odt", lambda: _odt("<text:p>a" + '<text:s text:c="999999999"/>' * 1_000 + "b</text:p>"), READ)
    yield hostile(
        "tables.docx",
        lambda: _word(
            b"<w:tbl><w:tr><w:tc/><w:tc>" * 60
            + b"<w:p><w:r><w:t>words</w:t></w:r></w:p>"
            + b"</w:tc></w:tr></w:tbl>" * 60
        ),
        READ,
    )
    yield hostile(
        "empty-paragraphs.docx", lambda: _word(b"<w:p/>" * 2_000_000), "Empty", "TooLarge", "Poison", slow=True
    )


# Nesting


def _nested() -> Iterator[Hostile]:
    yield hostile("deep.json", lambda: b'{"a":' * 20_000 + b"1" + b"}" * 20_000, READ, "TooLarge")
    yield hostile("deep-list.json", lambda: b"[" * 20_000 + b"]" * 20_000, READ, "TooLarge")
    yield hostile("deep-enough.json", lambda: b'{"abc":' * 600 + b'"words"' + b"}" * 600, READ, "TooLarge")
    yield hostile("paths.json", _long_paths, "TooLarge", READ, slow=True)
    yield hostile("numbers.json", lambda: b'{"n": ' + b"9" * 100_000 + b', "e": 1e999999999}', READ)
    yield hostile(
        "surrogates.json",
        lambda: rb'{"title": "\ud800 words", "\udfff": "\u0000 text \ud83d", "list": ["\udead"]}',
        READ,
    )
    yield hostile("deep.html", lambda: b"<html>" + b"<div>" * 200_000 + b"words", "TooLarge")
    yield hostile("deep-lists.html", lambda: b"<html>" + b"<ul><li>" * 50_000 + b"words", READ, "TooLarge", "Poison")
    yield hostile(
        "deep-hidden.html", lambda: b"<html><p>words</p>" + b"<nav>" * 100_000 + b"hidden", READ, "TooLarge", "Poison"
    )
    yield hostile(
        "deep-tables.html", lambda: b"<html>" + b"<table><tr><td>a<td>" * 5_000 + b"words", READ, "TooLarge", "Poison"
    )
    yield hostile(
        "formatting.html",
        lambda: b"<html><p>" + b"".join(b"<b id=%d><i>" % n for n in range(20_000)) + b"words" + b"<p>more" * 200,
        READ,
        "TooLarge",
        "Poison",
    )
    yield hostile("comments.html", lambda: b"<!---->" * 1100 + b"<div>words</div>", READ)
    yield hostile("unclosed-comments.html", lambda: b"<html>" + b"<!--" * 500_000, "Empty")
    yield hostile("quotes.md", lambda: b">" * 20_000 + b" words\n" + b"> " * 20_000 + b"words", READ)
    yield hostile("lists.md", lambda: "".join(f"{' ' * n}- item\n" for n in range(300)).encode(), READ)
    yield hostile("brackets.md", lambda: b"# " + b"[" * 10_000 + b"\n\n" + b"![" * 10_000 + b"\n", READ)
    yield hostile("emphasis.md", lambda: b"# " + b"*a_ " * 5_000 + b"\n\n" + b"**" * 10_000 + b"\n", READ)
    yield hostile("fences.md", lambda: b"```\n~~~\n" * 5_000, READ)
    yield hostile(
        "rules.md", lambda: b"a | b\n" + b" " * 200_000 + b"x\n" + b"a | b\n-" + b" " * 200_000 + b"x\n", READ
    )


def _long_paths() -> bytes:
    """Every one of a hundred thousand values stands under a name of half a megabyte."""
    inner = json.dumps({str(number): "x" for number in range(100_000)})
    return (('{"' + "k" * 1000 + '":') * 500 + inner + "}" * 500).encode()


# PDF


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    made = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    at = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    made += b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, at)
    return bytes(made)


def stream(content: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), extra, content)


_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_FONT = b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"


def _page(content: bytes, *more: bytes, resources: bytes = _FONT) -> bytes:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources %b >>" % resources
    return pdf(_CATALOG, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", page, content, *more)


def _xobject_loop() -> bytes:
    """A form that draws itself ten times, which draws itself ten times."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>"
    resources = b"<< /XObject << /X 5 0 R >> >>"
    return _page(stream(b"/X Do " * 10), stream(b"/X Do " * 10, form), resources=resources)


def _xobject_fan() -> bytes:
    """Twelve forms, each of which draws the next one ten times."""
    forms = [
        stream(
            b"/X Do " * 10,
            b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>" % (n + 1),
        )
        for n in range(5, 17)
    ]
    last = stream(b"BT /F 9 Tf (words) Tj ET", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources " + _FONT)
    return _page(stream(b"/X Do"), *forms, last, resources=b"<< /XObject << /X 5 0 R >> >>")


def _pdf() -> Iterator[Hostile]:
    died = ("Corrupt", "Empty", "NoText", "TooLarge", "Poison")
    yield hostile("cycle.pdf", lambda: pdf(_CATALOG, b"<< /Type /Pages /Count 9 /Kids [2 0 R 2 0 R] >>"), *died)
    yield hostile(
        "long-cycle.pdf",
        lambda: pdf(
            _CATALOG,
            b"<< /Type /Pages /Count 9999 /Kids [3 0 R] >>",
            b"<< /Type /Pages /Count 9999 /Parent 2 0 R /Kids [2 0 R] >>",
        ),
        *died,
    )
    yield hostile(
        "deep-tree.pdf",
        lambda: pdf(
            _CATALOG,
            *(b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % n for n in range(3, 20_000)),
            b"<< /Type /Page /MediaBox [0 0 9 9] >>",
        ),
        *died,
    )
    yield hostile(
        "deep-arrays.pdf",
        lambda: pdf(_CATALOG, b"<< /Type /Pages /Count 1 /Kids " + b"[" * 100_000 + b"]" * 100_000 + b" >>"),
        *died,
    )
    yield hostile(
        "many-pages.pdf",
        lambda: pdf(
            _CATALOG,
            b"<< /Type /Pages /Count 2000000000 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
        ),
        *died,
    )
    yield hostile(
        "prev-loop.pdf", lambda: pdf(_CATALOG, b"<< /Type /Pages /Count 0 /Kids [] >>", trailer=b"/Prev 9"), *died
    )
    yield hostile(
        "objects-without-end.pdf",
        lambda: (
            b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n<< /A %d 0 R >>\nendobj\n" % (n, n + 1) for n in range(1, 100_000))
        ),
        *died,
    )
    yield hostile("length-of-itself.pdf", lambda: _page(b"<< /Length 4 0 R >>\nstream\nBT ET\nendstream"), *died)
    yield hostile(
        "filters.pdf",
        lambda: _page(stream(_deflated(b"x" * MIB, 3), b"/Filter [" + b"/FlateDecode " * 3 + b"]")),
        *died,
    )
    yield hostile(
        "bomb.pdf", lambda: _page(stream(_deflated(bytes(400 * MIB), 1), b"/Filter /FlateDecode")), *died, slow=True
    )
    yield hostile(
        "operators.pdf",
        lambda: _page(stream(_deflated(b"q " * 20_000_000, 1), b"/Filter /FlateDecode")),
        *died,
        slow=True,
    )
    yield hostile(
        "text-flood.pdf",
        lambda: _page(
            stream(_deflated(b"BT /F 9 Tf " + b"(words words) Tj " * 400_000 + b"ET", 1), b"/Filter /FlateDecode")
        ),
        READ,
        *died,
        slow=True,
    )
    yield hostile("draws-itself.pdf", _xobject_loop, *died, slow=True)
    yield hostile("fan.pdf", _xobject_fan, READ, *died, slow=True)


def _deflated(content: bytes, times: int) -> bytes:
    for _ in range(times):
        content = zlib.compress(content, 1)
    return content


# Lines and characters


def _lines() -> Iterator[Hostile]:
    yield hostile("one-word.txt", lambda: b"a" * 200_000, READ)
    yield hostile("one-line.txt", lambda: b"word " * 40_000, READ)
    yield hostile("too-long.txt", lambda: b"word " * 4_100_000, "TooLarge", slow=True)
    yield hostile("lines.txt", lambda: b"a\n\n" * 300_001, "TooLarge", slow=True)
    yield hostile("one-line.py", lambda: b"x" * 200_000, READ)
    yield hostile("minified.css", lambda: b"a{b:c}" * 30_000, READ)
    yield hostile("marks.txt", ("a" + "\u0301\u0316" * 300_000).encode, "Poison", slow=True)
    yield hostile("rtl.txt", ("\u202eevil\u202c \u2066words\u2069 \u200f\u200e" * 1000).encode, READ)
    yield hostile("zero-width.txt", ("wo\u200brd\u2060s\u00ad " * 1000).encode, READ)
    yield hostile("tags.txt", ("words" + "".join(chr(0xE0000 + ord(c)) for c in "ignore all") * 100).encode, READ)
    yield hostile("nul.txt", lambda: b"Words with\0 a NUL\0 in them. " + b"More words. " * 100, READ, "Unsupported")
    yield hostile("nuls.txt", lambda: b"wo\0rds " * 1000, "Unsupported")
    yield hostile("escapes.txt", lambda: b"\x1b]0;title\x07\x1b[2J words " * 10, READ, "Unsupported")
    yield hostile(
        "surrogates.txt",
        lambda: "lone \ud800 and \udfff words".encode("utf-8", "surrogatepass") * 50,
        READ,
        "Unsupported",
    )
    yield hostile(
        "wide-surrogates.txt", lambda: b"\xff\xfe" + ("words " * 50).encode("utf-16-le") + b"\x00\xd8" * 50, READ
    )
    yield hostile("records.jsonl", lambda: b'{"a": 1}\n' * 300_001, "TooLarge", slow=True)
    yield hostile("voices.vtt", lambda: b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + b"<v " * 100_000, READ, "Empty")
    yield hostile("speaker.vtt", lambda: b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v " + b"A" * 1_000_000 + b">words", READ)
    yield hostile(
        "description.html",
        lambda: (
            b'<html><head><title>%b</title><meta name="description" content="%b"></head><p>words'
            % (b"T" * 3_000_000, b"D" * 3_000_000)
        ),
        READ,
    )


# Mails and rich text


def _mails() -> Iterator[Hostile]:
    head = b"From: a@example.org\nSubject: words\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n"
    yield hostile(
        "addresses.eml",
        lambda: head + b"To: " + b", ".join(b"a%d@example.org" % n for n in range(6_000)) + b"\n\nwords\n",
        READ,
    )
    yield hostile("comments.eml", lambda: head + b"To: " + b"(" * 50_000 + b"\n\nwords\n", READ, "Corrupt", "TooLarge")
    yield hostile("parts.eml", _deep_mail, READ, "TooLarge", "Corrupt")
    yield hostile("encoded.eml", lambda: head + b"To: " + b"=?utf-8?q?a?= " * 6_000 + b"\n\nwords\n", READ, "Corrupt")
    yield hostile(
        "date.eml",
        lambda: b"From: a\nTo: b\nSubject: words\nDate: 1 Jan 999999999999 99:99:99 +999999\n\nwords\n",
        READ,
    )
    yield hostile(
        "groups.rtf",
        lambda: b"{\\rtf1 " + b"{" * 300_000 + b"words" + b"}" * 300_000 + b"}",
        READ,
        "TooLarge",
        "Corrupt",
    )
    yield hostile("surrogates.rtf", lambda: b"{\\rtf1 words \\u-10240? \\u-8193? \\u0? \\'00 more}", READ)
    yield hostile(
        "skips.rtf", lambda: b"{\\rtf1 \\uc999999999 \\u65? words \\bin99999999999 x}", READ, "Empty", "Corrupt"
    )


def _deep_mail() -> bytes:
    """Three thousand parts, each in the one before."""
    made = b"From: a@example.org\nSubject: words\n"
    for n in range(3000):
        made += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n)
    return made + b"\nwords\n"


# What is no document at all


def _binary() -> Iterator[Hostile]:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0"
    yield hostile(
        "broken.png", lambda: png + b"This is what is left of a picture, and it looks like words. " * 50, "Unsupported"
    )
    yield hostile("cut.png", lambda: png[:12], "Unsupported")
    yield hostile("picture.txt", lambda: b"GIF89a\x01\0\x01\0" + b"words and words " * 50, "Unsupported")
    yield hostile("photo.jpg", lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"words and words " * 50, "Unsupported")
    yield hostile("program", lambda: b"\x7fELF\x02\x01\x01" + b"words and words " * 50, "Unsupported")
    yield hostile("archive.gz", lambda: b"\x1f\x8b\x08" + b"words and words " * 50, "Unsupported")
    yield hostile("named.pdf", lambda: b"\x7fELF\x02\x01\x01" + b"words and words " * 50, "Corrupt", "Unsupported")
    yield hostile("nothing.pdf", lambda: b"", "Empty")
