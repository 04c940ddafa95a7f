"""Fits on workers of which one is slow, and what decoding costs."""

import logging
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from distributed import Client, LocalCluster

import flowml
from benchmarks.contenders.inputs import chunked
from benchmarks.contenders.slowing import hogs, processor_shares
from benchmarks.contenders.turn import Run, Turn, Work, timed
from benchmarks.problem import Problem, gap
from flowml.estimator import adopt
from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import LOSS_GRADIENT, Point, Target
from flowml.linear_model import LogisticRegression
from flowml.losses.logistic import LogisticLoss
from flowml.runtimes.choose import open_runtime
from flowml.solvers.solver import Progress
from flowml.testing import assert_clean

CHUNKS = 96
SHARE = 0.1
"""Of a processor, for each worker."""
PASSES = 20


@contextmanager
def logistic(work: Work) -> Iterator[Run]:
    """Fit with ``options["straggler"]``; ``options["hogs"]`` processes share a worker's share."""
    problem = Problem(**work.options["problem"])
    settings = {"runtime": "coded", "straggler": work.options["straggler"]}

    def fit() -> LogisticRegression:
        X, y = (chunked(work.folder / f"{name}.npy", CHUNKS) for name in "Xy")
        with flowml.config_context(**settings):
            return LogisticRegression(solver="lbfgs", tol=work.options["tol"]).fit(X, y)

    with _workers(work) as client:
        fit()  # imports, compiles
        pids = list(client.run(os.getpid).values())

        def run() -> Turn:
            with processor_shares(pids, SHARE) as groups, ExitStack() as stack:
                if work.options["hogs"]:
                    stack.enter_context(hogs(groups[0], work.options["hogs"]))
                turn = timed(fit, lambda model: told.update(model=model) or {})()
            assert_clean(client)
            model = told["model"]
            apart = gap(problem, work.folder, model.coef_, model.intercept_)
            median = float(model.history_["seconds"].median())
            facts = {"gap": apart, "passes": float(model.n_passes_), "median pass": median}
            return Turn(turn.seconds, {"coefficients": np.ravel(model.coef_).tolist()}, facts)

        told: dict[str, Any] = {}
        yield run


@contextmanager
def passes(work: Work) -> Iterator[Run]:
    """Make passes of a logistic regression, and tell what share of them decoding takes.

    ``options["hogs"]`` processes share the first worker's share of a processor.
    """
    X, y = (chunked(work.folder / f"{name}.npy", CHUNKS) for name in "Xy")
    coef = np.full((1, X.shape[1]), X.shape[1] ** -0.5)
    target = Target(np.array([0.0, 1.0]))
    point = Point(LogisticLoss(), target, coef, np.zeros(1), np.zeros(X.shape[1]))
    with (
        _workers(work) as client,
        flowml.config_context(runtime="coded", straggler=work.options["straggler"]),
    ):
        model = LogisticRegression()
        runtime = open_runtime(adopt(model, X, y, None, model.needs), flowml.get_config())
        try:
            _repeat(runtime, Repeated(LOSS_GRADIENT, point, 2))
            pids = list(client.run(os.getpid).values())

            def run() -> Turn:
                before = runtime.seconds_decoding, runtime.seconds_in_passes
                with processor_shares(pids, SHARE) as groups, ExitStack() as stack:
                    if work.options["hogs"]:
                        stack.enter_context(hogs(groups[0], work.options["hogs"]))
                    seconds, sums = _repeat(runtime, Repeated(LOSS_GRADIENT, point, PASSES))
                decoding = runtime.seconds_decoding - before[0]
                share = 100.0 * decoding / (runtime.seconds_in_passes - before[1])
                facts = {"% of the pass for decoding": share}
                gradient = sums.gradient.tolist()
                return Turn(statistics.median(seconds), {"gradient": gradient}, facts)

            yield run
        finally:
            runtime.close()


class Asked(NamedTuple):
    """How often was asked, and what came last."""

    times: int
    summary: Any


@dataclass(frozen=True)
class Repeated:
    """The solver that asks the same in every pass."""

    fold: Fold
    question: Any
    max_passes: int

    def init(self) -> Asked:
        return Asked(0, None)

    def ask(self, state: Asked) -> Any:
        return self.question

    def step(self, state: Asked, summary: Any) -> Asked:
        return Asked(state.times + 1, summary)

    def done(self, state: Asked) -> bool:
        return state.times == self.max_passes

    def progress(self, state: Asked) -> Progress:
        return Progress(float("nan"), float("nan"))


def _repeat(runtime: Any, solver: Repeated) -> tuple[list[float], Any]:
    """Return what each pass took, and the last one's summary."""
    state, seconds = solver.init(), []
    for advance in runtime.iterate(solver, state):
        state = advance.state
        seconds += [turn.seconds for turn in advance.turns]
    return seconds, state.summary


@contextmanager
def _workers(work: Work) -> Iterator[Client]:
    options = {"threads_per_worker": 1, "silence_logs": logging.CRITICAL}
    with (
        LocalCluster(
            n_workers=work.options["workers"], dashboard_address=":0", **options
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
