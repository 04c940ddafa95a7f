"""The loop on the workers over a collective: the same bits as a graph for each pass."""

import ast
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, get_worker

import flowml
from flowml.cluster import KMeans
from flowml.data.dask_collections import from_dask
from flowml.data.dataset import Dataset
from flowml.drive.events import PassCompleted
from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_CURVATURE, Point, Target
from flowml.kernels.rows import Block
from flowml.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from flowml.losses.logistic import LogisticLoss
from flowml.runtimes.allreduce.rank import LEASE, RING, run
from flowml.runtimes.allreduce.ranks import Ranks
from flowml.runtimes.allreduce.ring import (
    HEAD_BYTES,
    TIMEOUT,
    Head,
    Ring,
    RingError,
    read_head,
    read_payload,
)
from flowml.runtimes.allreduce.runtime import AllreduceRuntime
from flowml.runtimes.allreduce.sockets import end_with_reset, listeners
from flowml.runtimes.cluster.workers import cluster_workers
from flowml.runtimes.elastic.leaving import Watch
from flowml.runtimes.gangs.gang import MemberLostError
from flowml.runtimes.gangs.member import Member, present
from flowml.runtimes.placement import place
from flowml.runtimes.shard import Leaf, Shard
from flowml.testing import Faults, assert_clean
from tests.clusters import local_cluster
from tests.conftest import keys_left
from tests.power_iteration import PowerIteration, PowerSolver, make_rows, merge, summarise
from tests.slow_iteration import SlowIteration, SlowSolver

ROWS, FEATURES, WORKERS = 6_000, 5, 3


def rows() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, FEATURES))
    y = (random.random(ROWS) < 1 / (1 + np.exp(-X.sum(axis=1)))).astype(float)
    return X, y


def lazy(X: Any, y: Any) -> tuple[Any, Any]:
    return da.from_array(X, chunks=(701, -1)), da.from_array(y, chunks=701)


@pytest.mark.parametrize(
    ("make", "learned"),
    [
        (lambda: LinearRegression(), "coef_"),
        (lambda: LogisticRegression(solver="lbfgs"), "coef_"),
        (lambda: LogisticRegression(l1_ratio=1.0, C=0.01), "coef_"),
        (lambda: PoissonRegressor(), "coef_"),
        (lambda: KMeans(4, random_state=0), "cluster_centers_"),
        (lambda: PowerIteration(9), "direction_"),
    ],
    ids=["least squares", "L-BFGS", "lasso", "poisson", "k-means", "power iteration"],
)
def test_it_gives_the_same_bits_as_dataflow(
    client: Client, make: Callable[[], Any], learned: str
) -> None:
    X, y = lazy(*rows())
    one = make().fit(X, y)
    with flowml.config_context(runtime="allreduce"):
        other = make().fit(X, y)
        again = make().fit(X, y)
    np.testing.assert_array_equal(getattr(one, learned), getattr(other, learned))
    np.testing.assert_array_equal(getattr(one, learned), getattr(again, learned))
    assert one.n_passes_ == other.n_passes_


def test_rows_of_this_process_go_to_the_ranks(client: Client) -> None:
    X, y = rows()
    with flowml.config_context(runtime="allreduce"):
        model = LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, y).coef_)


def test_a_rank_without_rows_takes_part(client: Client) -> None:
    X, y = rows()
    with flowml.config_context(runtime="allreduce"):
        model = LogisticRegression().fit(da.from_array(X, chunks=-1), da.from_array(y, chunks=-1))
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, y).coef_)


def test_two_fits_at_once_neither_wait_nor_mix(client: Client) -> None:
    X, y = lazy(*rows())
    wanted = {C: LogisticRegression(C=C).fit(X, y).coef_ for C in (0.01, 1.0)}
    found: dict[float, Any] = {}

    def fit(C: float) -> None:
        with flowml.config_context(runtime="allreduce", client=client):
            for _ in range(3):
                found[C] = LogisticRegression(C=C).fit(X, y).coef_

    threads = [threading.Thread(target=fit, args=(C,)) for C in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for C, coef in wanted.items():
        np.testing.assert_array_equal(found[C], coef)


def test_a_nan_is_named_and_the_ranks_serve_the_next_fit(client: Client) -> None:
    X, y = rows()
    spoiled = X.copy()
    spoiled[4_000, 2] = np.nan
    with flowml.config_context(runtime="allreduce"):
        with pytest.raises(ValueError, match="NaN: block 5, row 495 of the block, column 2"):
            LogisticRegression().fit(*lazy(spoiled, y))
        model = LogisticRegression().fit(*lazy(X, y))
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(*lazy(X, y)).coef_)


def test_it_says_what_it_needs() -> None:
    X, y = rows()
    with (
        flowml.config_context(runtime="allreduce"),
        pytest.raises(ValueError, match="needs a Dask cluster"),
    ):
        LogisticRegression().fit(X, y)


def test_chunks_that_are_streamed_are_refused(client: Client) -> None:
    X, y = lazy(*rows())
    with (
        flowml.config_context(runtime="allreduce", keep=False),
        pytest.raises(ValueError, match=r"give config_context\(keep=True\)"),
    ):
        LogisticRegression().fit(X, y)


def test_a_fit_that_was_stopped_goes_on_from_its_checkpoint(client: Client, tmp_path: Path) -> None:
    X = da.from_array(make_rows(ROWS, FEATURES), chunks=(701, -1))

    def interrupt(event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number >= 4:
            raise KeyboardInterrupt

    settings = {"runtime": "allreduce", "checkpoint": tmp_path, "checkpoint_seconds": 0}
    with (
        pytest.raises(KeyboardInterrupt),
        flowml.config_context(callbacks=[interrupt], **settings),
    ):
        PowerIteration(9).fit(X)
    with flowml.config_context(resume=True, **settings):
        model = PowerIteration(9).fit(X)
    np.testing.assert_array_equal(model.direction_, PowerIteration(9).fit(X).direction_)
    assert model.n_passes_ == 9


# Large summaries.


@pytest.mark.parametrize("size", [701, ROWS], ids=["rows on both", "a rank without rows"])
def test_large_additive_summaries_are_added_up_as_vectors(client: Client, size: int) -> None:
    X, y = rows()
    dataset = from_dask(da.from_array(X, chunks=(size, -1)), da.from_array(y, chunks=size))
    ask = Point(
        LogisticLoss(), Target(), np.full((1, FEATURES), 0.3), np.zeros(1), np.zeros(FEATURES)
    )
    wanted = LOSS_CURVATURE.summarise(ask, [Block(X, y, None)])
    same, summed = (on_ranks(client, dataset, above, LOSS_CURVATURE, ask) for above in (1 << 20, 0))
    for name, value in wanted._asdict().items():
        np.testing.assert_allclose(getattr(summed, name), value, rtol=1e-11)
        np.testing.assert_allclose(getattr(same, name), value, rtol=1e-11)
    assert summed.largest == same.largest


def test_summaries_that_do_not_add_up_are_merged_whatever_their_size(client: Client) -> None:
    dataset = from_dask(da.from_array(rows()[0], chunks=(701, -1)))
    same, merged = (
        on_ranks(client, dataset, above, COLUMN_MOMENTS, None) for above in (1 << 20, 0)
    )
    for one, other in zip(same, merged, strict=True):
        np.testing.assert_array_equal(one, other)


def on_ranks(client: Client, dataset: Dataset, sum_above: int, fold: Fold, ask: Any) -> Any:
    """One pass, each chunk a leaf."""
    dataset, workers = replace(dataset, many_passes=False), cluster_workers(client)
    placement = place(dataset, workers, True)
    with closing(AllreduceRuntime(dataset, placement, client, workers, None, sum_above)) as runtime:
        return runtime.one_pass(fold, ask)


def test_payloads_of_any_length_are_gathered(client: Client) -> None:
    sizes = [0, 10, 4_080, 4_081, 5, 300_000, 300_001, 7]
    ranks = Ranks(client, cluster_workers(client))
    try:
        wanted = [[bytes([rank]) * size * (rank + 1) for rank in range(2)] for size in sizes]
        for answer in ranks.call_all(gather_in_turn, sizes):
            assert answer.result(30) == wanted
    finally:
        ranks.close()


def test_what_a_broken_ring_cuts_short_is_refused() -> None:
    """For xgboost may take the end of a connection for the end of an exchange."""
    payload = b"some bytes"
    head = Head(len(payload), crc32(payload))
    slot = np.frombuffer(head.to_bytes(2) + payload, np.uint8)
    assert read_head(slot, 2) == head
    assert read_payload(slot[HEAD_BYTES:], head) == payload
    for spoiled, rank in ((slot, 1), (np.zeros_like(slot), 2), (slot + slot, 2)):
        with pytest.raises(RingError, match="cut short"):
            read_head(spoiled, rank)
    with pytest.raises(RingError, match="cut short"):
        read_payload(slot[HEAD_BYTES:] + slot[HEAD_BYTES:], head)


def test_a_ring_knows_its_connections_among_those_of_its_process(client: Client) -> None:
    ranks = Ranks(client, cluster_workers(client))
    try:
        for answer in ranks.call_all(connections):
            assert answer.result(30) == 1  # to the other rank; Dask has some, too
    finally:
        ranks.close()


def connections(member: Member) -> int:
    return end_with_reset(TIMEOUT)


def gather_in_turn(member: Member, sizes: list[int]) -> list[list[bytes]]:
    ring: Ring = member.notes[RING]
    return [ring.gather(bytes([ring.rank]) * size * (ring.rank + 1)) for size in sizes]


# What ranks must agree on.


def test_versions_that_differ_are_named(client: Client) -> None:
    X, y = lazy(*rows())
    _, other = (worker.address for worker in cluster_workers(client))
    client.run(pretend, "0.0.1", workers=[other])
    try:
        with (
            flowml.config_context(runtime="allreduce"),
            pytest.raises(RuntimeError, match=rf"agree on versions: .*NumPy 0.0.1.* at {other}"),
        ):
            LogisticRegression().fit(X, y)
    finally:
        client.run(pretend, np.__version__, workers=[other])


def pretend(version: str) -> None:
    vars(np)["__version__"] = version


def test_ranks_that_run_different_things_say_so_before_the_first_sum(client: Client) -> None:
    ranks = Ranks(client, cluster_workers(client))
    try:
        ranks.adopt("fit", {})
        solver = PowerSolver(3, 5)
        calls = [("fit", solver, solver.init()._replace(value=value)) for value in (0.0, 1.0)]
        for answer in ranks.call_each(run, calls):
            with pytest.raises(RuntimeError, match="don't agree on solver and state"):
                answer.result(30)
    finally:
        ranks.close()


def test_an_error_of_a_kernel_on_one_rank_is_raised_as_it_is(client: Client) -> None:
    X = da.from_array(make_rows(ROWS, FEATURES), chunks=(701, -1))  # the rows of both
    with flowml.config_context(runtime="allreduce"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            Failing().fit(X)
        model = PowerIteration(3).fit(X)
    np.testing.assert_array_equal(model.direction_, PowerIteration(3).fit(X).direction_)


def fail(ask: Any, rows: Any, memory: Any) -> Any:
    if rows[-1].X.shape[0] and get_worker().name == 0:
        raise FileNotFoundError("no such file")
    return summarise(ask, rows, memory)


class FailingSolver(PowerSolver):
    fold = Fold(fail, merge, uses_memory=True)


class Failing(PowerIteration):
    def fit(self, X: Any, y: Any = None) -> "Failing":
        with self._training(X) as session:
            session.solve("power", FailingSolver(self.n_features_in_, 3))
        return self


# Workers and clients that come and go; tests/test_faults.py has the rest.


@pytest.mark.parametrize("rank", [0, 1])
def test_all_ranks_hear_of_one_that_is_killed(mortals: LocalCluster, rank: int) -> None:
    """None waits for it, those that aren't beside it in the ring neither, and nothing is left."""
    with Client(mortals) as client, Faults(mortals) as faults:
        faults.settle(3)
        workers = cluster_workers(client)
        listened = client.run(n_listeners)
        ranks = Ranks(client, workers)
        try:
            block = Block(make_rows(100, 3), None, None)
            shards = [Shard([Leaf(number, [block])]) for number in range(len(workers))]
            held = [client.scatter(one, broadcast=True, hash=False) for one in shards]
            ranks.adopt("fit", {w.address: [one] for w, one in zip(workers, held, strict=True)})
            solver = SlowSolver(3, 1_000_000, None)
            answers = ranks.call_all(run, "fit", solver, solver.init())
            time.sleep(0.1)
            faults.kill(workers[rank].address)
            for number, answer in enumerate(answers):
                with pytest.raises(OSError if number == rank else RingError):
                    answer.result(20)
            with pytest.raises(MemberLostError):
                ranks.ask(rank, present).result(20)
        finally:
            ranks.close()
        assert_clean(client)
        for address, count in client.run(n_listeners).items():
            assert count == listened.get(address, count)


def n_listeners() -> int:
    return len(listeners())


@pytest.mark.parametrize(
    "n_rings", [12, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_nothing_waits_or_stays_after_a_ring_broke(n_rings: int) -> None:
    """The first rank is killed, which has the tracker, while all do nothing but add up."""
    command = [sys.executable, "-m", "tests.killed_rings", str(n_rings)]
    said = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(said.stdout.splitlines()[-1]) == {"left": 3 * n_rings}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fits_that_lose_ranks_leave_nothing() -> None:
    """Forty on four workers, of passes so short that ranks mostly wait for each other."""
    X = da.from_array(make_rows(2_400, 3), chunks=(100, -1))
    wanted = PowerIteration(2_000).fit(X).direction_
    with (
        local_cluster(4) as cluster,
        Client(cluster) as client,
        Faults(cluster) as faults,
    ):
        for number in range(40):
            faults.settle(4)
            ranks = sorted(faults.workers)
            strike = faults.at("in pass 200", faults.kill, ranks[number % 4 if number < 20 else 0])
            with flowml.config_context(client=client, runtime="allreduce", callbacks=[strike]):
                model = PowerIteration(2_000).fit(X)
            assert strike.happened
            np.testing.assert_array_equal(model.direction_, wanted)
            assert_clean(client)


def test_a_look_at_who_is_to_leave_reads_no_notes_that_do_not_travel(client: Client) -> None:
    """Dask makes one of what a user replicates, and breaks the connection that asks for it."""
    workers = cluster_workers(client)
    replicated = client.scatter(1, broadcast=True)
    watch = Watch(client, from_dask(da.from_array(rows()[0], chunks=(701, -1))), every=0.0)
    assert watch.staying(workers) == workers
    replicated.release()


KILLED = """
import sys
import flowml
from distributed import Client
from tests.power_iteration import make_rows, say_pass
from tests.slow_iteration import SlowIteration

if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        settings = {"checkpoint": sys.argv[2], "checkpoint_seconds": 0, "runtime": "allreduce"}
        with flowml.config_context(client=client, callbacks=[say_pass], **settings):
            SlowIteration(60).fit(make_rows(70_000, 4))
"""


def test_a_killed_client_leaves_nothing_and_is_resumed_on_another_cluster(
    client: Client, cluster: LocalCluster, mortals: LocalCluster, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, cluster.scheduler_address, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(line.strip() == "pass 10" for line in process.stdout)
    process.kill()
    process.communicate()
    assert not keys_left(client)
    deadline = time.monotonic() + LEASE + 10
    while any((running := client.run(rank_threads)).values()):
        assert time.monotonic() < deadline, running
        time.sleep(0.2)
    X = make_rows(70_000, 4)
    settings = {"checkpoint": tmp_path, "resume": True, "runtime": "allreduce"}
    with Client(mortals) as other, flowml.config_context(client=other, **settings):
        model = SlowIteration(60).fit(X)
    np.testing.assert_array_equal(model.direction_, PowerIteration(60).fit(X).direction_)
    assert model.n_passes_ == 60


def rank_threads() -> list[str]:
    gc.collect()
    return [t.name for t in threading.enumerate() if t.name.startswith("flowml-member")]
