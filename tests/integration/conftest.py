"""What integration tests share besides the database, whose fixtures are in ``tests/conftest.py``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The evaluation data beside the checkout; tests that read it say so when it is not there."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("RAGINDEX_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"evaluation data: {folder} is not there; set RAGINDEX_DATA to its folder to run this test")
    return folder
