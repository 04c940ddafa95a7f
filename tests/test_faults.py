"""Whatever befalls the cluster in mid-fit: the fit ends, with the same bits, and leaves nothing."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.drive.events import Incident
from flowml.linear_model import LinearRegression, LogisticRegression
from flowml.preprocessing import StandardScaler
from flowml.testing import Faults, Proxy, assert_clean
from tests.power_iteration import PowerIteration

WORKERS = 3
RUNTIMES = ("dataflow", "allreduce")
PASSES = 30


@cache
def rows() -> tuple[Any, Any]:
    """Six leaves, which a graph makes again where they are lost."""
    random = da.random.default_rng(0)
    X = random.normal(size=(6 << 16, 2), chunks=(1 << 16, -1))
    y = (X.sum(axis=1) + random.normal(size=6 << 16, chunks=1 << 16) > 0).astype(float)
    return X, y


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "power iteration": (lambda: PowerIteration(PASSES), "direction_"),
    "k-means": (
        lambda: KMeans(8, max_iter=PASSES, tol=0, random_state=0),
        "cluster_centers_",
    ),
    "lasso": (lambda: LogisticRegression(l1_ratio=1.0, C=1e-3, tol=1e-10), "coef_"),
    "least squares": (lambda: LinearRegression(), "coef_"),
    "scaler": (lambda: StandardScaler(), "scale_"),
}


@cache
def undisturbed(model: str) -> Any:
    make, learned = MODELS[model]
    return getattr(make().fit(*rows()), learned)


@pytest.fixture(scope="module")
def mortals() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.FATAL
    ) as running:
        yield running


@pytest.fixture
def faults(mortals: LocalCluster) -> Iterator[Faults]:
    with Faults(mortals, seed=1) as striking:
        while len(striking.workers) < WORKERS:
            striking.add_worker(wait=True)
        yield striking


def fit(client: Client, runtime: str, model: str, strike: Any) -> list[str]:
    """Fit through a fault, hold the result against the undisturbed one, return the incidents."""
    make, learned = MODELS[model]
    incidents: list[str] = []

    def watch(event: Any) -> None:
        if isinstance(event, Incident):
            incidents.append(event.what)

    with flowml.config_context(client=client, runtime=runtime, callbacks=[strike, watch]):
        fitted = make().fit(*rows())
    assert strike.happened
    np.testing.assert_array_equal(getattr(fitted, learned), undisturbed(model))
    assert_clean(client)
    return incidents


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", ["k-means", "lasso", "least squares", "scaler"])
def test_a_worker_killed_in_mid_pass(faults: Faults, runtime: str, model: str) -> None:
    moment = "in pass 3" if model in ("k-means", "lasso") else "in pass 1"
    with Client(faults.cluster) as client:
        fit(client, runtime, model, faults.at(moment, faults.kill))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_worker_killed_as_it_merges(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", faults.kill_merging)
        assert "gone" in " ".join(fit(client, runtime, "power iteration", strike))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_all_workers_but_one_killed(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("in pass 3", faults.kill_all_but_one)
        assert "gone" in " ".join(fit(client, runtime, "k-means", strike))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_worker_paused_for_longer_than_a_pass(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("in pass 3", faults.pause, seconds=0.7)
        assert fit(client, runtime, "k-means", strike) == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_worker_whose_connection_to_the_scheduler_is_cut(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("pass 3", faults.cut)
        assert "gone" in " ".join(fit(client, runtime, "power iteration", strike))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_client_whose_connection_to_the_scheduler_is_cut(faults: Faults, runtime: str) -> None:
    with Proxy(faults.cluster.scheduler_address) as proxy, Client(proxy.address) as client:
        strike = faults.at("in pass 3", proxy.cut, 0.3)
        assert "lost" in " ".join(fit(client, runtime, "power iteration", strike))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_worker_that_comes_gets_work(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", faults.add_worker)
        assert "came" in " ".join(fit(client, runtime, "power iteration", strike))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_worker_that_is_retired(faults: Faults, runtime: str) -> None:
    with Client(faults.cluster) as client:
        strike = faults.at("pass 2", faults.retire)
        assert "gone" in " ".join(fit(client, runtime, "k-means", strike))
