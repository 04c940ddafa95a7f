"""The loop on the workers over a collective: the same bits as a graph for each pass."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.drive.events import Incident, PassCompleted
from flowml.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from tests.conftest import keys_left
from tests.power_iteration import PowerIteration, make_rows

ROWS, FEATURES = 6_000, 5


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


@pytest.fixture
def mortals() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as running:
        yield running


def test_a_killed_worker_changes_no_bit(mortals: LocalCluster) -> None:
    X = da.from_array(make_rows(200_000, 8), chunks=(20_000, -1))
    undisturbed = PowerIteration(400).fit(X).direction_
    incidents: list[Incident] = []
    with Client(mortals) as client:
        pids = client.run(os.getpid)
        for nanny in mortals.workers.values():
            nanny.auto_restart = False

        def watch(event: Any) -> None:
            if isinstance(event, PassCompleted) and event.number == 1:
                threading.Timer(0.3, os.kill, [max(pids.values()), signal.SIGKILL]).start()
            elif isinstance(event, Incident):
                incidents.append(event)

        with flowml.config_context(runtime="allreduce", client=client, callbacks=[watch]):
            model = PowerIteration(400).fit(X)
        assert not keys_left(client)
    np.testing.assert_array_equal(model.direction_, undisturbed)
    assert "goes on from the last pass known with 2 workers" in incidents[0].what
    assert model.n_passes_ == 400
