"""Clients that mean ill: slow, endless, malformed, many, gone. Memory stays, others are served, nothing is left over.

The figures show with ``pytest -s``.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg import sql
from tests.integration.api.conftest import fill
from tests.integration.api.library import Library
from tests.integration.attack.attacked import ANSWER, DOCUMENTS, SEARCH, Attacked, closed, eventually, started

from ragindex_db.engine import Database, DatabaseSettings

MIB = 1024 * 1024
LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
READERS, LEAVERS = (200, 500) if LONG else (20, 25)


@pytest.fixture(scope="module")
def attacked(server_url: str, template: str) -> Iterator[Attacked]:
    """One process for all of these: what one attack leaves behind, the next one finds."""
    name = f"attacked_{uuid.uuid4().hex[:12]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    url = f"{server_url}/{name}"
    database = Database(DatabaseSettings(url=url))
    fill(Library(database))
    database.close()
    service = started(url)
    with service.process as process:
        for _ in range(20):
            service.search()
        yield service
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture(autouse=True)
def _nothing_is_left_over(attacked: Attacked) -> Iterator[None]:
    before = attacked.held()
    yield
    eventually("its connections are closed", lambda: attacked.held()["connections"] == 0)
    eventually("its requests are over", lambda: attacked.held()["in_flight"] == 0)
    eventually("its tasks are over", lambda: attacked.held()["tasks"] <= before["tasks"])
    eventually("its database sessions are idle", lambda: attacked.busy_sessions() == 0)


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    head = [b"POST %b HTTP/1.1" % path.encode(), b"Host: localhost", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*head, b"", body])


def test_a_thousand_connections_that_say_nothing(attacked: Attacked) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    try:
        with attacked.measured("1,100 idle connections", 60), attacked.connected(1100) as connections:
            assert attacked.search() > 0
            eventually("all are closed", lambda: all(map(closed, connections)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def test_heads_that_come_a_byte_at_a_time(attacked: Attacked) -> None:
    with (
        attacked.measured("200 slow heads", 30),
        attacked.connected(200, b"GET /healthz HTTP/1.1\r\nX-Slow: ") as connections,
    ):
        attacked.search()

        def all_closed_though_they_send() -> bool:
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b"a")
            return all(map(closed, connections))

        eventually("all are closed", all_closed_though_they_send)


@pytest.mark.parametrize(
    "piece", [b"a" * 65536, b"X-A: %b\r\n" % (b"b" * 1000) * 64], ids=["in one header", "in many headers"]
)
def test_a_head_without_end(attacked: Attacked, piece: bytes) -> None:
    with attacked.measured("64 MiB of head", 20), attacked.connect(b"GET / HTTP/1.1\r\nX-A: a") as connection:
        sent = 0
        try:
            while sent < 64 * MIB:
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        assert sent < 8 * MIB, "it hangs up long before"


def test_a_head_of_more_than_32_kib_is_refused_however_it_comes(attacked: Attacked) -> None:
    long = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
    assert attacked.answer(long % b"") == 200
    assert attacked.answer(long % (b"X-A: " + b"a" * 30_000 + b"\r\n")) == 200
    assert attacked.answer(long % (b"X-A: " + b"a" * 33_000 + b"\r\n")) == 400
    assert attacked.answer(b"GET /healthz?" + b"a" * 33_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") == 400


def test_bodies_without_end(attacked: Attacked) -> None:
    with attacked.measured("bodies without end", 30):
        assert attacked.answer(post(SEARCH, b"", b"Content-Length: 99999999999")) == 413
        assert attacked.answer(post(SEARCH, b"10000\r\n" + b"a" * 65536 + b"\r\n" + b"0fffffff\r\n" + b"a" * 2 * MIB, b"Transfer-Encoding: chunked")) == 413  # fmt: skip  # noqa: E501
        upload = post(f"{DOCUMENTS}?filename=a.txt", b"", b"Content-Length: 99999999999")
        assert attacked.answer(upload) == 413


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(SEARCH, b"zz\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), id="no number"),
        pytest.param(post(SEARCH, b"-1\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), id="a negative number"),
        pytest.param(post(SEARCH, b"ffffffffffffffffff\r\n{}", b"Transfer-Encoding: chunked"), id="too large a number"),
        pytest.param(post(SEARCH, b"1\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), id="a wrong length"),
        pytest.param(post(SEARCH, b"0\r\n\r\n", b"Transfer-Encoding: chunked", b"Content-Length: 2"), id="two lengths"),
        pytest.param(post(SEARCH, b"{}", b"Content-Length: 2", b"Content-Length: 9"), id="lengths that differ"),
        pytest.param(post(SEARCH, b"{}", b"Content-Length: -2"), id="a negative length"),
        pytest.param(post(SEARCH, b"{}", b"Transfer-Encoding: gzip"), id="an encoding nobody knows"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", id="NUL in a header"),
        pytest.param(b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", id="no UTF-8 in the path"),
        pytest.param(b"\0" * 65536, id="zeros"),
    ],
)
def test_what_is_no_http_is_refused(attacked: Attacked, sent: bytes) -> None:
    assert attacked.answer(sent) in (0, 400, 404, 415, 421, 422)
    attacked.search()


def test_bodies_that_come_too_slowly_are_given_up(attacked: Attacked) -> None:
    with (
        attacked.measured("100 slow bodies", 30),
        attacked.connected(100, post(SEARCH, b'{"query": "', b"Content-Length: 1000")) as connections,
    ):
        for connection in connections:
            connection.sendall(b"a")
        attacked.search()
        assert {connection.recv(4096).split(b" ", 2)[1] for connection in connections} == {b"400"}


def test_uploads_that_crawl_do_not_keep_others_out(attacked: Attacked) -> None:
    """They hold the few places there are for uploads, and never fall silent."""
    crawling = threading.Event()

    def crawl(connections: list[socket.socket]) -> None:
        while not crawling.wait(0.2):
            for connection in connections:
                try:
                    connection.sendall(b"a")
                except OSError:
                    continue

    head = post(f"{DOCUMENTS}?filename=crawl.txt", b"", b"Content-Length: 2000000")
    with attacked.measured("8 crawling uploads", 30), attacked.connected(8, head) as connections:
        thread = threading.Thread(target=crawl, args=(connections,))
        thread.start()
        try:
            status = attacked.answer(post(f"{DOCUMENTS}?filename=other.txt", b"words", b"Content-Length: 5"))
        finally:
            crawling.set()
            thread.join()
        assert status == 202


def test_readers_that_do_not_read(attacked: Attacked) -> None:
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    with (
        attacked.measured(f"{READERS} readers of 200 answers each", 120),
        attacked.connected(READERS, asked) as connections,
    ):
        attacked.search()
        eventually("they are given up", lambda: attacked.held()["connections"] == 0)
        assert all(map(closed, connections))


def test_clients_that_leave_amid_a_search_or_an_answer(attacked: Attacked) -> None:
    question = {"query": "annual leave", "top_k": 3}
    body = json.dumps(question).encode()
    asked = json.dumps({"question": "How many days of annual leave are there?", "stream": True}).encode()
    with attacked.measured(f"{2 * LEAVERS} clients that leave", 40):
        for _ in range(LEAVERS):
            attacked.connect(post(SEARCH, body, b"Content-Length: %d" % len(body))).close()
        for _ in range(LEAVERS):
            with attacked.connect(post(ANSWER, asked, b"Content-Length: %d" % len(asked))) as connection:
                assert connection.recv(1)
