"""Web pages: what a reader sees of them, without scripts, navigation and what is hidden."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from ragindex_core.document import BlockKind, DocumentReason, MetadataValue, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.limits import ParseLimits

_DROPPED = (
    "script, style, noscript, template, nav, svg, iframe, object, canvas, button, select, dialog, "
    '[hidden], [aria-hidden="true"], [role="navigation"]'
)
_INVISIBLE_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "center",
            "dd",
            "details",
            "div",
            "dl",
            "dt",
            "fieldset",
        ),
        *("figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "main", "ol", "p", "section"),
        *("summary", "ul", "table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption", "colgroup", "col", "menu"),
    )
)
#: Tags that hold others until they are closed. Those that HTML closes by itself, or that hold nothing, are not counted.
_NESTS = re.compile(
    r"<(/?)(?!(?:p|li|d[td]|opt(?:ion|group)|t[rdh]|t(?:head|body|foot)|colgroup|r[tp]|html|head|body|area|base|br|col"
    r"|embed|hr|img|input|link|meta|param|source|track|wbr)[\s/>])[a-z][^<>]{0,1000}?(?<!/)>",
    re.IGNORECASE,
)
_DEEPEST = 10_000  # a parser of HTML takes time by the square of the depth, and copies open marks such as <b>
_LINES = re.compile(r"[ \t\r\f]*\n[ \t\r\f\n]*|[ \t\r\f]+")


def parse(text: str, limits: ParseLimits) -> ParsedDocument:
    out = TextBuilder(limits.max_characters)
    tree = add_html(out, text)
    title = tree.css_first("head > title")
    language = tree.css_first("html")
    metadata: dict[str, MetadataValue] = {}
    for name in ("author", "description", "keywords"):
        meta = tree.css_first(f'meta[name="{name}"]')
        if meta is not None:
            metadata[name] = meta.attributes.get("content") or ""
    about = About(
        "text/html",
        "html/1",
        title=title.text() if title is not None else None,
        language=language.attributes.get("lang") if language is not None else None,
        metadata=metadata,
    )
    return out.document(about)


def add_html(out: TextBuilder, text: str) -> LexborHTMLParser:
    """Append the visible text of a page. The tree is handed back for what its head says."""
    if _depth(text) > _DEEPEST:
        raise DocumentRejected(DocumentReason.TOO_LARGE, f"the page is nested more than {_DEEPEST:,} deep")
    try:
        tree = LexborHTMLParser(text)
    except SelectolaxError as error:  # there is no page that is no HTML
        raise MemoryError from error
    for node in tree.css(_DROPPED):
        node.decompose()
    for node in tree.css("[style]"):
        if _INVISIBLE_STYLE.search(node.attributes.get("style") or ""):
            node.decompose()
    if tree.body is not None:
        _Walker(out).walk(tree.body)
    return tree


def _depth(text: str) -> int:
    """About how deep the tags of a page nest."""
    depth = deepest = 0
    for tag in _NESTS.finditer(text):
        depth = max(depth - 1, 0) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


class _Walker:
    """Goes through the tree with a stack of its own, for pages are nested as deep as their authors please."""

    def __init__(self, out: TextBuilder) -> None:
        self._out = out
        self._line: list[str] = []
        self._item = False

    def walk(self, root: LexborNode) -> None:
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._flush()
                self._item = False
            elif self._enter(node):
                if node.tag in _BLOCKS or node.tag == "li":
                    stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(node.iter(include_text=True))))
        self._flush()

    def _enter(self, node: LexborNode) -> bool:
        """Take the node in; whether its children are to be visited."""
        tag = node.tag or ""
        if tag == "-text":
            self._line.append(_LINES.sub(" ", node.text(deep=False)))
            return False
        if tag == "br":
            self._line.append("\n")
            return False
        if tag in _HEADINGS:
            self._flush()
            self._out.heading(_HEADINGS[tag], node.text(separator=""))
            return False
        if tag == "pre":
            self._flush()
            self._out.add(BlockKind.CODE, node.text())
            return False
        if tag == "table" and _is_data(node):
            self._flush()
            self._table(node)
            return False
        if tag in _BLOCKS or tag == "li":
            self._flush()
            self._item = tag == "li" or (self._item and tag not in ("ul", "ol", "table"))
        return True

    def _flush(self) -> None:
        text = "\n".join(" ".join(line.split(" ")).strip() for line in "".join(self._line).split("\n"))
        text = re.sub(" {2,}", " ", text).strip()
        self._line = []
        if text and self._item:
            self._out.add(BlockKind.LIST_ITEM, f"- {text}")
        elif text:
            self._out.add(BlockKind.PARAGRAPH, text)

    def _table(self, table: LexborNode) -> None:
        caption = table.css_first("caption")
        if caption is not None:
            self._out.add(BlockKind.PARAGRAPH, caption.text(separator=" "))
        rows: list[list[str]] = []
        marked = False
        for row in table.css("tr"):
            cells = [cell for cell in row.iter() if cell.tag in ("td", "th")]
            if not rows:
                marked = len(cells) > 1 and all(cell.tag == "th" for cell in cells)
            rows.append([cell.text(separator=" ") for cell in cells])
        self._out.table(rows, header=True if marked else None)


def _is_data(table: LexborNode) -> bool:
    """A table of data, not one that lays out a page: no table, heading or long text inside, and several columns."""
    if table.css_first("table table, h1, h2, h3, h4, pre, form") is not None:
        return False
    return any(sum(1 for cell in row.iter() if cell.tag in ("td", "th")) > 1 for row in table.css("tr"))
