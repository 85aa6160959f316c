"""Mails: who wrote to whom about what, then the body. Attachments are named, not read."""

from __future__ import annotations

from datetime import UTC
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime
from pathlib import Path

from ragindex_core.document import BlockKind, MetadataValue, ParsedDocument
from ragindex_worker.parsing.builder import About, TextBuilder, normalise
from ragindex_worker.parsing.html import add_html
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.plain import paragraphs

_SHOWN = ("From", "To", "Cc", "Date")
_LONGEST_HEADER = 8000  # characters that are read as a header should be: it takes time by the square of them


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    mail = message_from_bytes(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), policy=policy.default)
    out = TextBuilder(limits.max_characters)
    subject = _header(mail, "Subject")
    out.heading(1, subject)
    out.add(BlockKind.PARAGRAPH, "\n".join(f"{name}: {_header(mail, name)}" for name in _SHOWN if _header(mail, name)))
    body = mail.get_body(preferencelist=("plain", "html"))
    if body is not None:
        text = normalise(_content(body))
        if body.get_content_type() == "text/html":
            add_html(out, text)
        else:
            for span in paragraphs(text):
                out.add(BlockKind.PARAGRAPH, span.of(text))
    return out.document(About("message/rfc822", "eml/1", title=subject, metadata=_metadata(mail)))


def _header(mail: EmailMessage, name: str) -> str:
    written = next((str(value) for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    return str(mail.get(name, "") if len(written) <= _LONGEST_HEADER else written).strip()


def _content(body: MIMEPart) -> str:
    try:
        return str(body.get_content())
    except (LookupError, ValueError):  # a charset that is unknown or not what the bytes are in
        payload = body.get_payload(decode=True)
        return payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else str(payload)


def _metadata(mail: EmailMessage) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {
        "author": _header(mail, "From"),
        "to": _header(mail, "To").split(","),
        "attachments": [part.get_filename() or "unnamed" for part in mail.iter_attachments()],
    }
    try:
        sent = parsedate_to_datetime(_header(mail, "Date"))
    except ValueError:
        return metadata  # the header is absent or no date
    metadata["created"] = (sent if sent.tzinfo else sent.replace(tzinfo=UTC)).isoformat()
    return metadata
