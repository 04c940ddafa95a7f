"""Fits on workers of which one is slow, and what decoding costs."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

import flowml
from benchmarks.contenders.inputs import chunked
from benchmarks.contenders.slowing import hogs, processor_shares
from benchmarks.contenders.turn import Run, Turn, Work, timed
from benchmarks.problem import Problem, gap
from flowml.estimator import adopt
from flowml.kernels.linear_loss import LOSS_GRADIENT, Point, Target
from flowml.linear_model import LogisticRegression
from flowml.losses.logistic import LogisticLoss
from flowml.runtimes.choose import open_runtime
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
def decoding(work: Work) -> Iterator[Run]:
    """Make passes of a logistic regression, and tell what share of them decoding takes."""
    X, y = (chunked(work.folder / f"{name}.npy", CHUNKS) for name in "Xy")
    n_features = X.shape[1]
    zero = np.zeros(n_features)
    target = Target(np.array([0.0, 1.0]))
    point = Point(LogisticLoss(), target, zero[np.newaxis], np.zeros(1), zero)
    with (
        _workers(work) as client,
        flowml.config_context(runtime="coded", straggler=work.options["straggler"]),
    ):
        model = LogisticRegression()
        runtime = open_runtime(adopt(model, X, y, None, model.needs), flowml.get_config())
        try:
            runtime.one_pass(LOSS_GRADIENT, point)
            pids = list(client.run(os.getpid).values())

            def run() -> Turn:
                before = runtime.seconds_decoding, runtime.seconds_in_passes
                with processor_shares(pids, SHARE):
                    for _ in range(PASSES):
                        sums = runtime.one_pass(LOSS_GRADIENT, point)
                seconds = runtime.seconds_in_passes - before[1]
                share = 100.0 * (runtime.seconds_decoding - before[0]) / seconds
                facts = {"% of the pass for decoding": share}
                return Turn(seconds / PASSES, {"gradient": sums.gradient.tolist()}, facts)

            yield run
        finally:
            runtime.close()


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
