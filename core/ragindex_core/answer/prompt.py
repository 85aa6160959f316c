"""Putting question and passages into a prompt. The prompts themselves are files in ``ragindex_core/prompts``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragindex_core.answer.passages import Passage, as_prose, without_markers
from ragindex_core.errors import Misconfigured
from ragindex_core.ports import GenerationRequest

_PART = re.compile(r"^# (System|User)[ \t]*$", re.MULTILINE)
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_PLACES = frozenset({"question", "documents", "language"})
_DOCUMENT_TAG = re.compile(r"<(?=\s*/?\s*documents?\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt with places for ``{{question}}``, ``{{documents}}`` and ``{{language}}``."""

    system: str
    user: str

    @classmethod
    def parse(cls, text: str) -> PromptTemplate:
        """From the text of a prompt file: a part under ``# System`` and one under ``# User``."""
        pieces = _PART.split(text)
        parts = {name: body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
        if sorted(parts) != ["System", "User"] or len(pieces) != 5:
            raise Misconfigured("a prompt has one part under the heading '# System' and one under '# User'")
        places = set(_PLACE.findall(text))
        if unknown := sorted(places - _PLACES):
            raise Misconfigured(
                f"a prompt has no place for {', '.join(unknown)}; there are {', '.join(sorted(_PLACES))}"
            )
        if missing := sorted({"question", "documents"} - places):
            raise Misconfigured(f"the prompt has no place for {', '.join(missing)}")
        return cls(parts["System"], parts["User"])


def build_prompt(
    question: str,
    passages: Sequence[Passage],
    template: PromptTemplate,
    language: str | None = None,
    *,
    max_tokens: int = 1024,
    temperature: float | None = None,
) -> GenerationRequest:
    """The request to a language model. Documents are marked as data, and cannot end their own quotation."""
    values = {
        "question": question.strip(),
        "documents": "\n\n".join(_document(passage) for passage in passages),
        "language": f"the language with the code {language}" if language else "the language of the question",
    }
    return GenerationRequest(_filled(template.system, values), _filled(template.user, values), max_tokens, temperature)


def _document(passage: Passage) -> str:
    title = " > ".join(dict.fromkeys(part for part in (passage.document.title, *passage.headings) if part))
    return "\n".join(
        [f'<document marker="[{passage.marker}]" title="{_attribute(title)}">', _as_data(passage.text), "</document>"]
    )


def _as_data(text: str) -> str:
    """Text that neither closes the tag around it nor contains what looks like a marker of ours."""
    return _DOCUMENT_TAG.sub("&lt;", without_markers(text))


def _attribute(text: str) -> str:
    return as_prose(text).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """One pass over the template, so that braces in a document are never taken for a place."""
    return _PLACE.sub(lambda match: values[match[1]], template)
