"""A real iterative estimator for tests of the loop: the first principal direction, a pass a step.

`main` is the client process that a test interrupts or kills.
"""

import sys
import time
from typing import Any, NamedTuple

import numpy as np
from distributed import get_worker

import flowml
from flowml.drive.events import PassCompleted
from flowml.drive.stage import Stage
from flowml.estimator import PassEstimator
from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows, slices
from flowml.solvers.solver import Progress


class Product(NamedTuple):
    """X'X v, and how many of the leaves remembered an earlier pass."""

    product: Array
    rows: int


def summarise(ask: Array, rows: Rows, memory: dict[str, Any]) -> Product:
    product, count = np.zeros(len(ask)), 0
    if "norms" not in memory:
        memory["norms"] = [float((block.X**2).sum()) for block in rows]
    for part in slices(rows, 1024):
        product += part.X.T @ (part.X @ ask)
        count += part.X.shape[0]
    return Product(product, count)


def merge(left: Product, right: Product) -> Product:
    product = left.product
    product += right.product
    return Product(product, left.rows + right.rows)


PRODUCT = Fold(summarise, merge, uses_memory=True, additive=True)


class PowerState(NamedTuple):
    direction: Array
    value: float
    steps: int


class PowerSolver:
    fold = PRODUCT

    def __init__(self, n_features: int, max_passes: int) -> None:
        self.n_features = n_features
        self.max_passes = max_passes

    def init(self) -> PowerState:
        return PowerState(np.ones(self.n_features) / np.sqrt(self.n_features), 0.0, 0)

    def ask(self, state: PowerState) -> Array:
        return state.direction

    def step(self, state: PowerState, summary: Product) -> PowerState:
        value = float(np.linalg.norm(summary.product))
        return PowerState(summary.product / value, value, state.steps + 1)

    def done(self, state: PowerState) -> bool:
        return state.steps >= self.max_passes

    def progress(self, state: PowerState) -> Progress:
        return Progress(state.value, float("nan"))


class PowerIteration(PassEstimator):
    """The direction in which X'X is longest."""

    def __init__(self, max_iter: int = 20) -> None:
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any = None) -> "PowerIteration":
        with self._training(X) as session:
            state = session.solve("power", PowerSolver(self.n_features_in_, self.max_iter))
            self.direction_ = state.direction
        return self

    def _stages(self, schema: Any) -> list[Stage]:
        ask = np.ones(schema.n_features)
        return [Stage("power", PRODUCT, ask, self.max_iter, 1024 * schema.n_features * 8)]


def make_rows(n_rows: int = 20_000, n_features: int = 8) -> Array:
    """Gaussian rows; the same ones on every call."""
    return np.random.default_rng(0).normal(size=(n_rows, n_features))


def slowly(rows: Array, slow: str, seconds: float) -> Array:
    """Return rows, later at one worker."""
    time.sleep(seconds if get_worker().address == slow else 0.01)
    return rows


def say_pass(event: Any) -> None:
    if isinstance(event, PassCompleted):
        print("pass", event.number, flush=True)


def main() -> None:
    """Fit for ``argv[2]`` passes with a checkpoint after each, saying when a pass is done."""
    folder, passes = sys.argv[1], int(sys.argv[2])
    with flowml.config_context(checkpoint=folder, checkpoint_seconds=0, callbacks=[say_pass]):
        PowerIteration(max_iter=passes).fit(make_rows())
