"""Where the API server is and who we are to it. Nothing else of the operator knows the Kubernetes client."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_kube_config
from kubernetes.config.incluster_config import InClusterConfigLoader
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from ragindex_core.errors import Misconfigured, Unavailable

#: After so long the API server ends a watch in due form, which proves as much as an event. Bookmarks come once a minute
#: at most, and not at all where nothing has changed since the version that the watch began from.
WATCH_SECONDS = 30

#: Seconds to connect and to wait for a byte. The client has no time-outs of its own: a half-open socket would hold a
#: thread for ever.
_TIMEOUT = Timeout(connect=5, read=30)
#: Longer than the API server lets a watch last: one that is silent for so long is dead.
_WATCH_TIMEOUT = Timeout(connect=5, read=WATCH_SECONDS + 10)

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ApiUnavailable(Unavailable):
    """The API server was not reached, went away while it answered, or asks us to come back later."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """``load`` reads address and credentials anew: at the start, and when the API server no longer knows us."""

    def __init__(self, load: Callable[[], Configuration]) -> None:
        self._load = load
        self._renewing = threading.Lock()
        self._client = self._new_client()

    @classmethod
    def found(cls, kubeconfig: Path | None = None) -> Connection:
        """The kubeconfig given; else that of the pod we are in; else the default one."""
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ and (_SERVICE_ACCOUNT / "token").exists():
            return cls.of_service_account(_SERVICE_ACCOUNT)
        return cls.of_kubeconfig(kubeconfig)

    @classmethod
    def of_kubeconfig(cls, path: Path | None) -> Connection:
        def load() -> Configuration:
            configuration = Configuration()
            load_kube_config(str(path) if path else None, client_configuration=configuration)
            return configuration

        return cls(load)

    @classmethod
    def of_service_account(cls, folder: Path) -> Connection:
        """A projected token is renewed under our feet, hourly or faster: each request looks whether it was."""

        def load() -> Configuration:
            configuration = Configuration()
            loader = InClusterConfigLoader(str(folder / "token"), str(folder / "ca.crt"), try_refresh_token=False)
            loader.load_and_set(configuration)
            configuration.refresh_api_key_hook = _TokenFile(folder / "token")
            return configuration

        return cls(load)

    @property
    def host(self) -> str:
        return str(self._client.configuration.host).rstrip("/")

    def authorization(self) -> str | None:
        """The value of the header, as of now; none where a client certificate tells who we are."""
        key: str | None = self._client.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return key

    def renew(self) -> None:
        """Read the credentials anew; those that cannot be read just now, as they are being replaced, stay."""
        with self._renewing:
            try:
                self._client = self._new_client()
            except Misconfigured as error:
                raise ApiUnavailable(str(error)) from error

    @property
    def proxy(self) -> str | None:
        """Between us and the API server."""
        proxy = self._client.rest_client.pool_manager.proxy
        return None if proxy is None else str(proxy)

    def ssl_context(self) -> ssl.SSLContext:
        """For a client that is not the Kubernetes one."""
        configuration = self._client.configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content_type: str = "application/json"
    ) -> Answer:
        """One request and its whole answer, whatever its status."""
        response = self._send(method, path, query, body, content_type, _TIMEOUT, whole=True)
        return Answer(response.status, response.headers, response.data)

    def open(self, path: str, query: Mapping[str, str]) -> Any:
        """The answer to a watch while it comes in, as urllib3 gives it."""
        return self._send("GET", path, query, None, "application/json", _WATCH_TIMEOUT, whole=False)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str,
        timeout: Timeout,
        *,
        whole: bool,
    ) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": "ragindex-operator"}
        try:
            if (authorization := self.authorization()) is not None:
                headers["Authorization"] = authorization
            # The client's own pool and TLS, but not its method around them: that one turns a status into an
            # exception without its headers, and fails by itself where there is no answer at all.
            return self._client.rest_client.pool_manager.request_encode_url(
                method,
                f"{self.host}{path}",
                fields=dict(query),
                headers=headers,
                body=None if body is None else json.dumps(body).encode(),
                timeout=timeout,
                preload_content=whole,
                redirect=False,
            )
        except (HTTPError, OSError) as error:
            raise ApiUnavailable(f"the API server at {self.host} does not answer: {error}") from error

    def _new_client(self) -> ApiClient:
        try:
            configuration = self._load()
        except (ConfigException, OSError, ValueError) as error:
            raise Misconfigured(f"no way to the API server: {error}") from error
        configuration.retries = False  # who asks knows whether asking again is safe
        configuration.connection_pool_maxsize = 16
        return ApiClient(configuration)


class _TokenFile:
    """A hook of the client: puts the token into its configuration whenever the file is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def __call__(self, configuration: Configuration) -> None:
        state = self._path.stat()
        if self._seen != (state.st_mtime_ns, state.st_ino):
            configuration.api_key["BearerToken"] = f"Bearer {self._path.read_text().strip()}"
            self._seen = (state.st_mtime_ns, state.st_ino)
