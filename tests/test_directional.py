"""Passes over coded columns: the gradient without those who are late, paused or gone."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.drive.events import Incident, PassCompleted
from flowml.linear_model import LogisticRegression, PoissonRegressor, SGDClassifier
from flowml.testing import Faults, assert_clean

ROWS, FEATURES, CHUNK, WORKERS = 3_000, 30, 400, 4
SETTINGS = {"runtime": "coded", "straggler": "directional"}


def rows(n_classes: int = 2) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, FEATURES)) + random.normal(size=FEATURES)
    scores = X @ random.normal(size=(FEATURES, n_classes)) + random.gumbel(size=(ROWS, n_classes))
    y = scores.argmax(axis=1).astype(float)
    return da.from_array(X, chunks=(CHUNK, -1)), da.from_array(y, chunks=CHUNK)


@pytest.fixture(scope="module")
def four() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.FATAL
    ) as running:
        yield running


@pytest.fixture
def faults(four: LocalCluster) -> Iterator[Faults]:
    with Faults(four, seed=1) as striking:
        striking.settle(WORKERS)
        yield striking


def fit(client: Client, model: Any, data: Any, strike: Any = None, **named: Any) -> list[str]:
    """Fit by coded columns, and return the incidents."""
    incidents: list[str] = []

    def watch(event: Any) -> None:
        if isinstance(event, Incident):
            incidents.append(event.what)

    callbacks = [watch] if strike is None else [strike, watch]
    with flowml.config_context(client=client, callbacks=callbacks, **SETTINGS):
        model.fit(*data, **named)
    assert_clean(client)
    return incidents


@pytest.mark.parametrize(
    ("model", "n_classes"),
    [
        (LogisticRegression(solver="lbfgs", tol=1e-6), 2),
        (LogisticRegression(solver="lbfgs", tol=1e-6), 3),
        (LogisticRegression(solver="fista", l1_ratio=1.0, C=0.01, tol=1e-8), 2),
        (PoissonRegressor(solver="lbfgs", alpha=0.1, tol=1e-6), 3),
    ],
    ids=["logistic", "multinomial", "fista", "poisson"],
)
def test_the_same_fit_to_rounding(faults: Faults, model: Any, n_classes: int) -> None:
    data = rows(n_classes)
    weight = da.from_array(np.random.default_rng(1).random(ROWS), chunks=CHUNK)
    with Client(faults.cluster) as client:
        with flowml.config_context(client=client):
            model.fit(*data, sample_weight=weight)
        coef, n_passes = model.coef_, model.n_passes_
        told = fit(client, model, data, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-7, atol=1e-9)
    assert model.n_passes_ == n_passes
    assert (model.history_.error_bound == 0.0).all()
    assert any("coded columns of" in what for what in told)


def solved_before(data: Any) -> Any:
    return LogisticRegression(solver="lbfgs", tol=1e-8).fit(*data).coef_


@pytest.mark.parametrize("n_stragglers", [1, 2])
def test_a_paused_worker_is_not_waited_for(faults: Faults, n_stragglers: int) -> None:
    """From the second pass on, until after the fit; with two of five, so that two are spared."""
    data, moments = rows(), []
    expected = solved_before(data)
    if n_stragglers == 2:
        faults.add_worker(wait=True)
    paused = sorted(faults.workers.values())[:n_stragglers]

    def strike(event: Any) -> None:
        if isinstance(event, PassCompleted):
            moments.append(time.monotonic())
            if event.number == 2:
                for pid in paused:
                    os.kill(pid, signal.SIGSTOP)

    model = LogisticRegression(solver="lbfgs", tol=1e-8)
    try:
        with (
            Client(faults.cluster) as client,
            flowml.config_context(
                client=client, callbacks=[strike], n_stragglers=n_stragglers, **SETTINGS
            ),
        ):
            model.fit(*data)
            for pid in paused:
                os.kill(pid, signal.SIGCONT)
            assert_clean(client)
    finally:
        for pid in paused:
            os.kill(pid, signal.SIGCONT)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-6)
    assert model.n_passes_ > 6
    assert moments[-1] - moments[1] < 10


def test_a_killed_worker_is_decoded(faults: Faults) -> None:
    data = rows()
    expected = solved_before(data)
    model = LogisticRegression(solver="lbfgs", tol=1e-8)
    with Client(faults.cluster) as client:
        strike = faults.at("pass 4", faults.kill, for_good=True)
        told = fit(client, model, data, strike)
    assert strike.happened
    assert any("is gone: its columns are decoded" in what for what in told)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-6)


def test_more_killed_than_can_be_spared(faults: Faults) -> None:
    """The columns are made anew for the two that are left."""
    data = rows()
    expected = solved_before(data)
    model = LogisticRegression(solver="lbfgs", tol=1e-8)

    def kill_two() -> None:
        for address in sorted(faults.workers)[:2]:
            faults.kill(address, for_good=True)

    with Client(faults.cluster) as client:
        strike = faults.at("pass 4", kill_two)
        told = fit(client, model, data, strike)
    assert any("starts over" in what for what in told)
    assert sum("coded columns of" in what for what in told) == 2
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-6)


def test_a_nan_is_named(faults: Faults) -> None:
    X, y = (np.array(part) for part in rows())
    X[500, 2] = np.nan
    data = da.from_array(X, chunks=(CHUNK, -1)), da.from_array(y, chunks=CHUNK)
    with (
        Client(faults.cluster) as client,
        pytest.raises(ValueError, match=r"NaN: block 1, row 100 of the block, column 2"),
    ):
        fit(client, LogisticRegression(solver="lbfgs"), data)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (LogisticRegression(solver="newton"), 'solver Newton.*: use solver="lbfgs"'),
        (KMeans(3), 'solver .*: use .* straggler="backup"'),
        (SGDClassifier(), "solver Sgd"),
    ],
    ids=["newton", "k-means", "sgd"],
)
def test_other_folds_are_refused(client: Client, model: Any, why: str) -> None:
    with flowml.config_context(**SETTINGS), pytest.raises(ValueError, match=why):
        model.fit(*rows())


def test_too_few_columns_are_refused(faults: Faults) -> None:
    X, y = rows()
    with (
        Client(faults.cluster) as client,
        pytest.raises(ValueError, match=r'4 workers and 3 columns: use straggler="backup"'),
    ):
        fit(client, LogisticRegression(solver="lbfgs"), (X[:, :3], y))
