"""The one table of folds and estimators that the laws run over: a new one is a new row here."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flowml.kernels.column_extremes import COLUMN_EXTREMES
from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.fold import Fold
from flowml.kernels.gram import GRAM
from flowml.kernels.nonfinite import FIRST_NONFINITE
from flowml.kernels.normal_residual import NORMAL_RESIDUAL, Candidate, NormalResidual
from flowml.kernels.squared_error import SQUARED_ERROR, Predictor
from flowml.kernels.triangular import TRIANGLE, Triangle
from flowml.linear_model import LinearRegression, Ridge
from flowml.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

N_FEATURES = 4


def make_data(n_rows: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X around large means, y, and whole weights of which some are 0."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n_rows, N_FEATURES)) * [1, 2, 0.5, 3] + [0, 100, -5, 1e4]
    y = X @ [1.0, -2.0, 0.5, 0.1] + random.standard_normal(n_rows)
    weight = random.integers(0, 3, n_rows).astype(np.float64)
    return X, y, weight


@dataclass(frozen=True)
class FoldRow:
    """A fold under the laws.

    Parameters
    ----------
    name : str
    fold : Fold
    ask : what is asked of the rows of `make_data`
    with_y : bool
        Whether the blocks carry y.
    weighted : bool
        Whether the law of weights holds; a search for broken values looks at every row.
    row_counts : tuple of str
        Fields that add up over rows, whatever their weight above zero.
    view : callable
        Returns the values to compare of a summary, by name.
    """

    name: str
    fold: Fold
    ask: Any = None
    with_y: bool = False
    weighted: bool = True
    row_counts: tuple[str, ...] = ("rows",)
    view: Callable[[Any], dict[str, Any]] = operator.methodcaller("_asdict")


@dataclass(frozen=True)
class EstimatorRow:
    """An estimator under the laws.

    Parameters
    ----------
    name : str
    make : callable
        Returns a new estimator.
    learned : tuple of str
        The fitted attributes that hold what was learned.
    with_y : bool
    sparse : bool
        Whether it takes CSR.
    expected_failed_checks : dict of str to str
        Checks of scikit-learn's that can't pass, each with its reason.
    """

    name: str
    make: Callable[[], Any]
    learned: tuple[str, ...]
    with_y: bool = False
    sparse: bool = True
    expected_failed_checks: dict[str, str] = field(default_factory=dict)


COEF, INTERCEPT = np.array([[1.0, -2.0, 0.5, 0.2]]), np.array([3.0])
CENTER = np.array([0.0, 100.0, -5.0, 1e4, 800.0])


def triangle_view(triangle: Triangle) -> dict[str, Any]:
    """Return what the factor determines: its rows may differ in sign."""
    return {"rows": triangle.rows, "products": triangle.R.T @ triangle.R}


def residual_view(residual: NormalResidual) -> dict[str, Any]:
    """Return the sums: how they are split into two numbers may differ."""
    return {"sums": residual.high + residual.low}


FOLDS = [
    FoldRow("gram", GRAM, with_y=True, row_counts=("rows", "log_weight")),
    FoldRow("triangle", TRIANGLE, CENTER, with_y=True, view=triangle_view),
    FoldRow(
        "normal residual",
        NORMAL_RESIDUAL,
        Candidate(CENTER, COEF, INTERCEPT),
        with_y=True,
        view=residual_view,
    ),
    FoldRow("squared error", SQUARED_ERROR, Predictor(COEF, INTERCEPT), with_y=True),
    FoldRow("first non-finite value", FIRST_NONFINITE, ask=True, with_y=True, weighted=False),
    FoldRow("column moments", COLUMN_MOMENTS),
    FoldRow("column extremes", COLUMN_EXTREMES),
]

ESTIMATORS = [
    EstimatorRow("LinearRegression", LinearRegression, ("coef_", "intercept_"), with_y=True),
    EstimatorRow("Ridge", lambda: Ridge(alpha=2.0), ("coef_", "intercept_"), with_y=True),
    EstimatorRow(
        "StandardScaler", StandardScaler, ("mean_", "var_", "n_samples_seen_"), sparse=False
    ),
    EstimatorRow(
        "StandardScaler without mean",
        lambda: StandardScaler(with_mean=False),
        ("mean_", "var_", "n_samples_seen_"),
    ),
    EstimatorRow(
        "MinMaxScaler", MinMaxScaler, ("data_min_", "data_max_", "n_samples_seen_"), sparse=False
    ),
    EstimatorRow("MaxAbsScaler", MaxAbsScaler, ("max_abs_", "n_samples_seen_")),
]
