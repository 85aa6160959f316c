"""The corpus that benchmarks measure on is the same for everyone, and what the analyser would make of it."""

from __future__ import annotations

from itertools import islice

import numpy as np
from benchmarks import corpus

from ragindex_core.analysis import analyse_chunk


def test_a_passage_is_counted_as_the_analyser_counts_it() -> None:
    [document] = corpus.documents(10)
    for passage in document.passages:
        assert passage.analysed == analyse_chunk([passage.text], corpus.LANGUAGE)


def test_a_larger_corpus_begins_with_the_smaller_one() -> None:
    [small] = corpus.documents(10)
    large = next(islice(corpus.documents(30), 1))
    assert [passage.text for passage in small.passages] == [passage.text for passage in large.passages]
    assert np.array_equal(corpus.vectors(10), corpus.vectors(30)[:10])


def test_terms_are_those_of_the_passages() -> None:
    _, second = corpus.documents(20)
    assert list(corpus.terms(10, 20)) == [passage.analysed for passage in second.passages]


def test_a_selection_leaves_the_passages_whose_documents_say_so() -> None:
    documents = list(corpus.documents(2000))
    for selection in corpus.SELECTIONS:
        told = [
            passage.number
            for document in documents
            if document.metadata.get(selection.key) == selection.value
            for passage in document.passages
        ]
        assert list(selection.of(2000)) == told
