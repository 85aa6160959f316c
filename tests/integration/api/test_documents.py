"""Documents over HTTP: sent, listed, read, waited for, and taken out with proof."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from tests.integration.api.library import Library, Service

from ragindex_api.wire.documents import DeletedDocument, DocumentList, DocumentOut, UploadAccepted
from ragindex_db import documents, queue, schema, uploads
from ragindex_db.indexes import IndexRow

DOCUMENTS = "/v1/indexes/hr/handbook/documents"


def send(api: httpx2.Client, name: str, data: bytes, **headers: str) -> httpx2.Response:
    return api.post(
        DOCUMENTS, params={"filename": name}, content=data, headers={"content-type": "text/plain", **headers}
    )


def send_form(api: httpx2.Client, name: str, data: bytes, metadata: Any = None, **params: str) -> httpx2.Response:
    fields = {} if metadata is None else {"metadata": json.dumps(metadata)}
    return api.post(DOCUMENTS, params=params, files={"file": (name, data, "text/plain")}, data=fields)


@pytest.fixture
def index(library: Library) -> IndexRow:
    index = library.index()
    library.revision(index)
    return index


class TestSending:
    def test_as_a_form_with_metadata(self, api: httpx2.Client, index: IndexRow, library: Library) -> None:
        response = send_form(api, "notes/a.txt", b"The lighthouse is red.", {"year": 2024, "tags": ["sea"]})
        assert response.status_code == 202, response.text
        receipt = UploadAccepted.model_validate(response.json())
        assert receipt.sha256 == hashlib.sha256(b"The lighthouse is red.").hexdigest()
        assert receipt.document.state == "Pending"
        assert receipt.document.uri.endswith("notes/a.txt")
        assert response.headers["location"] == f"{DOCUMENTS}/{receipt.document.id}"
        library.work(index, {int(receipt.document.id): "The lighthouse is red."})
        found = api.post(
            "/v1/indexes/hr/handbook/search",
            json={"query": "lighthouse", "filter": {"equals": {"key": "year", "value": 2024}}},
        ).json()
        assert [result["metadata"]["tags"] for result in found["results"]] == [["sea"]]

    def test_a_large_number_comes_back(self, api: httpx2.Client, index: IndexRow, library: Library) -> None:
        sent = send_form(api, "a.txt", b"red", {"big": 1e300, "whole": 2**60})
        assert sent.status_code == 202, sent.text
        library.work(index, {int(sent.json()["document"]["id"]): "red"})
        assert api.get(sent.headers["location"]).json()["metadata"] == {"big": 1e300, "whole": 2**60}
        found = api.post("/v1/indexes/hr/handbook/search", json={"query": "red"}).json()
        assert found["results"][0]["metadata"]["big"] == 1e300

    def test_a_number_that_would_lose_digits_is_refused(self, api: httpx2.Client, index: IndexRow) -> None:
        for number in (2**53 + 1, 10**400):
            response = send_form(api, "a.txt", b"red", {"big": number})
            assert response.status_code == 422
            assert [error["field"] for error in response.json()["errors"]] == ["metadata.big"]

    def test_metadata_may_follow_the_file(self, api: httpx2.Client, index: IndexRow, library: Library) -> None:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nred\r\n'
            b'--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"year": 1}\r\n--x--\r\n'
        )
        sent = api.post(DOCUMENTS, content=body, headers={"content-type": "multipart/form-data; boundary=x"})
        assert sent.status_code == 202, sent.text
        [claim] = library.database.run(queue.claim, "test", 10)
        assert claim.source_metadata == {"year": 1}

    @pytest.mark.parametrize(
        ("params", "headers"),
        [
            pytest.param({"filename": "a b.txt"}, {}, id="named in the query"),
            pytest.param({}, {"content-disposition": 'attachment; filename="a b.txt"'}, id="named in a header"),
            pytest.param({}, {"content-disposition": "attachment; filename*=UTF-8''a%20b.txt"}, id="named in UTF-8"),
        ],
    )
    def test_as_the_bytes_themselves(
        self, api: httpx2.Client, index: IndexRow, params: dict[str, str], headers: dict[str, str]
    ) -> None:
        response = api.post(DOCUMENTS, params=params, content=b"red", headers=headers)
        assert response.json()["document"]["uri"].endswith("/a b.txt")

    def test_bytes_come_back_as_they_were_sent(self, api: httpx2.Client, index: IndexRow, library: Library) -> None:
        data = os.urandom(2 * 1024 * 1024 + 17)
        assert send(api, "a.bin", data).status_code == 202
        [claim] = library.database.run(queue.claim, "test", 10)
        assert claim.upload_id is not None
        parts = [library.database.run(uploads.part, claim.upload_id, number) for number in range(4)]
        assert parts[3] is None
        assert b"".join(part or b"" for part in parts) == data

    def test_a_second_of_the_same_name_takes_the_firsts_place(self, api: httpx2.Client, index: IndexRow) -> None:
        first, second = send(api, "a.txt", b"red"), send(api, "a.txt", b"blue")
        assert first.json()["document"]["id"] == second.json()["document"]["id"]
        assert len(api.get(DOCUMENTS).json()["documents"]) == 1


class TestIdempotency:
    KEY = {"idempotency-key": "k-1"}  # noqa: RUF012

    def test_the_same_again_is_the_same_document(self, api: httpx2.Client, index: IndexRow) -> None:
        first, again = send(api, "a.txt", b"red", **self.KEY), send(api, "a.txt", b"red", **self.KEY)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        assert first.json()["document"]["id"] == again.json()["document"]["id"]

    @pytest.mark.parametrize(("name", "data"), [("a.txt", b"blue"), ("b.txt", b"red")])
    def test_something_else_under_the_same_key_is_a_conflict(
        self, api: httpx2.Client, index: IndexRow, name: str, data: bytes
    ) -> None:
        send(api, "a.txt", b"red", **self.KEY)
        assert send(api, name, data, **self.KEY).status_code == 409

    def test_a_late_repetition_does_not_bring_back_what_was_replaced(
        self, api: httpx2.Client, index: IndexRow, library: Library
    ) -> None:
        send(api, "a.txt", b"red", **self.KEY)
        assert send(api, "a.txt", b"blue").status_code == 202
        again = send(api, "a.txt", b"red", **self.KEY)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        current = library.database.run(uploads.current, index.id, "uploads", "a.txt")
        assert current is not None
        assert library.database.run(uploads.part, current.id, 0) == b"blue"

    def test_a_late_repetition_does_not_bring_back_what_was_deleted(
        self, api: httpx2.Client, index: IndexRow, library: Library
    ) -> None:
        document = send(api, "a.txt", b"red", **self.KEY).json()["document"]["id"]
        assert api.delete(f"{DOCUMENTS}/{document}").is_success
        again = send(api, "a.txt", b"red", **self.KEY)
        assert again.status_code == 404
        assert again.json()["deleted_at"]
        assert api.get(DOCUMENTS).json()["documents"] == []
        with library.database.begin() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(schema.upload_parts)).scalar_one() == 0
        library.database.run(uploads.sweep, timedelta())
        assert send(api, "a.txt", b"red", **self.KEY).status_code == 202, "a key is known for a day"

    def test_the_same_at_the_same_time_makes_one_document(self, api: httpx2.Client, index: IndexRow) -> None:
        answers: list[httpx2.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(send(api, "a.txt", b"red" * 500_000, **self.KEY)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} <= {200, 202}
        assert len({answer.json()["document"]["id"] for answer in answers}) == 1


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", ["../a.txt", "/etc/passwd", "a//b", "", ".", "x" * 1001])
    def test_a_name_that_is_no_relative_path(self, reading: httpx2.Client, name: str) -> None:
        response = send_form(reading, name, b"red") if name else reading.post(DOCUMENTS, content=b"red")
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] in ("file", "filename")

    @pytest.mark.parametrize(
        ("metadata", "field"),
        [({"a": {"b": 1}}, "metadata.a"), ([1], "metadata"), ({"a": [1]}, "metadata.a"), ({"": 1}, "metadata.")],
    )
    def test_metadata_of_another_shape(self, reading: httpx2.Client, metadata: Any, field: str) -> None:
        response = send_form(reading, "a.txt", b"red", metadata)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)

    def test_a_form_field_nobody_knows(self, reading: httpx2.Client) -> None:
        response = reading.post(DOCUMENTS, files={"file": ("a.txt", b"red")}, data={"title": "A"})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "title")

    def test_an_empty_document(self, reading: httpx2.Client) -> None:
        assert send(reading, "a.txt", b"").status_code == 422

    @pytest.mark.parametrize("told", [True, False])
    def test_more_than_the_index_takes(self, api: httpx2.Client, index: IndexRow, library: Library, told: bool) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(8):
                yield b"x" * 500_000

        response = (
            send(api, "a.txt", b"x" * 4_000_000)
            if told
            else api.post(DOCUMENTS, params={"filename": "a.txt"}, content=pieces())
        )
        assert response.status_code == 413
        assert library.parts() == 0

    def test_an_index_without_a_source_for_it(self, api: httpx2.Client, library: Library) -> None:
        library.revision(library.index(sources=[{"name": "files", "directory": {"path": "files"}}]))
        assert send(api, "a.txt", b"red").status_code == 409


class TestWaiting:
    def test_the_answer_comes_when_the_document_is_indexed(
        self, api: httpx2.Client, index: IndexRow, library: Library
    ) -> None:
        def work() -> None:
            while not (found := library.database.run(documents.page, index.id, None)):
                threading.Event().wait(0.02)
            library.work(index, {found[0].id: "red"})

        worker = threading.Thread(target=work)
        worker.start()
        response = send_form(api, "a.txt", b"red", wait="indexed")
        worker.join()
        assert (response.status_code, response.json()["document"]["state"]) == (201, "Indexed")

    def test_a_suspended_index_takes_it_and_does_not_keep_anyone_waiting(
        self, api: httpx2.Client, index: IndexRow, library: Library
    ) -> None:
        library.index_suspended(index)
        response = send_form(api, "a.txt", b"red", wait="indexed")
        assert (response.status_code, response.json()["document"]["state"]) == (202, "Pending")


class TestReading:
    def test_pages_are_as_long_as_asked_and_lead_on(self, api: httpx2.Client, handbook: IndexRow) -> None:
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = api.get(DOCUMENTS, params={"limit": 2, **after}).json()
            DocumentList.model_validate(page)
            seen += [document["uri"].rpartition("/")[2] for document in page["documents"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert seen == ["leave.txt", "expenses.txt", "security.txt"]

    def test_only_those_in_a_state(self, api: httpx2.Client, handbook: IndexRow) -> None:
        send(api, "new.txt", b"red")
        pending = api.get(DOCUMENTS, params={"state": "Pending"}).json()["documents"]
        assert [document["source"] for document in pending] == ["uploads"]

    @pytest.mark.parametrize(
        "params", [{"state": "Lost"}, {"limit": 0}, {"limit": 1001}, {"after": "x"}, {"sort": "a"}]
    )
    def test_a_query_that_breaks_a_rule_names_its_parameter(
        self, reading: httpx2.Client, params: dict[str, Any]
    ) -> None:
        response = reading.get(DOCUMENTS, params=params)
        assert (response.status_code, [e["field"] for e in response.json()["errors"]]) == (422, list(params))

    def test_the_text_is_plain_and_of_the_version_asked_for(
        self, api: httpx2.Client, handbook: IndexRow, library: Library
    ) -> None:
        document = api.get(DOCUMENTS).json()["documents"][0]
        path = f"{DOCUMENTS}/{document['id']}/content"
        text = api.get(path)
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.text.startswith("Annual leave")
        assert api.get(path, params={"version": document["version"]}).text == text.text
        assert api.get(path, params={"version": "0" * 16}).status_code == 410

    @pytest.mark.parametrize("document_id", ["999999", "x", "1" * 30, "-1"])
    def test_a_document_that_never_was(self, reading: httpx2.Client, document_id: str) -> None:
        assert reading.get(f"{DOCUMENTS}/{document_id}").status_code == 404

    def test_a_document_of_another_index_is_not_there(
        self, api: httpx2.Client, handbook: IndexRow, library: Library
    ) -> None:
        other = library.index("other")
        library.revision(other)
        theirs = library.document(other, "secret.txt", "A secret.")
        assert api.get(f"{DOCUMENTS}/{theirs}").status_code == 404
        assert api.get(f"{DOCUMENTS}/{theirs}/content").status_code == 404


class TestDeleting:
    def test_an_upload_is_gone_from_everywhere_and_stays_provably_so(
        self, api: httpx2.Client, index: IndexRow, library: Library
    ) -> None:
        document = send(api, "a.txt", b"The lighthouse is red.").json()["document"]
        library.work(index, {int(document["id"]): "The lighthouse is red."})
        gone = api.delete(f"{DOCUMENTS}/{document['id']}")
        assert gone.status_code == 200
        assert DeletedDocument.model_validate(gone.json()).remaining_chunks == 0
        proof = api.get(f"{DOCUMENTS}/{document['id']}")
        assert proof.status_code == 404
        assert (proof.json()["deleted_at"], proof.json()["remaining_chunks"]) == (gone.json()["deleted_at"], 0)
        assert api.get(f"{DOCUMENTS}/{document['id']}/content").status_code == 410
        assert api.post("/v1/indexes/hr/handbook/search", json={"query": "lighthouse"}).json()["results"] == []
        assert api.delete(f"{DOCUMENTS}/{document['id']}").status_code == 404

    def test_a_document_of_another_source_would_return(self, api: httpx2.Client, handbook: IndexRow) -> None:
        document = api.get(DOCUMENTS).json()["documents"][0]
        DocumentOut.model_validate(document)
        assert api.delete(f"{DOCUMENTS}/{document['id']}").status_code == 409


def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    service: Service, index: IndexRow, library: Library, api: httpx2.Client
) -> None:
    with socket.create_connection(("127.0.0.1", service.server.port)) as connection:
        head = f"POST {DOCUMENTS}?filename=a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 2500000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 2_000_000)
        for _ in range(100):
            if library.parts():
                break
            threading.Event().wait(0.02)
    for _ in range(100):
        if not library.parts():
            break
        threading.Event().wait(0.02)
    assert library.parts() == 0
    assert api.get(DOCUMENTS).json()["documents"] == []
