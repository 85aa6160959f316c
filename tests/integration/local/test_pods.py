"""The pods of a cluster's Jobs: what each does, when it ends and with what code, and that the catalogue stays right
whenever one is stopped or killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from tests.integration.engine.conftest import Engine, engine
from tests.integration.faults.intact import check_intact
from tests.integration.local.pods import (
    EMBED,
    LIST,
    Pod,
    Pods,
    all_runs,
    another_sealer,
    claim_run,
    leases,
    states,
    unsealed,
)
from tests.integration.local.running import eventually

from ragindex_core.errors import Unavailable
from ragindex_core.object.revision import inputs_key
from ragindex_db import config_maps, indexes, schema, search, signals
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_local import worker_process
from ragindex_local.worker_process import WorkerOptions
from ragindex_operator.capabilities import Capabilities
from ragindex_providers.testing.openai_server import FakeOpenAIServer, Fault
from ragindex_worker.steps import Steps

__all__ = ["engine"]

DONE, MISCONFIGURED, STOPPED = 0, 42, 143
DOCUMENTS = 40


@pytest.fixture
def provider() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer() as server:
        yield server


@pytest.fixture
def pods(engine: Engine, database_url: str, provider: FakeOpenAIServer) -> Iterator[Pods]:
    engine.document["spec"]["sources"] = [{"name": "files", "directory": {"path": "files"}}]
    pods = Pods(engine, database_url, provider)
    yield pods
    pods.close()


@pytest.fixture
def registered(engine: Engine, pods: Pods) -> Engine:
    """An object with documents of which nobody has looked at one yet."""
    fill(engine, range(DOCUMENTS))
    engine.reconcile()
    return engine


@pytest.fixture
def listed(registered: Engine) -> Engine:
    """All its documents wait."""
    registered.sync_only()
    registered.reconcile()
    assert states(registered.database) == {"Pending": DOCUMENTS}
    return registered


def fill(engine: Engine, numbers: range) -> None:
    for n in numbers:
        engine.write(f"{n:03}.md", f"# Number {n}\n\nThe keeper of tower {n} is called keeper{n}.\n")


def leases_run_out(database: Database) -> None:
    past = {"lease_until": sa.func.now() - timedelta(days=1)}
    with database.begin() as connection:
        rd, run = schema.revision_documents, schema.sync_runs
        held = sa.update(rd).where(rd.c.state == "Processing")
        connection.execute(held.values(**past, next_attempt_at=sa.func.now() - timedelta(days=1)))
        connection.execute(sa.update(run).where(run.c.state == "Running").values(**past))
        signals.send(connection, "worker")  # else who waits knows only of the time that was


def suspend(engine: Engine) -> None:
    engine.edit(suspend=True)
    engine.reconcile()


class TestListing:
    def test_carries_out_the_run_that_waits_and_embeds_nothing(self, registered: Engine, pods: Pods) -> None:
        [waiting] = all_runs(registered)
        assert pods.run(*LIST) == DONE
        [run] = all_runs(registered)
        assert (run.id, run.state, run.sources["files"]["added"]) == (waiting.id, "Succeeded", DOCUMENTS)
        assert states(registered.database) == {"Pending": DOCUMENTS}

    def test_asks_for_a_run_itself_when_none_waits(self, listed: Engine, pods: Pods) -> None:
        fill(listed, range(DOCUMENTS, DOCUMENTS + 2))
        assert pods.run(*LIST) == DONE
        run = all_runs(listed)[0]
        assert (run.trigger, run.state, run.sources["files"]["added"]) == ("Scheduled", "Succeeded", 2)
        assert run.inputs == inputs_key(listed.wanted.spec)

    def test_such_a_run_is_for_what_the_operator_follows(self, listed: Engine, pods: Pods) -> None:
        with listed.database.begin() as connection:
            connection.execute(sa.update(schema.indexes).values(inputs="spec-and-more"))
        assert pods.run(*LIST) == DONE
        assert all_runs(listed)[0].inputs == "spec-and-more"

    def test_leaves_a_run_to_the_process_that_is_at_it(self, registered: Engine, pods: Pods) -> None:
        held = claim_run(registered)
        assert pods.run(*LIST) == DONE
        [run] = all_runs(registered)
        assert (run.state, run.lease_token) == ("Running", held.lease_token)

    def test_takes_over_the_run_of_one_that_was_killed(self, registered: Engine, pods: Pods) -> None:
        with listing_held_up(registered, pods) as pod:
            pod.process.kill()
        pod.end()
        leases_run_out(registered.database)
        assert pods.run(*LIST) == DONE
        assert {run.state for run in all_runs(registered)} == {"Succeeded"}
        assert states(registered.database) == {"Pending": DOCUMENTS}

    def test_gives_the_run_back_when_it_is_stopped(self, registered: Engine, pods: Pods) -> None:
        with listing_held_up(registered, pods) as pod:
            pod.process.send_signal(signal.SIGTERM)
        assert pod.end() == STOPPED
        [run] = all_runs(registered)
        assert (run.state, run.lease_token) == ("Pending", None)

    def test_books_what_was_deleted_when_nobody_embeds_after_it(self, listed: Engine, pods: Pods) -> None:
        listed.work_due()
        for n in range(DOCUMENTS // 2):
            (listed.files / f"{n:03}.md").unlink()
        assert pods.run(*LIST) == DONE
        removed = listed.serving.tables.keyword.removed
        with listed.database.begin() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(removed)).scalar_one() == 0


@contextmanager
def listing_held_up(engine: Engine, pods: Pods) -> Iterator[Pod]:
    """A pod that is at a run, and can write nothing for the time being."""
    with engine.database.begin() as connection:
        connection.execute(sa.text("LOCK TABLE ragindex.documents IN EXCLUSIVE MODE"))
        pod = pods.start(*LIST)
        eventually("it lists", lambda: all_runs(engine)[0].state == "Running")
        yield pod


class TestEmbedding:
    def test_ends_when_all_is_indexed_and_sealed(self, listed: Engine, pods: Pods) -> None:
        assert pods.run(*EMBED) == DONE
        assert unsealed(listed) == (DOCUMENTS, 0), "so few chunks stay in the head for good"
        check_intact(listed.database, listed.serving, DOCUMENTS)

    def test_carries_out_no_run(self, registered: Engine, pods: Pods) -> None:
        assert pods.run(*EMBED) == DONE
        assert [run.state for run in all_runs(registered)] == ["Pending"]

    def test_leaves_no_long_tail_to_be_sealed(self, listed: Engine, pods: Pods) -> None:
        fill(listed, range(DOCUMENTS, 100))
        search.build_vector_index(listed.database, listed.serving.tables, m=8, ef_construction=16)
        assert pods.run(*LIST) == DONE
        assert pods.run(*EMBED) == DONE
        assert unsealed(listed) == (0, 0)

    def test_does_not_end_before_another_has_sealed(self, listed: Engine, pods: Pods) -> None:
        with another_sealer(listed):
            pod = pods.start(*EMBED)
            eventually("all is written", lambda: states(listed.database) == {"Indexed": DOCUMENTS})
            with pytest.raises(TimeoutError):
                wait_shortly(pod.process.poll)
        assert pod.end() == DONE

    def test_several_share_the_work_and_one_killed_costs_nothing(self, listed: Engine, pods: Pods) -> None:
        pods.provider.faults.extend([Fault(delay_seconds=1.0)] * 3)
        group = [pods.start(*EMBED) for _ in range(3)]
        eventually("one has claimed", lambda: leases(listed.database) > 0)
        group[0].process.kill()
        assert group[0].end() == -signal.SIGKILL
        leases_run_out(listed.database)
        assert [pod.end() for pod in group[1:]] == [DONE, DONE]
        check_intact(listed.database, listed.serving, DOCUMENTS)

    def test_waits_for_what_others_hold_and_takes_it_when_they_fall(self, listed: Engine, pods: Pods) -> None:
        pods.provider.faults.append(Fault(delay_seconds=60))
        holder = pods.start(*EMBED)
        eventually("it holds some", lambda: leases(listed.database) > 0)
        waiting = pods.start(*EMBED)
        eventually("the rest is done", lambda: states(listed.database).get("Indexed", 0) >= DOCUMENTS - 16)
        with pytest.raises(TimeoutError):
            wait_shortly(waiting.process.poll)
        holder.process.kill()
        leases_run_out(listed.database)
        assert waiting.end() == DONE
        check_intact(listed.database, listed.serving, DOCUMENTS)

    def test_gives_its_claims_back_when_it_is_stopped(self, listed: Engine, pods: Pods) -> None:
        pods.provider.faults.extend([Fault(delay_seconds=1.0)] * 2)
        pod = pods.start(*EMBED)
        eventually("it has claimed", lambda: leases(listed.database) > 0)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.end() == STOPPED
        assert leases(listed.database) == 0
        assert states(listed.database)["Pending"] > 0
        assert pods.run(*EMBED) == DONE
        check_intact(listed.database, listed.serving, DOCUMENTS)


def wait_shortly(ended: object) -> None:
    """Raises TimeoutError when it did not come to an end within a second."""
    assert callable(ended)
    try:
        eventually("it ends", lambda: ended() is not None, seconds=1.0)
    except AssertionError as error:
        raise TimeoutError from error


@pytest.mark.parametrize("arguments", [LIST, EMBED])
class TestNothingToDo:
    def test_a_suspended_index(self, listed: Engine, pods: Pods, arguments: tuple[str, ...]) -> None:
        suspend(listed)
        assert pods.run(*arguments) == DONE
        assert len(all_runs(listed)) == 1
        assert states(listed.database) == {"Pending": DOCUMENTS}

    @pytest.mark.usefixtures("registered")
    def test_an_index_that_is_deleted(self, pods: Pods, arguments: tuple[str, ...]) -> None:
        assert pods.run(*arguments, index="default/gone") == DONE
        pods.last.await_log("there is no such index any more")

    def test_an_index_that_is_retained(self, listed: Engine, pods: Pods, arguments: tuple[str, ...]) -> None:
        listed.database.run(indexes.retain, listed.row.id)
        assert pods.run(*arguments) == DONE
        assert states(listed.database) == {"Pending": DOCUMENTS}


class TestWhatTryingAgainCannotMend:
    def test_a_missing_variable(self, pods: Pods) -> None:
        assert pods.run(*EMBED, RAGINDEX_DATABASE_URL=None) == MISCONFIGURED
        assert "RAGINDEX_DATABASE_URL is not set" in "".join(pods.last.said)

    def test_settings_that_cannot_be_read(self, pods: Pods) -> None:
        assert pods.run(*LIST, RAGINDEX_ENDPOINTS="{") == MISCONFIGURED

    def test_a_provider_that_is_not_there(self, listed: Engine, pods: Pods) -> None:
        assert pods.run(*EMBED, RAGINDEX_ENDPOINTS="{}") == MISCONFIGURED
        assert "no OpenAI-compatible endpoint is configured" in "".join(pods.last.said)
        assert states(listed.database) == {"Pending": DOCUMENTS}
        assert leases(listed.database) == 0

    def test_a_provider_that_refuses_whatever_it_is_asked(self, listed: Engine, pods: Pods) -> None:
        pods.provider.faults.extend([Fault(status=401, message="wrong key")] * 100)
        assert pods.run(*EMBED) == MISCONFIGURED
        assert states(listed.database) == {"Pending": DOCUMENTS}

    def test_what_works_is_done_first(self, listed: Engine, pods: Pods) -> None:
        """The new revision's provider is not there; documents of the one that serves go on."""
        listed.work_due()
        listed.reconcile()
        serving = listed.serving.id
        listed.edit(embedding={"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384})
        fill(listed, range(DOCUMENTS, DOCUMENTS + 5))
        listed.reconcile()
        assert pods.run(*LIST) == DONE
        listed.reconcile()
        files = {"RAGINDEX_LOCAL_MODELS": '{"all-minilm-l6-v2": {"folder": "/nowhere"}}'}
        assert pods.run(*EMBED, **files) == MISCONFIGURED
        rd = schema.revision_documents
        with listed.database.begin() as connection:
            done = sa.select(sa.func.count()).where(rd.c.revision_id == serving, rd.c.state == "Indexed")
            assert connection.execute(done).scalar_one() == DOCUMENTS + 5


class TestDatabaseAway:
    def test_waits_for_it_when_it_starts(self, listed: Engine, pods: Pods, database: Database) -> None:
        name, away = listed.database.engine.url.database, "elsewhere"
        listed.database.engine.dispose()
        server = pods.url.rpartition("/")[0] + "/postgres"
        rename(server, str(name), away)
        try:
            pod = pods.start(*EMBED)
            pod.await_log("waiting for the database")
        finally:
            rename(server, away, str(name))
        assert pod.end() == DONE
        assert states(database) == {"Indexed": DOCUMENTS}

    def test_gives_up_when_it_stays_away(self, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = Database(DatabaseSettings(url=pods.url.rpartition("/")[0] + "/nowhere"))
        monkeypatch.setattr(worker_process, "_PAUSES_AT_START", (0.01, 0.01))
        with pytest.raises(Unavailable):
            worker_process._find(nowhere, WorkerOptions(index="default/notes", drain=True), "test", Steps())
        nowhere.close()


_RENAME = sql.SQL("ALTER DATABASE {name} RENAME TO {to}")


def rename(url: str, name: str, to: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_RENAME.format(name=sql.Identifier(name), to=sql.Identifier(to)))


def test_a_config_map_is_listed_and_followed(engine: Engine, pods: Pods) -> None:
    engine.document["spec"]["sources"] = [{"name": "notes", "configMap": {"name": "hr-notes"}}]
    engine.reconciler.capabilities = Capabilities(sources=frozenset({"configMap"}))
    engine.reconcile()

    def mirror(version: str | None, **entries: str) -> None:
        content = {f"{name}.md": text.encode() for name, text in entries.items()}
        engine.database.run(config_maps.mirror, engine.row.id, "notes", "hr-notes", version, content)

    def ran() -> dict[str, object]:
        assert pods.run(*LIST) == DONE
        engine.reconcile()
        assert pods.run(*EMBED) == DONE
        run = all_runs(engine)[0]
        counts = run.sources["notes"]
        return {"reason": run.reason, **{name: counts[name] for name in ("added", "changed", "removed")}}

    mirror("1", a="The keeper of tower one.", b="The keeper of tower two.")
    assert ran() == {"reason": None, "added": 2, "changed": 0, "removed": 0}
    mirror("2", b="The keeper of tower three.", c="The keeper of tower four.")
    assert ran() == {"reason": None, "added": 1, "changed": 1, "removed": 1}
    mirror(None)
    assert ran() == {"reason": "SourceUnavailable", "added": 0, "changed": 0, "removed": 0}
    assert "ConfigMap hr-notes in namespace default" in str(all_runs(engine)[0].message)
    assert sorted(engine.documents()) == ["b.md", "c.md"]
    assert {row.state for row in engine.documents().values()} == {"Indexed"}
