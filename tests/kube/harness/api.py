"""The harness's own way to an API server: raw objects over HTTP, with the credentials of a kubeconfig."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import kubernetes.client
import kubernetes.config

Object = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
_WATCH_SECONDS = 20
_RETRY_SECONDS = 0.3


class ApiError(Exception):
    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
        self.status = response.status_code
        self.text = response.text


class Gone(Exception):
    """A watch has to begin anew."""


class Api:
    """Safe to share between threads."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        token = configuration.get_api_key_with_prefix("authorization") or configuration.get_api_key_with_prefix(
            "BearerToken"
        )
        self.server: str = configuration.host
        self.authority: str | None = configuration.ssl_ca_cert
        self._client = httpx2.Client(
            base_url=self.server,
            verify=context,
            headers={"Authorization": token} if token else {},
            timeout=httpx2.Timeout(_WATCH_SECONDS + 10, connect=5),
            limits=httpx2.Limits(max_connections=None),
            trust_env=False,
        )

    def close(self) -> None:
        self._client.close()

    def answers(self, path: str) -> bool:
        return self._client.get(path, timeout=2).is_success

    def get(self, path: str, **query: str | int) -> Object:
        return self._call("GET", path, query=query)

    def create(self, path: str, body: Object) -> Object:
        return self._call("POST", path, body)

    def replace(self, path: str, body: Object) -> Object:
        return self._call("PUT", path, body)

    def patch(self, path: str, body: Object, kind: str = "application/merge-patch+json") -> Object:
        return self._call("PATCH", path, body, kind)

    def delete(self, path: str, body: Object | None = None) -> Object:
        return self._call("DELETE", path, body)

    def watch(self, path: str, resource_version: str, **query: str | int) -> Iterator[tuple[str, Object]]:
        """Give what happens, as (type, object), until the server ends it; ``Gone`` when that is too long ago."""
        more = {"timeoutSeconds": _WATCH_SECONDS, **query, "watch": "true", "resourceVersion": resource_version}
        with self._client.stream("GET", path, params=more) as response:
            if response.status_code == httpx2.codes.GONE:
                raise Gone
            if response.is_error:
                response.read()
                raise ApiError(response)
            for line in response.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Gone(event["object"].get("message"))
                yield event["type"], event["object"]

    def until(self, path: str, condition: Callable[[Object], object], seconds: float = 30) -> Object:
        """Wait until an object is there and a condition holds for it; give the object."""
        seen = self._wait(path, lambda item: item is not None and condition(item), seconds)
        assert seen is not None
        return seen

    def until_gone(self, path: str, seconds: float = 30) -> None:
        self._wait(path, lambda item: item is None, seconds)

    def _wait(self, path: str, condition: Callable[[Object | None], object], seconds: float) -> Object | None:
        deadline = time.monotonic() + seconds
        seen: Object | None = None
        while (left := deadline - time.monotonic()) > 0:
            try:
                for seen in self._states(path, max(1, min(_WATCH_SECONDS, round(left)))):
                    if condition(seen):
                        return seen
            except (httpx2.TransportError, Gone):  # the API server may be away for a while
                time.sleep(_RETRY_SECONDS)
        raise AssertionError(f"{path} did not become what was waited for in {seconds} s: {json.dumps(seen)}")

    def _states(self, path: str, seconds: int) -> Iterator[Object | None]:
        """What an object is now, and what it becomes."""
        collection, _, name = path.rpartition("/")
        selector = f"metadata.name={name}"
        listed = self.get(collection, fieldSelector=selector)
        yield next(iter(listed["items"]), None)
        version = listed["metadata"]["resourceVersion"]
        for kind, item in self.watch(collection, version, fieldSelector=selector, timeoutSeconds=seconds):
            yield None if kind == "DELETED" else item

    def insist(self, unless: threading.Event, *call: Any) -> Object | None:
        """Ask until there is an answer; None when there is no such object any more, or the event was set."""
        while not unless.is_set():
            try:
                return self._call(*call)
            except ApiError as error:
                if error.status in (httpx2.codes.NOT_FOUND, httpx2.codes.CONFLICT):
                    return None
                if error.status in (httpx2.codes.BAD_REQUEST, httpx2.codes.UNPROCESSABLE_ENTITY):
                    raise
            except httpx2.TransportError:
                pass
            unless.wait(_RETRY_SECONDS)
        return None

    def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        kind: str = "application/json",
        query: Mapping[str, str | int] | None = None,
    ) -> Object:
        response = self._client.request(
            method,
            path,
            params=query,
            content=None if body is None else json.dumps(body),
            headers={} if body is None else {"Content-Type": kind},
        )
        if response.is_error:
            raise ApiError(response)
        found: Object = response.json()
        return found
