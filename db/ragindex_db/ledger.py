"""What was asked and what it used: rows that are only ever added, so that no two writers meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONB, insert

from ragindex_db.schema import conversation_turns, conversations, query_runs, usage


@dataclass(frozen=True, slots=True)
class QueryRun:
    id: str
    index_id: int
    revision_id: int | None
    kind: str  # Search | Answer
    outcome: str | None
    milliseconds: float
    document_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Usage:
    index_id: int
    namespace: str
    stage: str  # Embedding | Query | Generation
    route: str
    input_tokens: int
    output_tokens: int = 0
    cost_micro_usd: int | None = None
    price_version: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: str


def record_queries(connection: Connection, runs: Sequence[QueryRun]) -> None:
    """All in one statement: there is a row for every query, and each is to cost little."""
    if runs:
        rows = [{name: getattr(run, name) for name in _RUN} for run in runs]
        connection.execute(_RECORD_RUNS, {"runs": rows})


_RUN = [field.name for field in fields(QueryRun)]
_GIVEN_RUNS = (
    sa.func.jsonb_to_recordset(sa.bindparam("runs", type_=JSONB))
    .table_valued(*(sa.column(name, query_runs.c[name].type) for name in _RUN), name="given")
    .render_derived(with_types=True)
)
_RECORD_RUNS = sa.insert(query_runs).from_select(_RUN, sa.select(_GIVEN_RUNS))


def record_usage(connection: Connection, rows: Sequence[Usage]) -> None:
    if rows:
        connection.execute(sa.insert(usage), [asdict(row) for row in rows])


def turns(connection: Connection, index_id: int, conversation_id: str, limit: int) -> list[Turn]:
    """The last turns of a conversation about this index, oldest first; none when it is not known."""
    rows = connection.execute(
        sa.select(conversation_turns.c.question, conversation_turns.c.answer)
        .join(conversations, conversations.c.id == conversation_turns.c.conversation_id)
        .where(conversations.c.id == conversation_id, conversations.c.index_id == index_id)
        .order_by(conversation_turns.c.number.desc())
        .limit(limit)
    )
    return [Turn(*row) for row in rows][::-1]


def conversation_index(connection: Connection, conversation_id: str) -> int | None:
    """The index a conversation is about; None when there is no such conversation yet."""
    return connection.execute(
        sa.select(conversations.c.index_id).where(conversations.c.id == conversation_id)
    ).scalar_one_or_none()


def add_turn(
    connection: Connection,
    *,
    index_id: int,
    namespace: str,
    conversation_id: str,
    run_id: str,
    turn: Turn,
    document_ids: Sequence[int],
) -> None:
    connection.execute(
        insert(conversations)
        .values(id=conversation_id, index_id=index_id, namespace=namespace)
        .on_conflict_do_nothing()
    )
    # The row of the conversation is the lock that numbers its turns.
    connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation_id).with_for_update())
    last = sa.select(sa.func.coalesce(sa.func.max(conversation_turns.c.number), 0)).where(
        conversation_turns.c.conversation_id == conversation_id
    )
    connection.execute(
        sa.insert(conversation_turns).values(
            conversation_id=conversation_id,
            number=last.scalar_subquery() + 1,
            run_id=run_id,
            question=turn.question,
            answer=turn.answer,
            document_ids=list(document_ids),
        )
    )
