"""Placement: a function of parts and workers, and nothing else."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowml.cluster import KMeans
from flowml.data.arrays import from_arrays
from flowml.data.block_source import DaskKeys
from flowml.data.dask_collections import from_dask
from flowml.data.dataset import Dataset, Part
from flowml.data.schema import Schema
from flowml.kernels.rows import Block
from flowml.runtimes.placement import LEAF_BYTES, PROCESS_BYTES, Worker, place

GB = 10**9


def read_nothing() -> Block:
    raise AssertionError("placement loads nothing")


def lazy(*nbytes: int | None) -> Dataset:
    parts = tuple(Part(read_nothing, None, size) for size in nbytes)
    return Dataset(Schema(1, np.dtype(float)), parts, "test", lambda: "")


def workers(count: int, memory: int = 4 * GB, n_threads: int = 1) -> list[Worker]:
    return [Worker(f"tcp://{number}", n_threads, memory) for number in range(count)]


@given(
    sizes=st.lists(st.integers(0, 3 * LEAF_BYTES), min_size=1, max_size=60),
    count=st.integers(1, 5),
    n_threads=st.integers(1, 3),
)
def test_leaves_depend_on_parts_alone_and_every_part_is_placed_once(
    sizes: list[int], count: int, n_threads: int
):
    dataset = lazy(*sizes)
    placement = place(dataset, workers(count, n_threads=n_threads))
    assert placement.leaves == place(dataset, workers(1)).leaves
    assert [part for leaf in placement.leaves for part in leaf] == list(range(len(sizes)))
    assert [leaf for shard in placement.shards for leaf in shard.leaves] == list(
        range(len(placement.leaves))
    )
    assert len(placement.shards) <= count * n_threads


def test_shards_are_about_equal():
    placement = place(lazy(*[LEAF_BYTES] * 40), workers(4))
    assert [len(shard.leaves) for shard in placement.shards] == [10] * 4


@pytest.mark.parametrize(
    ("nbytes", "n_parts", "n_leaves"),
    [
        (LEAF_BYTES // 100, 10, 1),  # not worth more kernel calls
        (LEAF_BYTES // 2, 2, 2),
        (LEAF_BYTES // 100, 100, 4),
        (LEAF_BYTES // 100, 800, 8),
        (LEAF_BYTES // 100, 8_000, 80),
    ],
)
def test_few_data_have_small_leaves_for_a_few_workers(nbytes: int, n_parts: int, n_leaves: int):
    assert len(place(lazy(*[nbytes] * n_parts), workers(1)).leaves) == n_leaves


def test_parts_that_sit_on_a_worker_stay_there():
    parts = tuple(Part(DaskKeys(Block, number), 10, 80) for number in range(6))
    schema = Schema(1, np.dtype(float))
    dataset = Dataset(schema, parts, "test", lambda: "", many_passes=False)
    holders = {number: f"tcp://{number % 2}" for number in range(6)}
    placement = place(dataset, workers(2), holders=holders)
    assert placement.reason == "in the workers' memory already"
    assert {shard.worker: shard.leaves for shard in placement.shards} == {
        "tcp://0": (0, 2, 4),
        "tcp://1": (1, 3, 5),
    }


@pytest.mark.parametrize(
    ("nbytes", "limit", "keep", "reason"),
    [
        (GB, 4 * GB, True, "fits the workers' memory"),
        (5 * GB, 4 * GB, False, "doesn't fit the workers' memory"),
        (LEAF_BYTES, 2 * PROCESS_BYTES, False, "doesn't fit the workers' memory"),
        (5 * GB, 0, True, "the workers' memory is not limited"),
        (None, 4 * GB, True, "size unknown before it is loaded"),
    ],
)
def test_what_fits_is_kept(nbytes: int | None, limit: int, keep: bool, reason: str):
    placement = place(lazy(nbytes), workers(2, limit))
    assert placement.keep is keep
    assert placement.reason.startswith(reason)
    assert place(lazy(nbytes), workers(2, limit), keep=not keep).keep is not keep


def test_rows_in_this_process_are_there_already():
    placement = place(from_arrays(np.zeros((10, 2))), [Worker("", 2, GB)], keep=False)
    assert placement.keep
    assert placement.reason == "in memory already"


def test_small_chunks_are_brought_together_for_fits_of_many_passes() -> None:
    X = da.from_array(np.random.default_rng(0).normal(size=(4_000, 5)), chunks=(10, 5))
    dataset = from_dask(X)
    assert len(place(dataset.for_few_passes(), [Worker("", 2, 0)]).leaves) == 400
    assert len(place(dataset, [Worker("", 2, 0)]).leaves) == 1


def test_a_broken_value_in_gathered_chunks_is_named_by_its_own_chunk() -> None:
    values = np.zeros((400, 2))
    values[257, 1] = np.nan
    with pytest.raises(ValueError, match="block 25, row 7 of the block, column 1"):
        KMeans(2, init=np.eye(2)).fit(da.from_array(values, chunks=(10, 2)))
