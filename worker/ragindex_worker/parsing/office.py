"""What all Office Open XML files share: a zip of parts, relations between them, core properties, two dialects.

The Strict dialect says the same as the Transitional one under other namespaces. Here names are compared without their
namespace where this project reads the XML itself; for libraries that insist, ``transitional`` rewrites the archive.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragindex_core.document import DocumentReason, MetadataValue
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.archives import open_archive
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.xmlio import Element, attribute, local, parse_xml

_STRICT = b"http://purl.oclc.org/ooxml/"
_STRICT_NAMES = re.compile(rb"http://purl\.oclc\.org/ooxml/([A-Za-z]+)/([A-Za-z]+)")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class CoreProperties:
    title: str | None
    language: str | None
    metadata: dict[str, MetadataValue]


def core_properties(archive: zipfile.ZipFile) -> CoreProperties:
    if "docProps/core.xml" not in archive.namelist():
        return CoreProperties(None, None, {})
    found: dict[str, str] = {}
    for element in parse_xml(archive.read("docProps/core.xml")):
        found[local(element)] = (element.text or "").strip()
    metadata: dict[str, MetadataValue] = {}
    for name, ours in (("creator", "author"), ("subject", "subject"), ("keywords", "keywords")):
        metadata[ours] = found.get(name, "")
    for name in ("created", "modified"):
        if _DATE.fullmatch(found.get(name, "")):
            metadata[name] = found[name]
    return CoreProperties(found.get("title"), found.get("language"), metadata)


def main_part(archive: zipfile.ZipFile) -> str:
    """The name of the part that holds the document itself."""
    for relation in _relations(archive, "_rels/.rels"):
        if (attribute(relation, "Type") or "").endswith("/officeDocument"):
            return posixpath.normpath((attribute(relation, "Target") or "").lstrip("/"))
    raise DocumentRejected(DocumentReason.CORRUPT, "the file does not say which of its parts is the document")


def related_part(archive: zipfile.ZipFile, part: str, relation_type: str) -> Element | None:
    """The root of the part that ``part`` relates to as, say, its ``styles``; None when there is none."""
    folder, name = posixpath.split(part)
    for relation in _relations(archive, f"{folder}/_rels/{name}.rels"):
        if (attribute(relation, "Type") or "").endswith(f"/{relation_type}"):
            target = attribute(relation, "Target") or ""
            path = posixpath.normpath(target.lstrip("/") if target.startswith("/") else f"{folder}/{target}")
            return parse_xml(archive.read(path)) if path in archive.namelist() else None
    return None


def read_part(archive: zipfile.ZipFile, part: str) -> Element:
    if part not in archive.namelist():
        raise DocumentRejected(DocumentReason.CORRUPT, "the file lacks the part that should hold the document")
    return parse_xml(archive.read(part))


@contextmanager
def transitional(path: Path, limits: ParseLimits) -> Iterator[BinaryIO]:
    """The file, or a copy in the Transitional dialect of one that is Strict. Open: libraries may mind its name."""
    with open_archive(path, limits) as archive:
        if _STRICT not in archive.read(main_part(archive)):
            with path.open("rb") as file:
                yield file
            return
        copy = io.BytesIO()
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as rewritten:
            for entry in archive.infolist():
                data = archive.read(entry)
                if entry.filename.endswith((".xml", ".rels")):
                    data = _STRICT_NAMES.sub(_transitional_name, data)
                rewritten.writestr(entry.filename, data)
    copy.seek(0)
    yield copy


def _transitional_name(match: re.Match[bytes]) -> bytes:
    return b"http://schemas.openxmlformats.org/" + match[1] + b"/2006/" + match[2]


def _relations(archive: zipfile.ZipFile, part: str) -> list[Element]:
    return list(parse_xml(archive.read(part))) if part in archive.namelist() else []
