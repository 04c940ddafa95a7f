"""A state on a server: the same bits without staleness, the same model with it."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.drive.events import Incident, PassCompleted
from flowml.linear_model import LinearRegression, LogisticRegression, SGDClassifier, SGDRegressor
from flowml.preprocessing import StandardScaler
from flowml.runtimes.parameter_server import server_loop
from flowml.testing import Faults
from tests.conftest import keys_left
from tests.power_iteration import PowerIteration, make_rows
from tests.slow_iteration import SlowIteration

ROWS, FEATURES, WORKERS = 6_000, 5, 3


def rows() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, FEATURES))
    y = (random.random(ROWS) < 1 / (1 + np.exp(-X.sum(axis=1)))).astype(float)
    return X, y


def lazy(X: Any, y: Any) -> tuple[Any, Any]:
    return da.from_array(X, chunks=(701, -1)), da.from_array(y, chunks=701)


def served(staleness: int = 0, **settings: Any) -> Any:
    return flowml.config_context(runtime="parameter_server", staleness=staleness, **settings)


@pytest.mark.parametrize(
    ("make", "learned"),
    [
        (lambda: LinearRegression(), "coef_"),
        (lambda: StandardScaler(), "scale_"),
        (lambda: LogisticRegression(solver="lbfgs"), "coef_"),
        (lambda: LogisticRegression(l1_ratio=1.0, C=0.01), "coef_"),
        (lambda: LogisticRegression(solver="admm"), "coef_"),
        (lambda: KMeans(4, random_state=0), "cluster_centers_"),
        (lambda: SGDClassifier(random_state=0), "coef_"),
        (lambda: PowerIteration(9), "direction_"),
    ],
    ids=[
        "least squares",
        "scaling",
        "L-BFGS",
        "lasso",
        "ADMM",
        "k-means",
        "SGD",
        "power iteration",
    ],
)
def test_without_staleness_it_gives_the_same_bits_as_dataflow(
    client: Client, make: Callable[[], Any], learned: str
) -> None:
    X, y = lazy(*rows())
    one = make().fit(X, y)
    with served():
        other = make().fit(X, y)
    np.testing.assert_array_equal(getattr(one, learned), getattr(other, learned))
    assert one.n_passes_ == other.n_passes_


def test_stale_k_means_ends_where_no_centre_moves(client: Client) -> None:
    X = np.random.default_rng(1).normal(size=(ROWS, 3)) + np.repeat(np.eye(3) * 9, ROWS // 3, 0)
    Xd = da.from_array(X, chunks=(701, -1))
    with served(3):
        model = KMeans(3, random_state=0, tol=0).fit(Xd)
    plain = KMeans(3, random_state=0, tol=0).fit(Xd)
    found, wanted = (np.array(sorted(m.cluster_centers_.tolist())) for m in (model, plain))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    labels = ((X[:, None] - model.cluster_centers_) ** 2).sum(axis=2).argmin(axis=1)
    means = np.stack([X[labels == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-10)


@pytest.mark.parametrize("learning_rate", ["constant", "optimal"])
def test_stale_gradients_reach_the_minimum(client: Client, learning_rate: str) -> None:
    X, _ = rows()
    y = X @ np.arange(1.0, FEATURES + 1) + np.random.default_rng(2).normal(size=ROWS)
    lines = np.column_stack([X, np.ones(ROWS)])
    least = np.square(y - lines @ np.linalg.lstsq(lines, y)[0]).mean()
    with served(3):
        model = SGDRegressor(learning_rate=learning_rate, alpha=0.0, tol=1e-4, random_state=0).fit(
            *lazy(X, y)
        )
    assert np.square(y - model.predict(X)).mean() <= least * (1 + 1e-3)


def test_others_are_refused_and_told_what_to_do(client: Client) -> None:
    with served(2), pytest.raises(ValueError, match=r"KMeans.*SGDClassifier.*admm.*staleness=0"):
        LogisticRegression(solver="lbfgs").fit(*lazy(*rows()))
    with served(2):
        LinearRegression().fit(*lazy(*rows()))


def test_staleness_is_a_number_from_zero() -> None:
    with pytest.raises(ValueError, match="staleness=-1"), served(-1):
        pass


def test_a_nan_is_named_and_the_members_work_on(client: Client) -> None:
    X, y = rows()
    spoiled = X.copy()
    spoiled[4_000, 2] = np.nan
    with served(2):
        with pytest.raises(ValueError, match="NaN: block 5, row 495 of the block, column 2"):
            SGDClassifier(random_state=0).fit(*lazy(spoiled, y))
        KMeans(2, random_state=0).fit(lazy(X, y)[0])


def test_rows_of_this_process_go_to_the_members(client: Client) -> None:
    X, y = rows()
    with served():
        model = LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, y).coef_)


def test_two_fits_at_once_neither_wait_nor_mix(client: Client) -> None:
    X, _ = lazy(*rows())
    wanted = {k: KMeans(k, random_state=0).fit(X).cluster_centers_ for k in (2, 5)}
    found: dict[int, Any] = {}

    def fit(k: int) -> None:
        with served(client=client):
            for _ in range(2):
                found[k] = KMeans(k, random_state=0).fit(X).cluster_centers_

    threads = [threading.Thread(target=fit, args=(k,)) for k in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for k, centers in wanted.items():
        np.testing.assert_array_equal(found[k], centers)


def test_a_worker_without_rows_waits_for_nobody(client: Client) -> None:
    X, _ = rows()
    with served(1):
        KMeans(3, random_state=0).fit(da.from_array(X, chunks=-1))


def test_a_fit_that_was_stopped_goes_on_from_its_checkpoint(client: Client, tmp_path: Path) -> None:
    X = da.from_array(make_rows(ROWS, FEATURES), chunks=(701, -1))

    def interrupt(event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number >= 4:
            raise KeyboardInterrupt

    settings = {"checkpoint": tmp_path, "checkpoint_seconds": 0}
    with pytest.raises(KeyboardInterrupt), served(callbacks=[interrupt], **settings):
        PowerIteration(40).fit(X)
    with served(resume=True, **settings):
        model = PowerIteration(40).fit(X)
    np.testing.assert_array_equal(model.direction_, PowerIteration(40).fit(X).direction_)
    assert model.n_passes_ == 40


def test_a_worker_that_falls_silent_is_waited_for(mortals: LocalCluster) -> None:
    X = da.from_array(make_rows(100_000, 8), chunks=(10_000, -1))
    undisturbed = PowerIteration(60).fit(X).direction_
    with Client(mortals) as client:
        victim = max(client.run(os.getpid).values())

        def watch(event: Any) -> None:
            if isinstance(event, PassCompleted) and event.number == 1:
                os.kill(victim, signal.SIGSTOP)
                threading.Timer(2.0, os.kill, [victim, signal.SIGCONT]).start()

        with served(client=client, callbacks=[watch]):
            model = PowerIteration(60).fit(X)
        assert not keys_left(client)
    np.testing.assert_array_equal(model.direction_, undisturbed)


@pytest.mark.parametrize("who", ["the one that serves", "another"])
def test_a_killed_worker_changes_no_bit(
    faults: Faults, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server knows isn't done again, though the client looked at it but once before."""
    if who == "another":
        monkeypatch.setattr(server_loop, "NEWS_SHARE", 1e-9)
    X = da.from_array(make_rows(100_000, 8), chunks=(10_000, -1))
    undisturbed = PowerIteration(120).fit(X).direction_
    incidents: list[Incident] = []
    told: list[int] = []
    known: list[int] = []
    with Client(faults.cluster) as client:
        victim = sorted(faults.workers)[0 if who == "the one that serves" else -1]

        def kill() -> None:
            known.append(told[-1])
            faults.kill(victim, for_good=True)

        def watch(event: Any) -> None:
            if isinstance(event, PassCompleted):
                told.append(event.number)
                if event.number == 1:
                    threading.Timer(0.3, kill).start()
            elif isinstance(event, Incident):
                incidents.append(event)

        with served(client=client, callbacks=[watch]):
            model = SlowIteration(120).fit(X)
        assert not keys_left(client)
    np.testing.assert_array_equal(model.direction_, undisturbed)
    assert "parameter server broke" in incidents[0].what
    assert "goes on" in incidents[0].what
    assert incidents[0].number >= known[0] + (who == "another")
    assert model.n_passes_ == 120
    assert told == list(range(1, 121))
