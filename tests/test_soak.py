"""Many fits of many kinds on a cluster that faults strike all the time: nothing lost or leaked."""

import threading
from collections.abc import Callable
from random import Random
from typing import Any

import dask.array as da
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from flowml.preprocessing import StandardScaler
from flowml.testing import Faults, assert_clean
from tests.slow_iteration import SlowIteration

WORKERS = 3
ROWS = 4_000
RUNTIMES = ("dataflow", "allreduce", "parameter_server", "coded")
"""By default without staleness and with exact codes, so that all give the same bits."""
MODELS: tuple[tuple[Callable[[], Any], str], ...] = (
    (lambda: LinearRegression(), "coef_"),
    (lambda: LogisticRegression(), "coef_"),
    (lambda: LogisticRegression(l1_ratio=1.0, C=0.01), "coef_"),
    (lambda: PoissonRegressor(), "coef_"),
    (lambda: KMeans(4, random_state=0), "cluster_centers_"),
    (lambda: StandardScaler(), "scale_"),
    (lambda: SlowIteration(15), "direction_"),
    (lambda: SlowIteration(40), "direction_"),
)


def rows() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, 4))
    return X, (X.sum(axis=1) + random.normal(size=ROWS) > 0).astype(float)


@pytest.mark.parametrize(
    "n_fits",
    [6, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
def test_fits_through_random_faults(mortals: LocalCluster, n_fits: int) -> None:
    random = Random(n_fits)
    X, y = rows()
    lazy = da.from_array(X, chunks=(250, -1)), da.from_array(y, chunks=250)
    wanted: dict[int, Any] = {}
    this = psutil.Process()
    files = this.num_fds()
    with Faults(mortals, seed=n_fits) as faults:
        acts: list[Callable[[], Any]] = [
            faults.kill,
            faults.kill_merging,
            faults.kill_all_but_one,
            lambda: faults.pause(seconds=random.uniform(0.05, 0.5)),
            lambda: faults.slow(factor=3.0, seconds=0.5),
            faults.cut,
            faults.retire,
            faults.add_worker,
        ]
        for number in range(n_fits):
            faults.settle(random.randint(2, WORKERS))
            kind = random.randrange(len(MODELS))
            make, learned = MODELS[kind]
            if kind not in wanted:
                wanted[kind] = (
                    getattr(make().fit(X, y), learned),
                    getattr(make().fit(*lazy), learned),
                )
            here, runtime = random.random() < 0.3, random.choice(RUNTIMES)
            moment = f"in pass {random.randint(1, 6)}" if random.random() < 0.8 else "pass 1"
            strike = faults.at(moment, random.choice(acts))
            said = f"fit {number}: {kind}, {runtime}, here={here}, {moment}"
            with Client(mortals) as client:
                settings = {"client": client, "runtime": runtime, "callbacks": [strike]}
                with flowml.config_context(**settings):
                    model = make().fit(*((X, y) if here else lazy))
                struck = strike.happened and faults.struck[-1]
                np.testing.assert_array_equal(
                    getattr(model, learned), wanted[kind][0 if here else 1], f"{said} {struck}"
                )
                try:
                    assert_clean(client, within=10)
                except AssertionError as error:
                    raise AssertionError(f"{said} {struck}: {error}") from None
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("flowml")]
    assert this.num_fds() < files + 100
