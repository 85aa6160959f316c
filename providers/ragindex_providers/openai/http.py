"""What both clients of an OpenAI-compatible service share: how to reach it, and what its refusals mean.

Nothing of a request or an answer goes into an error message but the status and the service's own short codes: its
prose often repeats the text or part of the key it was sent.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

import httpx2

from ragindex_core.errors import Misconfigured, ProviderRefused, RagIndexError, Throttled, Unavailable
from ragindex_providers.retry import parse_retry_after
from ragindex_providers.settings import Endpoint

_CODE = re.compile(r"[\w.\-\[\]]{1,64}", re.ASCII)
_TRY_AGAIN = frozenset({408, 409, 425})


class ClientOptions(TypedDict):
    base_url: str
    headers: dict[str, str]
    timeout: httpx2.Timeout
    verify: ssl.SSLContext | bool
    proxy: str | None
    trust_env: bool


def client_options(endpoint: Endpoint) -> ClientOptions:
    """The same for the synchronous and the asynchronous client. Raises Misconfigured for an address or a file that no
    request could ever use."""
    try:
        url = httpx2.URL(endpoint.base_url)
        context = ssl.create_default_context(cafile=str(endpoint.ca_file)) if endpoint.ca_file else True
    except (httpx2.InvalidURL, OSError) as error:
        raise Misconfigured(f"endpoint {endpoint.name}: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Misconfigured(f"endpoint {endpoint.name}: the base URL needs http:// or https:// and a host")
    headers = {"User-Agent": "ragindex"}
    if endpoint.api_key is not None:
        headers["Authorization"] = f"Bearer {endpoint.api_key.reveal()}"
    times = endpoint.timeouts
    return {
        "base_url": str(url).rstrip("/") + "/",
        "headers": headers,
        "timeout": httpx2.Timeout(times.read_seconds, connect=times.connect_seconds),
        "verify": context,
        "proxy": endpoint.proxy,
        "trust_env": False,
    }


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a service said when it did not do what it was asked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def codes(self) -> str:
        """Its ``type``, ``code`` and ``param``, where they look like names."""
        error = _error_of(self.body)
        values = [str(error.get(key) or "") for key in ("type", "code", "param")]
        return " ".join(value for value in values if _CODE.fullmatch(value))

    def mentions(self, word: str) -> bool:
        return word.encode() in self.body

    def error(self, who: str) -> RagIndexError:
        """What it means to whoever asked."""
        said = f"{who} answered {self.status}" + (f" ({self.codes})" if self.codes else "")
        retry_after = parse_retry_after(self.headers.get("retry-after"), datetime.now(UTC))
        if self.status == 429:
            return Throttled(said, retry_after)
        if self.status >= 500 or self.status in _TRY_AGAIN:
            return Unavailable(said, retry_after)
        return ProviderRefused(said)


def transport_failure(who: str, failure: httpx2.HTTPError) -> Unavailable:
    """The error of a call that got no whole answer. The library's own text is left out: it can hold an address."""
    return Unavailable(f"{who} gave no whole answer: {type(failure).__name__}")


def failure_in_stream(who: str, error: object) -> RagIndexError:
    """The meaning of an error object that comes after the status 200."""
    body = json.dumps({"error": error}).encode()
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 503
    refusal = Refusal(429 if b"rate_limit" in body else status, {}, body)
    return refusal.error(f"{who}, while answering,")


def _error_of(body: bytes) -> Mapping[str, Any]:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = decoded.get("error") if isinstance(decoded, dict) else None
    return error if isinstance(error, dict) else {}
