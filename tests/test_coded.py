"""Coded passes: the sum without those who are late, paused or gone."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.core import flatten as flat_keys
from dask.delayed import delayed
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.data.block_source import DaskKeys
from flowml.drive.events import Incident, PassCompleted
from flowml.kernels.linear_loss import LOSS_CURVATURE, LOSS_GRADIENT, LossSums
from flowml.kernels.rows import Block
from flowml.kernels.several import Summaries, several
from flowml.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from flowml.runtimes.cluster.alone import Steps
from flowml.runtimes.flat import Flat, flatten, unflatten
from tests.conftest import keys_left
from tests.power_iteration import PowerIteration, make_rows, slowly

ROWS, FEATURES, CHUNK, WORKERS = 140_000, 3, 17_000, 4
ESTIMATORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: LinearRegression(), "coef_"),
    (lambda: LogisticRegression(solver="lbfgs"), "coef_"),
    (lambda: KMeans(4, random_state=0), "cluster_centers_"),
]


def rows(n_rows: int = ROWS) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(n_rows, FEATURES))
    y = (random.random(n_rows) < 1 / (1 + np.exp(-X.sum(axis=1)))).astype(float)
    return X, y


def lazy(X: Any, y: Any) -> tuple[Any, Any]:
    return da.from_array(X, chunks=(CHUNK, -1)), da.from_array(y, chunks=CHUNK)


# Vectors.


def sums_of(random: np.random.Generator, curvature: bool) -> LossSums:
    bend = random.normal(size=(3, 3)) if curvature else None
    value, spread, largest = random.random(3).tolist()
    return LossSums(2.0, value, spread, random.normal(size=(1, 3)), bend, largest, 1)


@pytest.mark.parametrize("curvature", [False, True])
def test_adding_vectors_is_merging(curvature: bool) -> None:
    random = np.random.default_rng(0)
    one = LOSS_CURVATURE if curvature else LOSS_GRADIENT
    fold = several([one, one])
    left, right = (Summaries((sums_of(random, curvature), None)) for _ in range(2))
    flats = [flatten(left, fold), flatten(right, fold)]
    maxima = np.maximum(flats[0].maxima, flats[1].maxima)
    found = unflatten(Flat(flats[0].sums + flats[1].sums, maxima, flats[0].form))
    merged = fold.merge(left, right)
    assert found.members[1] is None
    for name, value in merged.members[0]._asdict().items():
        np.testing.assert_array_equal(getattr(found.members[0], name), value)
        assert type(getattr(found.members[0], name)) is type(value)


# The same answers as on other runtimes.


@pytest.mark.parametrize("straggler", ["auto", "none", "backup", "fractional"])
@pytest.mark.parametrize(("make", "learned"), ESTIMATORS, ids=["least squares", "lbfgs", "k-means"])
def test_codes_that_add_nothing_give_the_same_bits(
    client: Client, make: Callable[[], Any], learned: str, straggler: str
) -> None:
    X, y = lazy(*rows())
    one = make().fit(X, y)
    with flowml.config_context(runtime="coded", straggler=straggler):
        other = make().fit(X, y)
    np.testing.assert_array_equal(getattr(one, learned), getattr(other, learned))
    assert one.n_passes_ == other.n_passes_
    assert (other.history_.error_bound == 0.0).all()
    assert one.history_.error_bound.isna().all()


@pytest.mark.parametrize("straggler", ["auto", "backup", "fractional"])
def test_one_block_of_this_process(client: Client, straggler: str) -> None:
    X, y = rows(5_000)
    with flowml.config_context(runtime="coded", straggler=straggler):
        model = LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, y).coef_)


def test_two_fits_at_once_neither_wait_nor_mix(client: Client) -> None:
    X, y = lazy(*rows())
    wanted = {C: LogisticRegression(C=C).fit(X, y).coef_ for C in (0.01, 1.0)}
    found: dict[float, Any] = {}

    def fit(C: float) -> None:
        with flowml.config_context(runtime="coded", straggler="fractional", client=client):
            for _ in range(2):
                found[C] = LogisticRegression(C=C).fit(X, y).coef_

    threads = [threading.Thread(target=fit, args=(C,)) for C in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for C, coef in wanted.items():
        np.testing.assert_array_equal(found[C], coef)


def test_a_nan_is_named(client: Client) -> None:
    X, y = rows()
    X[19_000, 2] = np.nan
    for straggler in ("backup", "cyclic"):
        with (
            flowml.config_context(runtime="coded", straggler=straggler),
            pytest.raises(ValueError, match="NaN: block 1, row 2000 of the block, column 2"),
        ):
            LogisticRegression(solver="lbfgs").fit(*lazy(X, y))


def test_a_fit_that_was_stopped_goes_on_from_its_checkpoint(client: Client, tmp_path: Path) -> None:
    X = da.from_array(make_rows(ROWS, FEATURES), chunks=(CHUNK, -1))

    def interrupt(event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number >= 4:
            raise KeyboardInterrupt

    settings = {"runtime": "coded", "checkpoint": tmp_path, "checkpoint_seconds": 0}
    with (
        pytest.raises(KeyboardInterrupt),
        flowml.config_context(callbacks=[interrupt], **settings),
    ):
        PowerIteration(9).fit(X)
    with flowml.config_context(resume=True, **settings):
        model = PowerIteration(9).fit(X)
    np.testing.assert_array_equal(model.direction_, PowerIteration(9).fit(X).direction_)
    assert model.n_passes_ == 9


# Reading.


def test_rows_that_a_worker_reads_late_are_read_by_others(client: Client) -> None:
    """The slow one takes a second and a half for a part."""
    rows = make_rows(6_000, FEATURES)
    slow = max(client.scheduler_info()["workers"])
    incidents: list[str] = []
    X = da.concatenate(
        [
            da.from_delayed(delayed(slowly)(part, slow, 1.5), part.shape, part.dtype)
            for part in np.split(rows, 15)
        ]
    )

    def watch(event: Any) -> None:
        if isinstance(event, Incident):
            incidents.append(event.what)

    with flowml.config_context(runtime="coded", client=client, callbacks=[watch]):
        model = PowerIteration(4).fit(X)
    undisturbed = PowerIteration(4).fit(da.from_array(rows, chunks=(400, -1)))
    np.testing.assert_array_equal(model.direction_, undisturbed.direction_)
    assert re.search(f"{slow} read its rows late: [5-8] of its [78] parts were read", incidents[0])


def test_steps_are_apart_where_no_two_chunks_need_the_same() -> None:
    X = da.from_array(np.ones((40, 2)), chunks=(10, -1))
    for rows, apart in ((X, True), (X - X.sum(), False), (X.rechunk((15, -1)), False)):
        keys = enumerate(flat_keys(rows.__dask_keys__()))
        assert Steps([rows]).are_apart([[(n, [DaskKeys(Block, key)])] for n, key in keys]) == apart


# Who can't.


def test_what_is_not_known_is_refused() -> None:
    for setting, value in (("straggler", "hope"), ("n_stragglers", 0)):
        with pytest.raises(ValueError, match=setting), flowml.config_context(**{setting: value}):
            pass


@pytest.mark.parametrize(
    ("estimator", "settings", "why"),
    [
        (
            LogisticRegression(solver="newton"),
            {"straggler": "ignore"},
            "gives estimates.*Newton needs the sums: use",
        ),
        (
            KMeans(3),
            {"straggler": "cyclic"},
            'isn\'t how those.*merge: use straggler="backup"',
        ),
        (
            LogisticRegression(),
            {"straggler": "fractional", "n_stragglers": 2},
            "can't be put into groups",
        ),
    ],
    ids=["estimates", "vectors", "groups"],
)
def test_what_a_code_is_not_for_is_refused(
    client: Client, estimator: Any, settings: Any, why: str
) -> None:
    X, y = lazy(*rows())
    with (
        flowml.config_context(runtime="coded", **settings),
        pytest.raises(ValueError, match=why),
    ):
        estimator.fit(X, y)


# Four workers.


@pytest.fixture
def quartet(mortals: LocalCluster) -> Iterator[Client]:
    with Client(mortals) as client:
        yield client
        assert not keys_left(client)


def test_linear_codes_give_the_sum_to_rounding(quartet: Client) -> None:
    X, y = lazy(*rows())
    exact = LogisticRegression(solver="lbfgs", tol=1e-8).fit(X, y)
    for n_stragglers in (1, 2):
        with flowml.config_context(
            runtime="coded", straggler="cyclic", n_stragglers=n_stragglers, client=quartet
        ):
            model = LogisticRegression(solver="lbfgs", tol=1e-8).fit(X, y)
        np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-9)
        assert (model.history_.error_bound == 0.0).all()


@pytest.mark.parametrize("straggler", ["ignore", "stochastic"])
def test_estimates_say_by_how_much_they_may_be_wrong(quartet: Client, straggler: str) -> None:
    X, y = lazy(*rows(300_000))
    exact = SGDClassifier(loss="log_loss", random_state=0).fit(X, y)
    with flowml.config_context(runtime="coded", straggler=straggler, client=quartet):
        model = SGDClassifier(loss="log_loss", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=0.05)
    bounds = model.history_.error_bound
    assert (bounds[model.history_.stage == "survey"] == 0.0).all()
    assert bounds.max() > 0.0


@pytest.mark.timeout(90)
@pytest.mark.parametrize("straggler", ["backup", "fractional", "auto"])
def test_a_paused_worker_is_not_waited_for(quartet: Client, straggler: str) -> None:
    """From the second pass on a worker is paused, until after the fit."""
    pid = sorted(quartet.run(os.getpid).items())[1][1]
    incidents: list[str] = []
    moments: list[float] = []
    X = da.from_array(make_rows(20_000, FEATURES), chunks=(600, -1))
    undisturbed = PowerIteration(12).fit(X)

    def watch(event: Any) -> None:
        if isinstance(event, PassCompleted):
            moments.append(time.monotonic())
            if event.number == 1:
                os.kill(pid, signal.SIGSTOP)
        elif isinstance(event, Incident):
            incidents.append(event.what)

    settings = {"runtime": "coded", "straggler": straggler, "client": quartet}
    try:
        with flowml.config_context(callbacks=[watch], **settings):
            model = PowerIteration(12).fit(X)
    finally:
        os.kill(pid, signal.SIGCONT)
    np.testing.assert_array_equal(model.direction_, undisturbed.direction_)
    assert model.n_passes_ == 12
    assert moments[-1] - moments[0] < 20
    told = "(was|its rows) late" if straggler == "auto" else "hold copies of"
    assert any(re.search(told, what) for what in incidents)


def test_a_slow_worker_gets_less_to_do(quartet: Client) -> None:
    """Duty cycles of SIGSTOP slow one worker down; what is done about it is told."""
    pid = sorted(quartet.run(os.getpid).items())[2][1]
    incidents: list[str] = []
    X = da.from_array(make_rows(160_000, 40), chunks=(2_500, -1))
    undisturbed = PowerIteration(12).fit(X)
    over = threading.Event()

    def slow_down() -> None:
        while not over.is_set():
            for sent, seconds in ((signal.SIGSTOP, 0.07), (signal.SIGCONT, 0.01)):
                os.kill(pid, sent)
                time.sleep(seconds)

    def watch(event: Any) -> None:
        if isinstance(event, Incident):
            incidents.append(event.what)

    thread = threading.Thread(target=slow_down)
    thread.start()
    try:
        with flowml.config_context(
            runtime="coded", straggler="auto", client=quartet, callbacks=[watch]
        ):
            model = PowerIteration(12).fit(X)
    finally:
        over.set()
        thread.join()
        os.kill(pid, signal.SIGCONT)
    np.testing.assert_array_equal(model.direction_, undisturbed.direction_)
    assert any(re.search("(was|its rows) late|usually takes", what) for what in incidents)


@pytest.mark.parametrize("straggler", ["backup", "fractional", "none", "auto", "cyclic"])
def test_killed_workers_change_no_bit(mortals: LocalCluster, straggler: str) -> None:
    """A worker is killed in mid-fit; its nanny starts another one for the next test."""
    incidents: list[str] = []
    X = da.from_array(make_rows(20_000, FEATURES), chunks=(600, -1))
    with Client(mortals) as client:
        client.wait_for_workers(4, timeout=60)
        undisturbed = PowerIteration(12).fit(X)
        victim = max(client.run(os.getpid).values())

        def watch(event: Any) -> None:
            if isinstance(event, PassCompleted) and event.number == 2:
                os.kill(victim, signal.SIGKILL)
            elif isinstance(event, Incident):
                incidents.append(event.what)

        settings = {"runtime": "coded", "straggler": straggler, "client": client}
        with flowml.config_context(callbacks=[watch], **settings):
            model = PowerIteration(12).fit(X)
        assert not keys_left(client)
    if straggler == "cyclic":
        np.testing.assert_allclose(model.direction_, undisturbed.direction_, rtol=1e-9)
    else:
        np.testing.assert_array_equal(model.direction_, undisturbed.direction_)
    if straggler == "none":  # the others may be done before they miss it
        assert any("is gone: others do its parts" in what for what in incidents)
