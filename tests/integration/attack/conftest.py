"""The engine of the engine's own tests, under attack."""

from __future__ import annotations

from tests.integration.engine.conftest import engine

__all__ = ["engine"]
