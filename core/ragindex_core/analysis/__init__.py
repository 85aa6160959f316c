"""Turns text into the terms of the keyword arm, the same way for passages and for questions.

Words of any script are normalised (NFKC, case, accents), stemmed where a stemmer of the language exists, and cut into
bigrams where a script writes no spaces. Identifiers such as ``E-4012`` are kept whole beside their parts.
"""

from __future__ import annotations

from ragindex_core.analysis.languages import detect_language
from ragindex_core.analysis.query import KeywordQuery, Phrase, PhraseForm, query_terms
from ragindex_core.analysis.words import ANALYSER_VERSION, Analysed, Token, analyse, analyse_chunk

__all__ = [
    "ANALYSER_VERSION",
    "Analysed",
    "KeywordQuery",
    "Phrase",
    "PhraseForm",
    "Token",
    "analyse",
    "analyse_chunk",
    "detect_language",
    "query_terms",
]
