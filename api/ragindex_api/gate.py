"""Who may ask from within a browser: the service knows no users, so no web page may speak for the one at the screen.

Two things a page of somebody else's could do, were it not for this:

- send a form to an address of the machine its reader sits at. A browser tells where such a request comes from, in
  ``Origin`` and ``Sec-Fetch-Site``; one that comes from elsewhere is refused.
- have its own name resolve to that address, and so be of the same origin ("DNS rebinding"). Its name then stands in
  ``Host``; bound to loopback, the service answers to loopback's names alone, and to those it was told.

Clients that are no browsers send neither header, and are not looked at further.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ragindex_api.problems import Kind, Problem
from ragindex_api.settings import ApiSettings

#: They tell nothing, and whoever asks them may know no name.
PROBES = frozenset({"/healthz", "/readyz"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ELSEWHERE = frozenset({b"cross-site", b"same-site"})


class Gate:
    """What is let in. Supposed to be on loopback until the server says on what it listens."""

    def __init__(self, settings: ApiSettings) -> None:
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)
        self._on_loopback = True

    def listens_on(self, address: str) -> None:
        self._on_loopback = is_loopback(address)

    def objection(self, scope: Scope) -> Problem | None:
        """What speaks against the request, if anything does."""
        headers = _told(scope)
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if scope["path"] not in PROBES and not self._answers_to(host):
            return Problem(
                Kind.MISDIRECTED,
                "the service does not go by the name in the header Host; RAGINDEX_API__ALLOWED_HOSTS adds names",
            )
        origin = headers.get(b"origin")
        if origin is not None:
            if self._is_own(origin.decode("latin-1").lower(), host):
                return None
        elif scope["method"] in _SAFE or headers.get(b"sec-fetch-site") not in _ELSEWHERE:
            return None
        return Problem(
            Kind.CROSS_ORIGIN,
            "the request comes from a web page of another origin; RAGINDEX_API__ALLOWED_ORIGINS adds origins",
        )

    def _answers_to(self, host: str) -> bool:
        if not self._on_loopback and not self._hosts:
            return True
        name = _name(host)
        if name in self._hosts or is_loopback(name):
            return True
        return not self._on_loopback and _address(name)  # nobody can make an address resolve to another one

    def _is_own(self, origin: str, host: str) -> bool:
        """The scheme is not compared: behind a proxy that ends TLS it differs."""
        if origin in self._origins:
            return True
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and bool(place) and place == host


class Gatekeeper:
    """Puts the gate before an application."""

    def __init__(self, app: ASGIApp, *, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        objection = self._gate.objection(scope) if scope["type"] == "http" else None
        if objection is None:
            await self._app(scope, receive, send)
        else:
            await objection.response(Request(scope))(scope, receive, send)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    return host == "localhost" or (_address(host) and ip_address(host).is_loopback)


@lru_cache(maxsize=256)
def _address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _name(host: str) -> str:
    """Without port, and an IPv6 address without its brackets; empty for what is no host at all."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _told(scope: Scope) -> dict[bytes, bytes]:
    """Of a header that came twice, what both say together, which is then nothing that is known."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in (b"host", b"origin", b"sec-fetch-site"):
            found[name] = b", ".join((found[name], value)) if name in found else value
    return found
