"""A revision takes all documents into its queue while one of them is deleted: that one is in no queue."""

from __future__ import annotations

import threading

import sqlalchemy as sa
from tests.integration.engine.conftest import Engine
from tests.integration.faults.world import eventually

from ragindex_db import documents, revisions, schema


def somebody_waits(engine: Engine) -> bool:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with engine.database.begin() as connection:
        return bool(connection.execute(waiting).scalar_one())


def test_what_is_deleted_meanwhile_is_not_queued(engine: Engine) -> None:
    engine.write("kept.md", "# Kept\n\nThe crane is red.")
    engine.write("gone.md", "# Gone\n\nThe crane is blue.")
    engine.settle()
    queued, of = schema.revision_documents, schema.documents.c
    with engine.database.begin() as connection:
        connection.execute(sa.delete(queued))
        ids = {row[0]: row[1] for row in connection.execute(sa.select(of.key, of.id))}
        [revision] = revisions.list_kept(connection, engine.row.id)
    taking = threading.Thread(target=engine.database.run, args=(revisions.enqueue_all, revision, engine.row.namespace))
    with engine.database.begin() as connection:
        documents.delete(connection, engine.row.id, [ids["gone.md"]])
        taking.start()
        eventually("the queue waits for the delete", lambda: somebody_waits(engine))
    taking.join()
    with engine.database.begin() as connection:
        assert list(connection.execute(sa.select(queued.c.document_id)).scalars()) == [ids["kept.md"]]
