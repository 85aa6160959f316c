"""One budget of tokens and requests a minute a model, shared by all processes: a bucket refilled by the clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from ragindex_db.schema import provider_budgets

_b = provider_budgets.c


def set_limits(
    connection: Connection, provider: str, model: str, *, tokens_per_minute: int, requests_per_minute: int
) -> None:
    limits = {"tokens_per_minute": tokens_per_minute, "requests_per_minute": requests_per_minute}
    statement = insert(provider_budgets).values(
        provider=provider,
        model=model,
        tokens=tokens_per_minute,
        requests=requests_per_minute,
        refilled_at=sa.func.now(),
        **limits,
    )
    connection.execute(statement.on_conflict_do_update(index_elements=[_b.provider, _b.model], set_=limits))


def take(connection: Connection, provider: str, model: str, tokens: int) -> float:
    """Take one request of ``tokens``, when there is room: 0.0 then, else the seconds until there will be.

    A model without limits always has room. A request larger than a whole minute's tokens goes when the bucket is full.
    """
    row = connection.execute(
        sa.select(
            provider_budgets,
            sa.extract("epoch", sa.func.clock_timestamp() - _b.refilled_at).label("elapsed"),
            sa.extract("epoch", _b.throttled_until - sa.func.clock_timestamp()).label("closed"),
        )
        .where(_b.provider == provider, _b.model == model)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return 0.0
    if row.closed is not None and row.closed > 0:
        return float(row.closed)
    elapsed = max(float(row.elapsed), 0.0)
    in_tokens, token_wait = _refill(row.tokens, row.tokens_per_minute, elapsed, min(tokens, row.tokens_per_minute))
    in_requests, request_wait = _refill(row.requests, row.requests_per_minute, elapsed, 1)
    wait = max(token_wait, request_wait)
    if wait > 0:
        return wait
    connection.execute(
        sa.update(provider_budgets)
        .where(_b.provider == provider, _b.model == model)
        .values(tokens=in_tokens, requests=in_requests, refilled_at=sa.func.clock_timestamp())
    )
    return 0.0


def _refill(level: float, per_minute: int, elapsed: float, wanted: float) -> tuple[float, float]:
    """What would be left, and the seconds to wait first when that is too little. No limit is written as 0."""
    if per_minute == 0:
        return level, 0.0
    now = min(level + elapsed * per_minute / 60, per_minute)
    missing = wanted - now
    return now - wanted, max(missing * 60 / per_minute, 0.0)


def throttled(connection: Connection, provider: str, model: str, seconds: float) -> None:
    """The provider said no: nobody asks again before."""
    until = sa.func.clock_timestamp() + timedelta(seconds=seconds)
    statement = insert(provider_budgets).values(
        provider=provider,
        model=model,
        tokens_per_minute=0,
        requests_per_minute=0,
        tokens=0,
        requests=0,
        refilled_at=sa.func.now(),
        throttled_until=until,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_b.provider, _b.model],
            set_={"throttled_until": sa.func.greatest(_b.throttled_until, statement.excluded.throttled_until)},
        )
    )


def throttled_until(connection: Connection, provider: str, model: str) -> datetime | None:
    """The moment the provider may be asked again, while that lies ahead."""
    return connection.execute(
        sa.select(_b.throttled_until).where(
            _b.provider == provider, _b.model == model, _b.throttled_until > sa.func.clock_timestamp()
        )
    ).scalar_one_or_none()
