"""Whatever befalls the cluster in mid-fit: the fit ends, with the same bits, and leaves nothing."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.drive.checkpoint import read
from flowml.drive.events import Incident, PassCompleted
from flowml.linear_model import LinearRegression, LogisticRegression
from flowml.preprocessing import StandardScaler
from flowml.runtimes.coded import table
from flowml.testing import Faults, Proxy, assert_clean
from flowml.testing.faults import COMES_WITHIN
from tests.slow_iteration import PASSES, SlowIteration, fixed_rows

WORKERS = 3
RUNTIMES = ("allreduce", "coded", "dataflow", "parameter_server")
MANY = 96
"""Leaves, several for each part of a coded pass."""
LEAVES = 24


@cache
def rows() -> tuple[Any, Any]:
    """Small chunks, which a graph makes again where they are lost."""
    random = da.random.default_rng(0)
    X = random.normal(size=(LEAVES * 200, 3), chunks=(200, -1))
    y = (X.sum(axis=1) + random.normal(size=LEAVES * 200, chunks=200) > 0).astype(float)
    return X, y


@cache
def many_rows() -> tuple[Any, Any]:
    """The same in chunks so small that members of a coded pass merge some, too."""
    X, y = rows()
    return X.rechunk((LEAVES * 200 // MANY, -1)), y.rechunk(LEAVES * 200 // MANY)


@cache
def large_rows() -> tuple[Any, Any]:
    """Leaves enough for all workers even where small chunks are gathered."""
    random = da.random.default_rng(0)
    X = random.normal(size=(6 << 16, 2), chunks=(1 << 16, -1))
    y = (X.sum(axis=1) + random.normal(size=6 << 16, chunks=1 << 16) > 0).astype(float)
    return X, y


@dataclass(frozen=True)
class Model:
    """An estimator to be fitted through faults."""

    make: Callable[[], Any]
    learned: str
    rows: Callable[[], tuple[Any, Any]] = large_rows


MODELS = {
    "slow": Model(lambda: SlowIteration(PASSES), "direction_", rows),
    "many leaves": Model(lambda: SlowIteration(12), "direction_", many_rows),
    "k-means": Model(lambda: KMeans(4, max_iter=30, tol=0, random_state=0), "cluster_centers_"),
    "lasso": Model(lambda: LogisticRegression(l1_ratio=1.0, C=1e-3, tol=1e-10), "coef_"),
    "least squares": Model(lambda: LinearRegression(), "coef_"),
    "scaler": Model(lambda: StandardScaler(), "scale_"),
}


@cache
def undisturbed(model: str) -> Any:
    one = MODELS[model]
    return getattr(one.make().fit(*one.rows()), one.learned)


def test_who_was_retired_stays_away(faults: Faults) -> None:
    """Dask starts it again as the cluster is scaled, once it has noticed that it is gone."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "100ms"}):
        known = set(faults.workers)
        faults.retire()
        (retired,) = known - set(faults.workers)
        while any(n.worker_address == retired for n in faults.cluster.workers.values()):
            time.sleep(0.01)
        faults.add_worker(wait=True)
        faults.settle(WORKERS)
    assert len(set(faults.workers) - known) == 1


def test_who_was_killed_for_good_stays_away(faults: Faults) -> None:
    """Its nanny is gone, too: it would start another."""
    victim = faults.pick()
    nanny = next(n for n in faults.cluster.workers.values() if n.worker_address == victim)
    faults.kill(victim, for_good=True)
    assert nanny.status.name == "closed"
    faults.settle(WORKERS - 1)
    assert victim not in faults.workers


def test_each_worker_can_be_replaced_at_once(faults: Faults) -> None:
    """Dask gives a new worker the name of one that was retired, whose nanny it may still have."""
    for worker in list(faults.workers):
        faults.retire(worker)
        faults.add_worker(wait=True)
    assert len(faults.workers) == WORKERS


def note_reading(chunk: Any, log: Path) -> Any:
    """Write a line to a file wherever a chunk is read."""
    with log.open("a") as file:
        file.write("read\n")
    return chunk


def on(*quick: str, slow: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Run a test on some runtimes, on others of them among the slow tests only."""
    rest = [pytest.param(one, marks=pytest.mark.slow) for one in slow]
    return pytest.mark.parametrize("runtime", [*quick, *rest])


def train(
    client: Client,
    runtime: str,
    model: str,
    strike: Any,
    straggler: str = "auto",
    held_by: Path | None = None,
) -> str:
    """Fit through a fault, hold the result against the undisturbed one, return the incidents."""
    one = MODELS[model]
    estimator = one.make() if held_by is None else one.make().set_params(held_by=held_by)
    incidents: list[str] = []

    def watch(event: Any) -> None:
        if isinstance(event, Incident):
            incidents.append(event.what)

    settings = {"runtime": runtime, "straggler": straggler}
    with flowml.config_context(client=client, callbacks=[strike, watch], **settings):
        fitted = estimator.fit(*one.rows())
    assert strike.happened
    rounding = 1e-14 if straggler == "cyclic" else 0.0
    learned, wanted = getattr(fitted, one.learned), undisturbed(model)
    np.testing.assert_allclose(learned, wanted, rtol=0.0, atol=rounding)
    return "; ".join(incidents)


def fit(client: Client, *arguments: Any, **named: Any) -> str:
    """Train, and see that nothing is left."""
    said = train(client, *arguments, **named)
    assert_clean(client)
    return said


@pytest.mark.parametrize(
    ("runtime", "model"),
    [
        ("dataflow", "k-means"),
        ("dataflow", "scaler"),
        ("allreduce", "lasso"),
        ("allreduce", "least squares"),
        ("coded", "k-means"),
        pytest.param("coded", "lasso", marks=pytest.mark.slow),
        pytest.param("coded", "least squares", marks=pytest.mark.slow),
        pytest.param("coded", "scaler", marks=pytest.mark.slow),
        ("parameter_server", "k-means"),
        pytest.param("parameter_server", "lasso", marks=pytest.mark.slow),
        pytest.param("parameter_server", "least squares", marks=pytest.mark.slow),
        pytest.param("parameter_server", "scaler", marks=pytest.mark.slow),
        pytest.param("allreduce", "k-means", marks=pytest.mark.slow),
        pytest.param("allreduce", "scaler", marks=pytest.mark.slow),
        pytest.param("dataflow", "lasso", marks=pytest.mark.slow),
        pytest.param("dataflow", "least squares", marks=pytest.mark.slow),
    ],
)
def test_a_worker_killed_in_mid_pass(faults: Faults, runtime: str, model: str) -> None:
    moment = "in pass 3" if model in ("k-means", "lasso") else "in pass 1"
    with Client(faults.cluster) as client:
        fit(client, runtime, model, faults.at(moment, faults.kill))


SEEN = r"(gone|broke|lost|starts over)"
"""What is said of a worker that is there no more."""
WITH_GANGS = ("allreduce", "parameter_server")


@on("dataflow", slow=("allreduce", "parameter_server"))
def test_a_worker_killed_as_it_merges(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", faults.kill_merging)
        assert re.search(SEEN, fit(client, runtime, "slow", strike))


def test_a_worker_killed_as_it_merges_for_a_coded_pass(faults: Faults) -> None:
    """Others merge the same parts; whether it is missed before the end is a matter of chance."""
    with Client(faults.cluster) as client:
        fit(client, "coded", "many leaves", faults.at("pass 2", faults.kill_merging))


@on("allreduce", "coded", slow=("dataflow", "parameter_server"))
def test_all_workers_but_one_killed(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("in pass 3", faults.kill_all_but_one)
        model = "many leaves" if runtime == "coded" else "slow"
        assert re.search(SEEN, fit(client, runtime, model, strike))


@on("allreduce", slow=("dataflow", "parameter_server"))
def test_only_the_rows_of_a_killed_worker_are_read_again(
    faults: Faults, tmp_path: Path, runtime: str
) -> None:
    log = tmp_path / "read"
    X = MODELS["slow"].rows()[0].map_blocks(note_reading, log, dtype=float, meta=np.empty((0, 0)))
    with Client(faults.cluster) as client:
        kill = faults.at("in pass 3", faults.kill)
        with flowml.config_context(client=client, runtime=runtime, callbacks=[kill]):
            fitted = SlowIteration(12).fit(X)
        assert kill.happened
        assert_clean(client)
    undisturbed = SlowIteration(12).fit(MODELS["slow"].rows()[0])
    np.testing.assert_array_equal(fitted.direction_, undisturbed.direction_)
    lost = len(log.read_text().splitlines()) - LEAVES
    assert 0 < lost <= LEAVES // WORKERS + 1


@pytest.mark.parametrize(
    "runtimes",
    [
        ("allreduce", "coded"),
        *(
            pytest.param((one, other), marks=pytest.mark.slow)
            for one in RUNTIMES
            for other in RUNTIMES
            if one <= other and (one, other) != ("allreduce", "coded")
        ),
    ],
)
def test_a_worker_killed_under_two_fits_at_once(faults: Faults, runtimes: tuple[str, str]) -> None:
    """Each has a client of its own, which ends with it, and isn't the default one."""
    strike = faults.at("in pass 3", faults.kill)
    scheduler = dask.config.get("scheduler", None)

    def train_beside(runtime: str) -> str:
        with Client(faults.cluster, set_as_default=False) as client:
            return train(client, runtime, "slow", strike)

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(train_beside, runtimes))
    assert any(re.search(SEEN, one) for one in said)  # the other may not have begun
    assert dask.config.get("scheduler", None) == scheduler
    with Client(faults.cluster) as client:
        assert_clean(client)


@on("dataflow", "parameter_server", slow=("allreduce", "coded"))
def test_a_worker_paused_for_longer_than_a_pass(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("in pass 3", faults.pause, seconds=0.5)
        assert not re.search(SEEN, fit(client, runtime, "slow", strike))


def test_a_worker_that_is_stopped_before_a_coded_fit_is_done_without(
    faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "HEARD_WITHIN", 2.0)
    stopped = faults.pick()
    faults.pause(stopped, seconds=6.0)
    with Client(faults.cluster) as client:
        said = fit(client, "coded", "slow", faults.at("pass 1", bool))
    assert f"worker {stopped} wasn't heard of for 2 s as the fit began" in said


@pytest.mark.slow
def test_a_server_that_is_stopped_for_long_is_told(faults: Faults) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("in pass 3", faults.pause, min(faults.workers), seconds=12.0)
        said = fit(client, "parameter_server", "slow", strike)
    assert (
        "the parameter server broke: all workers are there, but the parameter server doesn't answer"
        in said
    )


@on("allreduce", "parameter_server", slow=("dataflow", "coded"))
def test_a_worker_whose_connection_to_the_scheduler_is_cut(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        struck = faults.pick()
        said = fit(client, runtime, "slow", faults.at("pass 3", faults.cut, struck))
    assert re.search(SEEN, said)
    if runtime in WITH_GANGS:
        assert f"broke: worker {struck} is gone" in said


@on("dataflow", "parameter_server", "coded", slow=("allreduce",))
def test_a_client_whose_connection_to_the_scheduler_is_cut(faults: Faults, runtime: str) -> None:
    with (
        Proxy(faults.cluster.scheduler_address) as proxy,
        Client(proxy.address, set_as_default=False) as client,
    ):
        said = fit(client, runtime, "slow", faults.at("in pass 3", proxy.cut, 0.3))
    assert re.search(SEEN, said)
    if runtime in WITH_GANGS:
        assert "broke: all workers are there, but the client had lost its scheduler" in said


def hold(passes: Path, act: Callable[[], None]) -> None:
    """Do something while no pass ends: ranks, who don't wait for the client, are there to see."""
    passes.touch()
    try:
        act()
    finally:
        passes.unlink()


@on("dataflow", "allreduce", "coded", slow=("parameter_server",))
def test_a_worker_that_comes_gets_work(faults: Faults, runtime: str, tmp_path: Path) -> None:
    held_by = tmp_path / "held"
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", hold, held_by, partial(faults.add_worker, wait=True))
        said = fit(client, runtime, "slow", strike, held_by=held_by)
        assert re.search(r"came.*: [1-9]\d* of 24 leaves of the data move", said)


@on("dataflow", "parameter_server", "coded", slow=("allreduce",))
def test_a_worker_that_is_retired(faults: Faults, runtime: str) -> None:
    known = set(faults.workers)
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", faults.retire)
        assert re.search(SEEN, fit(client, runtime, "slow", strike))
    assert len(known & set(faults.workers)) == WORKERS - 1


@pytest.mark.slow
@pytest.mark.parametrize("straggler", ["backup", "cyclic"])
@pytest.mark.parametrize(
    ("change", "told"),
    [("add_worker", "came: 24 of 24 leaves"), ("retire", "gone: others do its parts")],
)
def test_a_code_for_a_number_of_workers(
    faults: Faults, change: str, told: str, straggler: str
) -> None:
    """It begins anew with who comes, and does without who leaves."""
    act = getattr(faults, change)
    named = {"wait": True} if change == "add_worker" else {}
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", act, **named)
        assert told in fit(client, "coded", "slow", strike, straggler)


@pytest.mark.parametrize("act", ["kill", pytest.param("kill_all_but_one", marks=pytest.mark.slow)])
def test_a_code_that_adds_up_through_as_many_losses_as_it_spares_and_more(
    faults: Faults, act: str
) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("in pass 3", getattr(faults, act))
        assert re.search(SEEN, fit(client, "coded", "many leaves", strike, "cyclic"))


@on("coded", slow=("dataflow", "allreduce", "parameter_server"))
def test_a_cluster_that_adapts_starts_a_worker_for_a_fit_and_others_later(
    tmp_path: Path, runtime: str
) -> None:
    passes = tmp_path / "held"
    with (
        LocalCluster(
            n_workers=0, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.FATAL
        ) as cluster,
        Client(cluster) as client,
        Faults(cluster) as faults,
    ):
        cluster.adapt(minimum=0, maximum=2)

        def grow() -> None:
            cluster.adapt(minimum=2, maximum=2)
            client.wait_for_workers(2)

        strike = faults.at("pass 2", hold, passes, grow)
        said = fit(client, runtime, "many leaves", strike, held_by=passes)
    assert "came: 48 of 96 leaves of the data move" in said


@on("coded", slow=("allreduce", "parameter_server"))
def test_a_cluster_that_adapts_keeps_the_workers_of_a_fit(faults: Faults, runtime: str) -> None:
    """Dask takes workers without tasks for idle: it would end them at once, and does so then."""
    adapt = partial(faults.cluster.adapt, minimum=1, interval="100ms", wait_count=2)
    with Client(faults.cluster) as client:
        try:
            said = fit(client, runtime, "slow", faults.at("pass 2", adapt))
            deadline = time.monotonic() + COMES_WITHIN
            while len(faults.workers) > 1:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            adapt().stop()
    assert not re.search(SEEN, said)


@on("dataflow", slow=("allreduce", "coded", "parameter_server"))
def test_a_killed_client_is_resumed_on_another_cluster(
    faults: Faults, cluster: LocalCluster, tmp_path: Path, runtime: str
) -> None:
    command = [sys.executable, "-m", "tests.slow_iteration", faults.cluster.scheduler_address]
    with subprocess.Popen(
        [*command, str(tmp_path), runtime],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(line.strip() == "pass 10" for line in process.stdout)
        process.kill()
    done = read(tmp_path / "checkpoint.npz")[1].stages["power"].n_passes
    assert 0 < done < PASSES
    settings = {"checkpoint": tmp_path, "resume": True, "runtime": runtime}
    events: list[Any] = []
    with (
        Client(cluster) as client,
        flowml.config_context(client=client, callbacks=[events.append], **settings),
    ):
        model = SlowIteration(PASSES).fit(fixed_rows())
    passes = [event.number for event in events if isinstance(event, PassCompleted)]
    assert passes == list(range(done + 1, PASSES + 1))
    undisturbed = SlowIteration(PASSES).fit(fixed_rows())
    np.testing.assert_array_equal(model.direction_, undisturbed.direction_)
    with Client(faults.cluster) as client:
        assert_clean(client, within=10)
