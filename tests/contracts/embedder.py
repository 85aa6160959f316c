"""What every Embedder promises, run over fakes and real ones alike: subclass, and give the ``embedder`` fixture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ragindex_core.errors import Unavailable
from ragindex_core.ports import Embedder, InputType

LEAVE = "Annual leave is thirty days a year for every employee."
LEAVE_AGAIN = "Every employee has thirty days of annual leave."
CHEMISTRY = "Sodium chloride dissolves readily in cold water."


class EmbedderContract:
    @pytest.fixture
    def embedder(self) -> Embedder:
        raise NotImplementedError

    def test_gives_one_finite_row_a_text_of_the_dimensions_it_names(self, embedder: Embedder) -> None:
        result = embedder.embed([LEAVE, CHEMISTRY], InputType.PASSAGE)
        assert result.vectors.shape == (2, embedder.info.dimensions)
        assert result.vectors.dtype == np.float32
        assert np.isfinite(result.vectors).all()
        assert result.refused == {}
        assert result.tokens > 0

    def test_rows_are_of_length_one_when_it_says_so(self, embedder: Embedder) -> None:
        lengths = np.linalg.norm(embedder.embed([LEAVE, "a"], InputType.QUERY).vectors, axis=1)
        assert not embedder.info.normalised or np.allclose(lengths, 1, atol=1e-5)

    def test_nothing_asked_is_nothing_given(self, embedder: Embedder) -> None:
        assert embedder.embed([], InputType.PASSAGE).vectors.shape == (0, embedder.info.dimensions)

    def test_a_text_has_the_same_vector_whatever_comes_with_it(self, embedder: Embedder) -> None:
        alone = embedder.embed([LEAVE], InputType.PASSAGE).vectors[0]
        among = embedder.embed(["x", CHEMISTRY * 5, LEAVE, "y z"], InputType.PASSAGE).vectors[2]
        assert np.allclose(alone, among, atol=1e-6)

    def test_rows_come_in_the_order_of_the_texts_also_beyond_one_batch(self, embedder: Embedder) -> None:
        texts = [f"document number {n} " + "word " * (n % 7) for n in range(embedder.info.max_batch + 3)]
        together = embedder.embed(texts, InputType.PASSAGE).vectors
        for row in (0, 1, embedder.info.max_batch, len(texts) - 1):
            assert np.allclose(together[row], embedder.embed([texts[row]], InputType.PASSAGE).vectors[0], atol=1e-6)

    def test_what_means_the_same_lies_nearer_than_what_does_not(self, embedder: Embedder) -> None:
        leave, again, chemistry = embedder.embed([LEAVE, LEAVE_AGAIN, CHEMISTRY], InputType.PASSAGE).vectors
        assert leave @ again > leave @ chemistry

    def test_any_string_is_a_text(self, embedder: Embedder) -> None:
        texts = ["", " ", "\ud800 half a pair", "\0", "e\u0301\u202e", "字" * 40, "🙂", "long " * 2_000]
        assert np.isfinite(embedder.embed(texts, InputType.QUERY).vectors).all()

    def test_its_tokenizer_gives_ordered_spans_of_code_points(self, embedder: Embedder) -> None:
        text = "Größe: 𝔘nicode — naïve 字符 🙂 end"
        (spans,) = embedder.tokenizer.token_spans([text])
        assert all(start <= end <= len(text) for start, end in spans)
        assert [start for start, _ in spans] == sorted(start for start, _ in spans)
        assert text[slice(*spans[-1])].strip("#") in "end"
        assert {text[i] for span in spans for i in range(*span)} >= set("Größe:naïve")

    def test_its_tokenizer_counts_what_it_spans(self, embedder: Embedder) -> None:
        texts = ["", " ", LEAVE, f"{LEAVE}\n\n{CHEMISTRY}", "\ud800 half", "字" * 40, "x" * 5_000]
        spans = embedder.tokenizer.token_spans(texts)
        assert embedder.tokenizer.token_counts(texts) == [len(each) for each in spans]

    def test_several_threads_may_use_it_at_once(self, embedder: Embedder) -> None:
        expected = embedder.embed([LEAVE], InputType.QUERY).vectors[0]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: embedder.embed([LEAVE], InputType.QUERY).vectors[0], range(12)))
        assert all(np.allclose(result, expected, atol=1e-6) for result in results)

    def test_once_closed_it_says_so_and_may_be_closed_again(self, embedder: Embedder) -> None:
        embedder.close()
        embedder.close()
        with pytest.raises(Unavailable):
            embedder.embed([LEAVE], InputType.QUERY)
