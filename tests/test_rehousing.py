"""Leaves that move when workers come and leave: who takes which, and how they travel."""

from collections import Counter
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.delayed import delayed
from distributed import Client, LocalCluster, get_worker
from hypothesis import given
from hypothesis import strategies as st

from flowml.data.arrays import from_arrays
from flowml.data.dask_collections import from_dask
from flowml.data.dataset import Dataset, Part
from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.rows import Block
from flowml.runtimes.cluster import workers as workers_of_dask
from flowml.runtimes.cluster.held import HeldShards
from flowml.runtimes.cluster.workers import cluster_workers, fetch, reaches
from flowml.runtimes.dataflow.graphs import pass_graph
from flowml.runtimes.elastic.rehousing import rehouse
from flowml.runtimes.placement import Placement, ShardPlan, Worker, place
from tests.conftest import keys_left


def workers(*names: str) -> list[Worker]:
    return [Worker(name, 1, 0) for name in names]


def placed(n_leaves: int, *names: str) -> tuple[Placement, list[Part]]:
    block = Block(np.zeros((10, 1)), None, None)
    parts = [Part(block, 10, 1_000) for _ in range(n_leaves)]
    leaves = tuple((number,) for number in range(n_leaves))
    bounds = np.linspace(0, n_leaves, len(names) + 1).astype(int)
    shards = tuple(
        ShardPlan(name, tuple(range(low, high)))
        for name, low, high in zip(names, bounds, bounds[1:], strict=False)
        if high > low
    )
    return Placement(leaves, shards, True, ""), parts


def loads(placement: Placement) -> Counter[str]:
    counts: Counter[str] = Counter()
    for shard in placement.shards:
        counts[shard.worker] += len(shard.leaves)
    return counts


def moves(before: Placement, after: Placement) -> int:
    where = {leaf: shard.worker for shard in before.shards for leaf in shard.leaves}
    return sum(where[leaf] != shard.worker for shard in after.shards for leaf in shard.leaves)


def test_a_worker_that_comes_gets_its_share() -> None:
    placement, parts = placed(12, "a", "b")
    after = rehouse(placement, parts, workers("a", "b", "c"))
    assert loads(after) == {"a": 4, "b": 4, "c": 4}
    assert moves(placement, after) == 4
    assert after.leaves == placement.leaves


def test_leaves_of_a_worker_that_left_are_shared_out_in_runs() -> None:
    placement, parts = placed(12, "a", "b", "c")
    after = rehouse(placement, parts, workers("a", "c"))
    assert loads(after) == {"a": 6, "c": 6}
    assert moves(placement, after) == 4
    assert [shard.leaves for shard in after.shards] == [
        (0, 1, 2, 3, 4, 5),
        (6, 7, 8, 9, 10, 11),
    ]


def test_a_worker_with_more_threads_gets_more_and_a_shard_for_each() -> None:
    placement, parts = placed(12, "a")
    after = rehouse(placement, parts, [Worker("a", 1, 0), Worker("b", 3, 0)])
    assert loads(after) == {"a": 3, "b": 9}
    assert [len(shard.leaves) for shard in after.shards] == [3, 3, 3, 3]


def test_nothing_moves_where_that_helps_nobody() -> None:
    placement, parts = placed(12, "a", "b", "c")
    assert rehouse(placement, parts, workers("a", "b", "c")) is placement
    placement, parts = placed(2, "a", "b")
    assert rehouse(placement, parts, workers("a", "b", "c")) is placement


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)


@given(st.integers(1, 60), names, names, st.integers(1, 3))
def test_every_leaf_has_one_home_and_loads_are_even(
    n_leaves: int, before: list[str], after: list[str], n_threads: int
) -> None:
    placement, parts = placed(n_leaves, *before)
    found = rehouse(placement, parts, [Worker(name, n_threads, 0) for name in after])
    homes = sorted(leaf for shard in found.shards for leaf in shard.leaves)
    assert homes == list(range(n_leaves))
    assert all(list(shard.leaves) == sorted(shard.leaves) for shard in found.shards)
    if found is not placement:
        assert set(loads(found)) <= set(after)
        assert max(loads(found).values()) <= n_leaves / len(after) + 1


def cut_arrays(X: np.ndarray, size: int) -> Dataset:
    whole = from_arrays(X)
    lows = range(0, len(X), size)
    blocks = [Block(X[low : low + size], None, None, low, n) for n, low in enumerate(lows)]
    return replace(whole, parts=tuple(Part(b, size, b.X.nbytes) for b in blocks))


def leaf_ids(shard: Any) -> tuple[str, dict[int, int]]:
    return get_worker().address, {leaf.number: id(leaf) for leaf in shard.leaves}


@pytest.mark.parametrize("lazily", [True, False])
def test_shards_are_split_where_they_are_and_parts_travel(client: Client, lazily: bool) -> None:
    X = np.random.default_rng(0).normal(size=(6_000, 3))
    dataset = from_dask(da.from_array(X, chunks=(500, -1))) if lazily else cut_arrays(X, 500)
    dataset = replace(dataset, many_passes=False)  # so that a chunk is a leaf
    here, there = cluster_workers(client)
    placement = place(dataset, [here], True)
    held = HeldShards(dataset, placement, client)
    before = _where(client, held)
    wanted = _sums(client, held, placement)
    moved = rehouse(placement, dataset.parts, [here, there])
    held.move(moved)
    after = _where(client, held)
    assert {address: len(ids) for address, ids in after.items()} == {
        here.address: 6,
        there.address: 6,
    }
    stayed = after[here.address]
    assert stayed.items() <= before[here.address].items()
    for one, other in zip(wanted, _sums(client, held, moved), strict=True):
        np.testing.assert_array_equal(one, other)
    held.release()


def _where(client: Client, held: HeldShards) -> dict[str, dict[int, int]]:
    return dict(client.gather(client.map(leaf_ids, list(held.futures.values()), pure=False)))


def _sums(client: Client, held: HeldShards, placement: Placement) -> Any:
    graph = pass_graph(held.graph, placement, held.token, f"{held.token}-1", COLUMN_MOMENTS, None)
    return fetch(client, graph, direct=True).summary


def test_a_client_reaches_workers_that_take_its_connections(
    client: Client, cluster: LocalCluster
) -> None:
    nobody = "tcp://127.0.0.1:1"
    assert reaches(client, cluster_workers(client)[0].address)
    assert not reaches(client, nobody)
    assert not reaches(client, "inproc://10.0.0.1/1")
    with Client(cluster.scheduler_address, direct_to_workers=True, set_as_default=False) as direct:
        assert reaches(direct, nobody)  # its owner's word


def test_a_result_comes_by_way_of_the_scheduler_too(client: Client) -> None:
    for direct in (True, False):
        assert fetch(client, delayed(sum)((1, 2)), direct) == 3


def test_a_cluster_to_which_no_worker_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_of_dask, "WAIT_FOR_WORKERS", 0.1)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as nobody,
        Client(nobody, set_as_default=False) as client,
    ):
        with pytest.raises(
            TimeoutError, match=r"no worker, and none came within 0\.1 s: start some"
        ):
            cluster_workers(client)
        assert not keys_left(client)
