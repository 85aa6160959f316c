"""What a file is, told by what is in it. Its name decides only between kinds that look alike: prose, Markdown, source
code and comma-separated values are all just text.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.archives import open_archive
from ragindex_worker.parsing.builder import normalise
from ragindex_worker.parsing.decode import decode
from ragindex_worker.parsing.limits import ParseLimits


class Kind(StrEnum):
    """The families of files that are read, each by the module that bears its name or says so."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    ODT = "odt"
    RTF = "rtf"
    EML = "eml"
    HTML = "html"
    XML = "xml"
    JSON = "json"
    JSONL = "jsonl"
    TRANSCRIPT = "transcript"
    MARKDOWN = "markdown"
    DELIMITED = "delimited"
    CODE = "code"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Recognised:
    """A kind and, for kinds that are text, the decoded and normalised text (so that nobody decodes twice)."""

    kind: Kind
    text: str = ""


_HEAD = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")

#: How files begin that hold no text, whatever else in them looks like it: a broken picture is no document.
_NO_TEXT = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a[^\x00]{0,6}\x00|II\*\x00|MM\x00\*|8BPS\x00|\x00\x00\x01\x00"
    rb"|RIFF.{4}(?:WAVE|AVI |WEBP)|ID3[\x02-\x04]|OggS\x00|fLaC\x00|\x1aE\xdf\xa3|\x00\x00\x00.ftyp"
    rb"|\x1f\x8b\x08|BZh[1-9]1AY|\xfd7zXZ\x00|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18"
    rb"|\x7fELF|\xca\xfe\xba\xbe|\xcf\xfa\xed\xfe|\x00asm|MZ\x90\x00|SQLite format 3\x00",
    re.DOTALL,
)

_BY_SUFFIX = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx"), Kind.MARKDOWN),
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv"), Kind.DELIMITED),
    **dict.fromkeys((".html", ".htm", ".xhtml"), Kind.HTML),
    **dict.fromkeys(
        (
            *(".py", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".scala", ".go", ".rs", ".c", ".h", ".cc"),
            *(".cpp", ".hpp", ".cs", ".rb", ".php", ".pl", ".lua", ".r", ".jl", ".swift", ".m", ".sh", ".bash"),
            *(".zsh", ".ps1", ".sql", ".css", ".scss", ".less", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf"),
            *(".properties", ".tf", ".hcl", ".proto", ".graphql", ".dockerfile", ".gradle", ".vue", ".svelte"),
            *(".ex", ".exs", ".erl", ".hs", ".clj", ".dart", ".groovy", ".vb", ".asm", ".tex", ".json5", ".jsonc"),
        ),
        Kind.CODE,
    ),
}
_CODE_NAMES = frozenset({"dockerfile", "makefile", "jenkinsfile", "vagrantfile", "gemfile", "rakefile"})
_BINARY_SUFFIXES = frozenset({".pdf", ".docx", ".pptx", ".xlsx", ".xlsm", ".odt", ".docm", ".dotx", ".ott"})

_HTML = re.compile(
    # Each comment has one end only: were any later one as good, there would be 2ⁿ ways to read n comments.
    r"(?:<!--(?:(?!-->).)*-->|\s|<\?xml[^>]*>)*(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(r"\s*<\?xml\s")
_MARKUP = re.compile(r"\s*<[A-Za-z!]")
_SRT = re.compile(r"\s*\d+[ \t]*\n\s*\d{1,2}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->")
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):[ \t]?.*")
_MAIL_HEADERS = frozenset(
    {"from", "to", "subject", "date", "mime-version", "received", "message-id", "return-path", "delivered-to"}
)
_JSON_LINES_TRIED = 3


def recognise(path: Path, name: str, limits: ParseLimits) -> Recognised:
    """Raises DocumentRejected (Empty, Encrypted, Unsupported, Corrupt, TooLarge) where no parser needs to look."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise DocumentRejected(DocumentReason.EMPTY, "the file has no bytes")
    if b"%PDF-" in head:
        return Recognised(Kind.PDF)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Recognised(_archive_kind(path, limits))
    if head.startswith(_OLE):
        raise _old_office(path)
    if _NO_TEXT.match(head):
        raise _no_text(PurePosixPath(name))
    if head.startswith(b"{\\rtf"):
        return Recognised(Kind.RTF)
    return _recognise_text(path.read_bytes(), PurePosixPath(name.lower().replace("\\", "/")))


def _archive_kind(path: Path, limits: ParseLimits) -> Kind:
    with open_archive(path, limits) as archive:
        names = set(archive.namelist())
        if "mimetype" in names:
            return _open_document_kind(archive, names)
    if "[Content_Types].xml" in names:
        for folder, kind in (("word/", Kind.DOCX), ("ppt/", Kind.PPTX), ("xl/", Kind.XLSX)):
            if any(entry.startswith(folder) and entry.endswith(".xml") for entry in names):
                return kind
    raise DocumentRejected(DocumentReason.UNSUPPORTED, "the file is an archive, not a document that can be read")


def _open_document_kind(archive: zipfile.ZipFile, names: set[str]) -> Kind:
    media_type = archive.read("mimetype").strip()
    if not media_type.startswith(b"application/vnd.oasis.opendocument.text"):
        raise DocumentRejected(DocumentReason.UNSUPPORTED, "of the OpenDocument kinds only texts are read")
    if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DocumentRejected(DocumentReason.ENCRYPTED, "the file needs a password to open")
    return Kind.ODT


def _old_office(path: Path) -> DocumentRejected:
    if _OLE_ENCRYPTED in path.read_bytes():
        return DocumentRejected(DocumentReason.ENCRYPTED, "the file needs a password to open")
    return DocumentRejected(
        DocumentReason.UNSUPPORTED, "the file is in a format of Office before 2007: save it as docx, pptx or xlsx"
    )


def _no_text(name: PurePosixPath) -> DocumentRejected:
    if name.suffix.lower() in _BINARY_SUFFIXES:
        return DocumentRejected(DocumentReason.CORRUPT, f"the file is named {name.suffix} but is nothing of the kind")
    return DocumentRejected(DocumentReason.UNSUPPORTED, "the file is neither text nor of a kind that can be read")


def _recognise_text(data: bytes, name: PurePosixPath) -> Recognised:
    try:
        text = normalise(decode(data))
    except DocumentRejected as rejected:
        if rejected.reason is DocumentReason.UNSUPPORTED:
            raise _no_text(name) from rejected
        raise
    return Recognised(_text_kind(text, name), text)


def _text_kind(text: str, name: PurePosixPath) -> Kind:
    if text.startswith("WEBVTT") and not text[6:7].strip():
        return Kind.TRANSCRIPT
    if _SRT.match(text):
        return Kind.TRANSCRIPT
    by_name = Kind.CODE if name.name in _CODE_NAMES else _BY_SUFFIX.get(name.suffix)
    if by_name in (Kind.MARKDOWN, Kind.CODE):
        return by_name  # both may well begin with a tag, a bracket or what looks like a header
    if _HTML.match(text[:8192]):
        return Kind.HTML
    if _XML.match(text) or (name.suffix in (".xml", ".svg", ".xsd", ".rdf") and _MARKUP.match(text)):
        return Kind.XML
    if _is_mail(text):
        return Kind.EML
    return _json_kind(text) or by_name or Kind.PLAIN


def _is_mail(text: str) -> bool:
    """Whether the text opens with headers of which at least two are those of a mail."""
    known = 0
    for line in text[:8192].split("\n"):
        if not line.strip():
            break
        if line[0] in " \t":
            continue  # a folded header goes on
        header = _HEADER.fullmatch(line)
        if header is None:
            break
        known += header[1].lower() in _MAIL_HEADERS
    return known >= 2


def _json_kind(text: str) -> Kind | None:
    stripped = text.lstrip()
    if not stripped.startswith(("{", "[")):
        return None
    first_lines = [line for line in stripped[: _HEAD * 64].split("\n", _JSON_LINES_TRIED * 4) if line.strip()]
    if len(first_lines) > 1 and all(_is_json(line) for line in first_lines[:_JSON_LINES_TRIED][:-1]):
        return Kind.JSONL
    return Kind.JSON if _is_json(stripped) else None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text, parse_int=str, parse_float=str), dict | list)
    except (ValueError, RecursionError):
        return False
