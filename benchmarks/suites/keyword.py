"""BM25 in SQL: on real abstracts, on a growing synthetic corpus, and beside writers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import sqlalchemy as sa

from benchmarks import corpus, timing, writers
from benchmarks.asking import asker
from benchmarks.results import Figure, Lines, Outcome, Series, at_least, at_most
from benchmarks.stage import Index, Stage, pieces, say
from benchmarks.suites import scifact
from benchmarks.timing import Times
from ragindex_core.analysis import KeywordQuery
from ragindex_db import keyword

_LIMIT = 10
_SAMPLE = 10_000  # passages whose terms tell what is common
_WORDS = 4
#: Shares of the passages that a word of each kind stands in.
_COMMON, _RARE = (0.05, 0.20), (0.0003, 0.003)
_TARGETS = {"four common words": 50.0, "two common and two rare": 40.0}
_WRITERS = 4


def run(stage: Stage, *, quick: bool) -> Outcome:
    sizes = (5_000, 20_000) if quick else (5_000, 50_000, 500_000)
    questions = _questions(20 if quick else 50)
    index = stage.empty_index("postings")
    try:
        times: dict[int, Mapping[str, Times]] = {}
        costs: dict[int, Mapping[str, float]] = {}
        bytes_: dict[int, int] = {}
        filled = 0
        for size in sizes:
            say(f"writing postings of {size:,} passages")
            _fill(stage, index, filled, size)
            filled = size
            bytes_[size] = _size(stage, index)
            found = {kind: _asked(stage, index, asked) for kind, asked in questions.items()}
            times[size] = {kind: each for kind, (each, _) in found.items()}
            costs[size] = {kind: cost for kind, (_, cost) in found.items()}
            say(", ".join(f"{kind}: p50 {each.p50:.1f} ms" for kind, each in times[size].items()))
        beside = _beside(stage, index, questions, seconds=4 if quick else 15)
    finally:
        stage.drop(index)
    return Outcome(
        data=f"{sizes[-1]:,} passages of some 110 distinct terms each; questions of {_WORDS} words",
        figures=[*scifact.measure(stage, quick=quick), *_growth(times, costs, bytes_), *beside],
        details={str(size): {kind: each.as_json() for kind, each in found.items()} for size, found in times.items()},
        charts={
            "keyword-growth": Lines(
                "BM25 in SQL as an index grows, p50",
                "passages",
                "ms",
                [Series(kind, [(size, times[size][kind].p50) for size in sizes]) for kind in questions],
                line=_TARGETS["four common words"],
            )
        },
    )


def _questions(count: int) -> dict[str, list[KeywordQuery]]:
    frequencies: Counter[str] = Counter()
    for analysed in corpus.terms(0, _SAMPLE):
        frequencies.update(analysed.frequencies.keys())

    def words(shares: tuple[float, float]) -> list[str]:
        low, high = (share * _SAMPLE for share in shares)
        return sorted(term for term, number in frequencies.items() if low <= number <= high)

    random = np.random.default_rng(11)
    common, rare = words(_COMMON), words(_RARE)

    def asked(of_common: int, of_rare: int) -> list[KeywordQuery]:
        chosen = [
            (*random.choice(common, of_common, replace=False), *random.choice(rare, of_rare, replace=False))
            for _ in range(count)
        ]
        return [KeywordQuery(words=tuple((str(term),) for term in terms)) for terms in chosen]

    return {
        "four common words": asked(4, 0),
        "two common and two rare": asked(2, 2),
        "four rare words": asked(0, 4),
    }


def _fill(stage: Stage, index: Index, first: int, end: int) -> None:
    """Passages ``first`` to ``end``, sealed. Only the keyword arm's tables: the others have no part in this."""
    numbered = enumerate(corpus.terms(first, end), first + 1)
    for part in pieces(numbered, 1000):
        rows = [
            keyword.ChunkTerms(
                number, (number - 1) // corpus.CHUNKS_A_DOCUMENT + 1, terms.length, terms.frequencies, terms.row
            )
            for number, terms in part
        ]
        with stage.database.begin() as connection:
            keyword.write(connection, index.tables.keyword, rows)
    stage.seal(index)
    stage.vacuum()
    # Ids of chunks come from the sequence of the table of texts, which holds none of these.
    with stage.database.begin() as connection:
        name = f"{index.tables.chunk.schema}.{index.tables.chunk.name}"
        connection.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(name, "id"), end)))


def _asked(stage: Stage, index: Index, questions: Sequence[KeywordQuery]) -> tuple[Times, float]:
    """Each twice, the second time by the clock; and the processor time of one."""
    with asker(stage) as database:

        def ask(question: KeywordQuery) -> None:
            database.ask(keyword.search, index.tables.keyword, question, _LIMIT)

        timing.each(ask, questions)
        return timing.costed(stage.server_pid, ask, questions)


def _size(stage: Stage, index: Index) -> int:
    names = [f"{table.schema}.{table.name}" for table in index.tables.keyword.all]
    with stage.database.begin() as connection:
        return sum(connection.execute(sa.select(sa.func.pg_total_relation_size(name))).scalar_one() for name in names)


def _beside(stage: Stage, index: Index, questions: Mapping[str, list[KeywordQuery]], seconds: float) -> list[Figure]:
    """Writers at work while the index is sealed and searched."""
    mixed = questions["two common and two rare"]
    before = _deadlocks(stage)
    done: list[Times] = []
    ending = threading.Event()

    def ask() -> None:
        while not ending.is_set():
            done.append(_asked(stage, index, mixed[:5])[0])

    reader = threading.Thread(target=ask, name="reader")
    with writers.sealing(stage.database, index.tables):
        reader.start()
        written = writers.run(stage.url, index.tables.revision_id, writers=_WRITERS, seconds=seconds)
        ending.set()
        reader.join()
    say(f"{_WRITERS} writers: {written.rate:.0f} documents/s")
    searches = Times([value for each in done for value in each.all])
    pages = f"{writers.PASSAGES} passages each, half of them replacing others; one client searches, the sealer runs"
    return [
        Figure(f"documents written by {_WRITERS} writers", written.rate, "documents/s", at_least(300), note=pages),
        Figure("processor time of a writer", written.cpu_seconds * 1000 / max(written.documents, 1), "ms a document"),
        Figure("deadlocks", _deadlocks(stage) - before + written.refused, "", at_most(0)),
        Figure("search beside the writers: p50", searches.p50, "ms", note="two common and two rare words"),
    ]


def _deadlocks(stage: Stage) -> int:
    """As the server counted them."""
    with stage.database.begin() as connection:
        counted = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(connection.execute(counted).scalar_one())


def _growth(
    times: Mapping[int, Mapping[str, Times]], costs: Mapping[int, Mapping[str, float]], bytes_: Mapping[int, int]
) -> list[Figure]:
    largest = max(times)
    figures = []
    for size, found in times.items():
        for kind, each in found.items():
            goal = _TARGETS.get(kind) if size == largest else None
            figures.append(
                Figure(
                    f"{size:,} passages, {kind}: p50",
                    each.p50,
                    "ms",
                    None if goal is None else at_most(goal),
                    note=f"{costs[size][kind]:.1f} ms of processor time",
                )
            )
        figures.append(Figure(f"{size:,} passages: postings", bytes_[size] / 2**20, "MiB"))
    return figures
