"""Traces by OpenTelemetry, when an endpoint is named and the extra is installed; else nothing."""

from __future__ import annotations

import importlib.util
import logging

log = logging.getLogger(__name__)

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "opentelemetry.instrumentation.psycopg")


def start(endpoint: str | None) -> bool:
    """Whether requests and statements are traced from now on. The exporter reads its settings from the environment,
    as OpenTelemetry's own documents say; a statement's parameters are never recorded."""
    if not endpoint:
        return False
    missing = [package for package in _PACKAGES if not _installed(package)]
    if missing:
        log.warning("traces are asked for, but the extra ragindex[otel] is not installed", extra={"missing": missing})
        return False
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "ragindex-api"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    PsycopgInstrumentor().instrument()
    return True


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
