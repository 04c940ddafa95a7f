"""Passes over coded columns: the gradient without those who are late, paused or gone."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client

import flowml
from flowml.cluster import KMeans
from flowml.drive.events import Incident, PassCompleted
from flowml.estimator import adopt
from flowml.kernels.linear_loss import LOSS_GRADIENT, Target
from flowml.kernels.rows import Block
from flowml.linear_model import LogisticRegression, PoissonRegressor, SGDClassifier
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Derivatives
from flowml.penalties.elastic_net import ElasticNet
from flowml.runtimes.choose import open_runtime
from flowml.runtimes.runtime import Turn
from flowml.solvers.block_descent import BlockDescent
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start
from flowml.testing import Faults, assert_clean

ROWS, FEATURES, CHUNK, WORKERS = 3_000, 30, 400, 4
SETTINGS = {"runtime": "coded", "straggler": "directional"}


def rows(n_classes: int = 2) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, FEATURES)) + random.normal(size=FEATURES)
    scores = X @ random.normal(size=(FEATURES, n_classes)) + random.gumbel(size=(ROWS, n_classes))
    y = scores.argmax(axis=1).astype(float)
    return da.from_array(X, chunks=(CHUNK, -1)), da.from_array(y, chunks=CHUNK)


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


def test_who_hesitates_does_not_bring_back_who_is_paused(faults: Faults) -> None:
    """One can be spared: the paused one is, and the other one is waited for."""
    data, moments = rows(), []
    expected = solved_before(data)
    paused, hesitant = sorted(faults.workers)[:2]
    pid = faults.workers[paused]

    def strike(event: Any) -> None:
        if isinstance(event, PassCompleted):
            moments.append(time.monotonic())
            if event.number == 2:
                os.kill(pid, signal.SIGSTOP)
            if event.number == 5:
                faults.pause(hesitant, seconds=1.0)

    model = LogisticRegression(solver="lbfgs", tol=1e-8)
    go_on = threading.Timer(30.0, os.kill, (pid, signal.SIGCONT))
    go_on.start()
    try:
        with Client(faults.cluster) as client:
            with flowml.config_context(client=client, callbacks=[strike], **SETTINGS):
                model.fit(*data)
            os.kill(pid, signal.SIGCONT)
            assert_clean(client)
    finally:
        go_on.cancel()
        os.kill(pid, signal.SIGCONT)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-6)
    assert moments[-1] - moments[1] < 20


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
    made = [what for what in told if "coded columns of" in what]
    assert len(made) in (2, 3), "columns for three are begun where the second is missed later"
    assert made[-1].endswith("2 workers")
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-6)


@dataclass(frozen=True)
class Watched(LogisticLoss):
    """Tells whenever the loss is asked for, which is in the midst of a pass."""

    called: Callable[[], None] = print

    def derivatives(self, y: Any, eta: Any) -> Derivatives:
        self.called()
        return super().derivatives(y, eta)


def test_blocks_of_those_who_are_late_are_left_out(faults: Faults) -> None:
    """Two of four are paused in mid-pass, where one can be made up for, until three passes later.

    What came is exact, what didn't stays as it is, and the descent ends at the minimum.
    """
    X, y = map(np.asarray, rows())
    loss, calls, turns = Watched(called=lambda: strike()), count(1), list[Turn]()
    objective = Objective(loss, ElasticNet(l2=0.01), Target(), X.mean(axis=0), X.std(axis=0))
    start = Start(np.zeros(objective.shape), np.zeros(objective.shape), np.inf)
    solver, paused = BlockDescent(objective, start, 1e-7, 500), list(faults.workers.values())[:2]
    exact = replace(objective, loss=LogisticLoss())

    def strike() -> None:
        if next(calls) == 3:
            for pid in paused:
                os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in paused:
            os.kill(pid, signal.SIGCONT)

    model = LogisticRegression()
    with Client(faults.cluster) as client, flowml.config_context(client=client, **SETTINGS):
        runtime = open_runtime(adopt(model, *rows(), None, model.needs), flowml.get_config())
        state = solver.init()
        try:
            for advance in runtime.iterate(solver, state):
                before, state = state, advance.state
                turns.extend(advance.turns)
                if sum(turn.missing > 0 for turn in turns) == 3:
                    go_on()
                if state.n_iter == before.n_iter:
                    continue
                sums = LOSS_GRADIENT(exact.point(state.theta), [Block(X, y, None)], {})
                evaluation = exact.evaluate(sums, state.theta)
                seen = state.unseen == 0
                assert state.value == pytest.approx(evaluation.value, rel=1e-12)
                np.testing.assert_allclose(
                    state.best.gradient[seen], evaluation.gradient[seen], atol=1e-12
                )
                np.testing.assert_array_equal(state.tried[~seen], state.theta[~seen])
                assert seen.all() == (turns[-1].missing == 0)
        finally:
            go_on()
            runtime.close()
    assert state.converged
    assert [turn.missing > 0 for turn in turns[:5]] == [False, False, True, True, True]
    assert [turn.error_bound > 0.0 for turn in turns] == [turn.missing > 0 for turn in turns]
    alone, _ = solve_in_memory(Newton(exact, start, 1e-10, 50), [Block(X, y, None)])
    np.testing.assert_allclose(state.theta, alone.theta, atol=1e-6)


def test_two_slow_workers_lose_no_digit(faults: Faults) -> None:
    data = rows()
    model = LogisticRegression(C=0.01, solver="block_descent", tol=1e-7, max_iter=500)
    expected = LogisticRegression(C=0.01, solver="newton", tol=1e-10).fit(*data)
    with Client(faults.cluster) as client:
        for worker in sorted(faults.workers)[:2]:
            faults.slow(worker, factor=8.0)
        fit(client, model, data)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    history = model.history_
    assert history.missing.iloc[-1] == 0
    assert ((history.missing > 0) == (history.error_bound > 0.0)).all()


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"), [("add_worker", r"5 workers$"), ("retire", "gone: its columns are decoded")]
)
def test_workers_that_come_and_leave(faults: Faults, change: str, told: str) -> None:
    """Columns are made anew for more workers, and decoded for one less."""
    data = rows()
    model = LogisticRegression(solver="fista", l1_ratio=1.0, C=0.01, tol=1e-8)
    expected = model.fit(*data).coef_
    act = faults.at("pass 2", getattr(faults, change))

    def strike(event: Any) -> None:
        act(event)
        time.sleep(0.1)

    with Client(faults.cluster) as client:
        incidents = fit(client, model, data, strike)
    assert act.happened
    assert any(re.search(told, what) for what in incidents)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-7, atol=1e-9)
