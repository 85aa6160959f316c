"""From passages to an answer whose every statement can be checked."""

from ragindex_core.answer.citations import citation_for
from ragindex_core.answer.context import select_context
from ragindex_core.answer.evidence import CALIBRATIONS, UNCALIBRATED, Calibration, Evidence, judge
from ragindex_core.answer.extractive import ExtractiveAnswer, extract
from ragindex_core.answer.markers import AnswerText, GateEvent, MarkerGate
from ragindex_core.answer.matching import TermWeights, Wording, terms_of
from ragindex_core.answer.passages import AnswerOutcome, Citation, DocumentRef, Passage
from ragindex_core.answer.prompt import PromptTemplate, build_prompt

__all__ = [
    "CALIBRATIONS",
    "UNCALIBRATED",
    "AnswerOutcome",
    "AnswerText",
    "Calibration",
    "Citation",
    "DocumentRef",
    "Evidence",
    "ExtractiveAnswer",
    "GateEvent",
    "MarkerGate",
    "Passage",
    "PromptTemplate",
    "TermWeights",
    "Wording",
    "build_prompt",
    "citation_for",
    "extract",
    "judge",
    "select_context",
    "terms_of",
]
