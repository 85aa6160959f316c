"""Whether what was found is about what was asked. No answer is given without evidence.

The scores of a search only order one response; this is judged on what can be compared between searches: the raw cosine
of the nearest passage, and how much of the question's weight (by idf) one passage holds. Cosines differ from model to
model, so each has its calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ragindex_core.answer.matching import Wording, terms_of
from ragindex_core.answer.passages import Passage

_HEADING_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Calibration:
    """There is evidence where ``cosine_weight · cosine + coverage_weight · coverage`` reaches 1, or, when the vector
    arm did not run, where the coverage alone reaches ``coverage_alone``. Words of scripts without spaces are bigrams,
    many of which reach over two words and are found nowhere: of those ``bigrams_alone`` decides, unless the model
    ``knows_unspaced`` scripts."""

    cosine_weight: float
    coverage_weight: float
    coverage_alone: float = 0.45
    bigrams_alone: float = 0.2
    knows_unspaced: bool = False


#: Measured with questions asked of the documents that answer them, and of others in the same language, by hybrid
#: search. Of the former are refused, in a hundred: English 3 to 4, German 13, Chinese (which the model does not know)
#: 15; of the latter pass: English 2 to 7, German 4, Chinese 6.
CALIBRATIONS: Mapping[str, Calibration] = MappingProxyType(
    {"all-minilm-l6-v2": Calibration(cosine_weight=1.6, coverage_weight=0.9)}
)
#: For a model nobody calibrated, words decide: its cosines may mean anything.
UNCALIBRATED = Calibration(cosine_weight=0.0, coverage_weight=1 / 0.45)


@dataclass(frozen=True, slots=True)
class Evidence:
    found: bool
    cosine: float | None  # of the nearest passage
    coverage: float  # of the question by the passage that holds most of it


def judge(question: Wording, passages: Sequence[Passage], calibration: Calibration) -> Evidence:
    """Whether the passages hold an answer, as far as cosine and words can tell. No passages, no evidence."""
    cosine = max((passage.cosine for passage in passages if passage.cosine is not None), default=None)
    coverage = max((_coverage(question, passage) for passage in passages), default=0.0)
    if question.unspaced and not calibration.knows_unspaced:
        return Evidence(coverage >= calibration.bigrams_alone, cosine, coverage)
    if cosine is None:
        return Evidence(coverage >= calibration.coverage_alone, None, coverage)
    weight = calibration.cosine_weight * cosine + calibration.coverage_weight * coverage
    return Evidence(weight >= 1, cosine, coverage)


def _coverage(question: Wording, passage: Passage) -> float:
    """By a passage and what stands above it, where a word counts for more: a section is about what its heading says."""
    above = terms_of("\n".join([passage.document.title or "", *passage.headings]), passage.language)
    covered = question.covered(above | terms_of(passage.text, passage.language))
    return min(1.0, covered + _HEADING_SHARE * question.covered(above))
