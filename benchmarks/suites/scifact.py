"""The keyword arm on SciFact's abstracts: time in SQL and quality, beside PostgreSQL's own full text search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from benchmarks import data, timing
from benchmarks.asking import asker
from benchmarks.results import Figure, at_least, at_most
from benchmarks.stage import Index, Stage, pieces
from benchmarks.timing import Times
from ragindex_core.analysis import analyse_chunk, query_terms
from ragindex_core.evaluation import mean, ndcg
from ragindex_db import keyword
from ragindex_local.evaluation import read_task

_LIMIT = 10
_QUICK = 100  # questions of a quick run
_LANGUAGE = "en"

# The rival: the index on words and the ranking that come with PostgreSQL, asked for any of the question's words.
_RIVAL_TABLE = (
    sa.text("DROP TABLE IF EXISTS ragindex_data.benchmark_fulltext"),
    sa.text("CREATE TABLE ragindex_data.benchmark_fulltext (id bigint PRIMARY KEY, words tsvector NOT NULL)"),
    sa.text("CREATE INDEX ON ragindex_data.benchmark_fulltext USING gin (words)"),
)
_RIVAL_ROW = sa.text("INSERT INTO ragindex_data.benchmark_fulltext VALUES (:id, to_tsvector('english', :text))")
_RIVAL = sa.text("""
SELECT id, ts_rank_cd(words, query) AS score
FROM ragindex_data.benchmark_fulltext,
     CAST(replace(CAST(plainto_tsquery('english', :question) AS text), '&', '|') AS tsquery) query
WHERE words @@ query ORDER BY score DESC, id LIMIT :limit
""")


def measure(stage: Stage, *, quick: bool) -> list[Figure]:
    """Nothing where the collection is not there."""
    folder = data.folder("scifact")
    if folder is None:
        return []
    task = read_task(folder / "queries.jsonl", folder / "qrels.tsv")
    asked = task.questions[:_QUICK] if quick else task.questions
    passages = dict(enumerate(data.passages(folder / "corpus.jsonl"), 1))
    index = _fill(stage, passages)
    questions = {one.text: query_terms(one.text, (_LANGUAGE,)) for one in asked}

    def gain(found: dict[str, list[int]]) -> float:
        ranked = {one.id: [passages[number][0] for number in found[one.text]] for one in asked}
        return mean([ndcg(ranked[one.id], task.grades[one.id], 10) for one in asked])

    with asker(stage) as database:

        def ours(question: str) -> list[int]:
            hits = database.ask(keyword.search, index.tables.keyword, questions[question], _LIMIT)
            return [hit.chunk_id for hit in hits]

        found, times, cost = _asked(stage, ours, list(questions))
    with stage.database.begin() as connection:

        def rival(question: str) -> list[int]:
            return list(connection.execute(_RIVAL, {"question": question, "limit": _LIMIT}).scalars())

        rival_found, rival_times, rival_cost = _asked(stage, rival, list(questions))
    stage.drop(index)
    size = f"{len(passages):,} abstracts, {len(asked)} questions"
    return [
        Figure("SciFact: p50 in the database", times.p50, "ms", at_most(5), note=f"{size}, the {_LIMIT} best"),
        Figure("SciFact: p95 in the database", times.p95, "ms"),
        Figure("SciFact: nDCG@10", gain(found), "", at_least(0.68), note="a passage an abstract"),
        Figure("SciFact: p50 of ts_rank_cd", rival_times.p50, "ms", note=f"nDCG@10 {gain(rival_found):.3f}"),
        Figure("SciFact: processor time of a question", cost, "ms", note=f"ts_rank_cd {rival_cost:.1f} ms"),
        Figure("SciFact: p50 as a share of ts_rank_cd's", times.p50 / rival_times.p50, "", ratio=True),
    ]


def _asked(
    stage: Stage, ask: Callable[[str], list[int]], questions: Sequence[str]
) -> tuple[dict[str, list[int]], Times, float]:
    """Every question twice, the second time by the clock; and the processor time of one."""
    found = {text: ask(text) for text in questions}
    return found, *timing.costed(stage.server_pid, ask, questions)


def _fill(stage: Stage, passages: dict[int, tuple[str, str, str]]) -> Index:
    index = stage.empty_index("scifact")
    for part in pieces(passages.items(), 1000):
        rows = []
        for number, (_, title, text) in part:
            terms = analyse_chunk([title, text], _LANGUAGE)
            rows.append(keyword.ChunkTerms(number, number, terms.length, terms.frequencies, terms.row))
        with stage.database.begin() as connection:
            keyword.write(connection, index.tables.keyword, rows)
    stage.seal(index)
    with stage.database.begin() as connection:
        for statement in _RIVAL_TABLE:
            connection.execute(statement)
        rows_of_rival = [{"id": number, "text": f"{title} {text}"} for number, (_, title, text) in passages.items()]
        connection.execute(_RIVAL_ROW, rows_of_rival)
    stage.vacuum()
    return index
