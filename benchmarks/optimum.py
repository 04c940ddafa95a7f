"""The minimum that gaps are measured from: Newton's method with conjugate gradients, to rounding.

It is here, in plain NumPy, so that no contender is judged by its own work.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problem import Problem, rows_of, values

STEPS, INNER_STEPS = 50, 500
FALL = 1e-13
"""A step that promises less than this share of the objective is the last."""


def write_optimum(problem: Problem, folder: Path) -> float:
    """Minimise, write ``optimum.json`` and return the least objective."""
    X, y = rows_of(folder)
    least = minimise(problem, X, y)
    (folder / "optimum.json").write_text(json.dumps(least))
    return least


def minimise(problem: Problem, X: Any, y: np.ndarray) -> float:
    """Return the least objective."""
    price = problem.price(len(y))
    theta = np.zeros((problem.n_outputs, X.shape[1] + 1))
    theta[:, -1] = _start(problem, y)
    value = _value(problem, X, y, theta, price)
    for _ in range(STEPS):
        slope, bend = _derivatives(problem, y, _eta(X, theta))
        penalised = price * np.append(np.ones(X.shape[1]), 0.0)
        gradient = _gathered(X, slope) / len(y) + penalised * theta

        def curve(v: np.ndarray, bend: Any = bend, penalised: Any = penalised) -> np.ndarray:
            return _gathered(X, bend(_eta(X, v))) / len(y) + penalised * v

        step = _solve(curve, -gradient)
        promise = float(np.vdot(gradient, step))
        share, after = 1.0, _value(problem, X, y, theta + step, price)
        while not after <= value + 1e-4 * share * promise + 1e-14 * abs(value):
            share /= 2
            after = _value(problem, X, y, theta + share * step, price)
        theta, value = theta + share * step, after
        if -promise <= FALL * abs(value):
            break
    return value


def _start(problem: Problem, y: np.ndarray) -> np.ndarray:
    """Return the best intercepts without features."""
    if problem.loss == "poisson":
        return np.array([np.log(y.mean())])
    shares = np.bincount(y.astype(np.intp), minlength=problem.n_classes) / len(y)
    logs = np.log(np.maximum(shares, 1e-12))
    return logs - logs.mean() if problem.loss == "multinomial" else logs[[1]] - logs[0]


def _eta(X: Any, theta: np.ndarray) -> np.ndarray:
    return np.asarray(X @ theta[:, :-1].T) + theta[:, -1]


def _gathered(X: Any, of_rows: np.ndarray) -> np.ndarray:
    return np.column_stack([np.asarray(X.T @ of_rows).T, of_rows.sum(axis=0)])


def _value(problem: Problem, X: Any, y: np.ndarray, theta: np.ndarray, price: float) -> float:
    losses = values(problem, y, _eta(X, theta))
    return float(losses.mean() + price / 2 * np.sum(theta[:, :-1] ** 2))


def _derivatives(
    problem: Problem, y: np.ndarray, eta: np.ndarray
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return the gradient by the predictors, and the curvature as a function."""
    if problem.loss == "poisson":
        mean = np.exp(eta)
        return mean - y[:, np.newaxis], lambda v: mean * v
    if problem.loss == "logistic":
        p = 1.0 / (1.0 + np.exp(-eta))
        return p - y[:, np.newaxis], lambda v: p * (1.0 - p) * v
    p = np.exp(eta - eta.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    slope = p.copy()
    slope[np.arange(len(y)), y.astype(np.intp)] -= 1.0
    return slope, lambda v: p * (v - (p * v).sum(axis=1, keepdims=True))


def _solve(curve: Callable[[np.ndarray], np.ndarray], target: np.ndarray) -> np.ndarray:
    """Solve by conjugate gradients, more exactly the nearer the minimum."""
    x, residual = np.zeros_like(target), target.copy()
    way, square = residual.copy(), float(np.vdot(residual, residual))
    enough = square * min(0.01, square**0.5)
    for _ in range(INNER_STEPS):
        curved = curve(way)
        bend = float(np.vdot(way, curved))
        if bend <= 0.0:
            break
        share = square / bend
        x, residual = x + share * way, residual - share * curved
        square, before = float(np.vdot(residual, residual)), square
        if square <= enough:
            break
        way = residual + square / before * way
    return x
