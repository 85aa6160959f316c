"""Settings follow the machine and never trade safety for speed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_local.postgres.tuning import MIB, Machine, settings

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("memory", "shared_buffers", "maintenance"),
    [
        pytest.param(GIB // 2, "64MB", "32MB", id="half a gigabyte"),
        pytest.param(8 * GIB, "1024MB", "512MB", id="a laptop"),
        pytest.param(512 * GIB, "1024MB", "1024MB", id="a large server is not filled"),
    ],
)
def test_memory_is_a_share_with_bounds(memory: int, shared_buffers: str, maintenance: str) -> None:
    chosen = settings(Machine(memory, 4, GIB * 2))
    assert chosen["shared_buffers"] == shared_buffers
    assert chosen["maintenance_work_mem"] == maintenance


def test_a_small_dev_shm_is_not_filled_by_an_index_build() -> None:
    assert settings(Machine(8 * GIB, 4, 64 * MIB))["dynamic_shared_memory_type"] == "mmap"
    assert settings(Machine(8 * GIB, 4, 4 * GIB))["dynamic_shared_memory_type"] == "posix"


@given(st.integers(64 * MIB, 4096 * GIB), st.integers(1, 512), st.integers(0, 4096 * GIB))
def test_on_every_machine_the_server_fits_and_data_is_safe(memory: int, cores: int, shared: int) -> None:
    chosen = settings(Machine(memory, cores, shared))
    assert int(chosen["shared_buffers"].removesuffix("MB")) * MIB <= memory // 2
    assert int(chosen["work_mem"].removesuffix("MB")) <= 64
    assert 0 <= int(chosen["max_parallel_maintenance_workers"]) < max(cores, 1)
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & chosen.keys()
