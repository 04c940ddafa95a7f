"""What contenders minimise where they are to reach the same objective, and how far they are."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

LARGEST_GAP = 1e-8
"""Of an objective from its minimum, relative to it."""


@dataclass(frozen=True)
class Problem:
    r"""Mean loss plus :math:`\frac{\lambda}{2} \|b\|^2`, the intercept free.

    Parameters
    ----------
    loss : {"logistic", "multinomial", "poisson"}
    alpha : float, optional
        The price :math:`\lambda` beside the mean loss; by default 1 / n_rows, scikit-learn's C=1.
    n_classes : int
    """

    loss: str
    alpha: float | None = None
    n_classes: int = 2

    @property
    def n_outputs(self) -> int:
        """Number of predictors for a row."""
        return self.n_classes if self.loss == "multinomial" else 1

    def price(self, n_rows: int) -> float:
        """Return what half a square costs."""
        return 1.0 / n_rows if self.alpha is None else self.alpha


def rows_of(folder: Path) -> tuple[Any, np.ndarray]:
    """Load what a problem is about: rows as they are, CSR, or ones and zeros for categories."""
    y = np.load(folder / "y.npy")
    if (folder / "X.npz").exists():
        return sp.load_npz(folder / "X.npz").tocsr(), y
    if (folder / "codes.npy").exists():
        return one_hot(np.load(folder / "codes.npy")), y
    return np.load(folder / "X.npy"), y


def one_hot(codes: np.ndarray) -> Any:
    """Return a CSR matrix with a column for each level."""
    levels = int(codes.max()) + 1
    n_rows, n_columns = codes.shape
    places = codes.astype(np.int32) + np.arange(n_columns, dtype=np.int32) * levels
    starts = np.arange(0, n_rows * n_columns + 1, n_columns)
    shape = (n_rows, n_columns * levels)
    return sp.csr_array((np.ones(places.size), places.ravel(), starts), shape=shape)


def values(problem: Problem, y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Return each row's loss; a constant less than minus the logarithm of the likelihood."""
    if problem.loss == "logistic":
        return np.logaddexp(0.0, eta[:, 0]) - y * eta[:, 0]
    if problem.loss == "poisson":
        least = np.where(y > 0, y * np.log(np.maximum(y, 1.0)) - y, 0.0)  # half the deviance
        return np.exp(eta[:, 0]) - y * eta[:, 0] + least
    top = eta.max(axis=1)
    total = np.log(np.exp(eta - top[:, np.newaxis]).sum(axis=1)) + top
    return total - eta[np.arange(len(y)), y.astype(np.intp)]


def objective(problem: Problem, folder: Path, coef: Any, intercept: Any) -> float:
    """Return the objective of a fitted model."""
    X, y = rows_of(folder)
    coef = np.asarray(coef, float).reshape(problem.n_outputs, -1)
    eta = X @ coef.T + np.ravel(intercept)
    return float(values(problem, y, eta).mean() + problem.price(len(y)) / 2 * np.sum(coef**2))


def gap(problem: Problem, folder: Path, coef: Any, intercept: Any) -> float:
    """Return how far a fitted model's objective is above the minimum, relative to it."""
    least = json.loads((folder / "optimum.json").read_text())
    return (objective(problem, folder, coef, intercept) - least) / abs(least)
