"""The curvature of categorical columns as if they were independent, and fits of many labels."""

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from flowml.kernels.column_curvature import column_curvature
from flowml.kernels.linear_loss import LOSS_CURVATURE, Target
from flowml.kernels.mixed import Mixed
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Block
from flowml.linear_model import LogisticRegression, PoissonRegressor
from flowml.losses.families import Poisson
from flowml.losses.family_loss import family_loss
from flowml.losses.links import Log
from flowml.losses.squared import SquaredLoss
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.margins import margins
from flowml.solvers.objective import Objective

LEVELS = (np.array(["a", "b", "c"]), np.array(["x", "y"]))
MANY = 5000


def every_combination() -> tuple[Block, np.ndarray]:
    """Return rows in which all columns are independent, and the shares of the labels."""
    design = np.array(list(itertools.product([-1.0, 3.0], range(3), [0, 0, 1])))
    X = Mixed(design[:, :1], design[:, 1:].astype(np.int32), LEVELS)
    return Block(X, np.ones(len(X)), None), np.array([1 / 3, 1 / 3, 1 / 3, 2 / 3, 1 / 3])


@pytest.mark.parametrize("drop_first", [False, True])
@pytest.mark.parametrize("loss", [SquaredLoss(), family_loss(Poisson(), Log())])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_it_is_the_curvature_where_columns_are_independent(
    drop_first: bool, loss: Any, fit_intercept: bool
) -> None:
    rows, shares = every_combination()
    encoding = Encoding(1, LEVELS, drop_first, (False, False))
    kept = np.array([not drop_first, True, True, not drop_first, True])
    shares, group = shares[kept], np.array([0, 0, 0, 1, 1])[kept]
    center = np.zeros(1 + len(shares))
    center[0] = 1.0
    scale = np.append(2.0, np.sqrt(shares * (1 - shares)))
    penalty = ElasticNet(l2=0.1)
    objective = Objective(loss, penalty, Target(), center, scale, fit_intercept, encoding)
    theta = np.zeros(objective.shape)
    point = objective.point(theta)
    found = margins(objective, shares, group, column_curvature(point, [rows]))
    assert found is not None
    H = objective.evaluate(LOSS_CURVATURE(point, [rows], {}), theta).curvature
    assert H is not None
    H[:-1, :-1] += np.diag(0.1 / scale**2)
    if fit_intercept:
        step = np.random.default_rng(0).standard_normal(theta.shape)
        np.testing.assert_allclose(found.solve(step @ H), step, rtol=1e-10)
    else:
        np.testing.assert_allclose(found.diagonal[0], np.diag(H)[:-1], rtol=1e-12)


def skewed(n_rows: int, n_levels: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of levels of unequal weight, related to each other, and their effects."""
    random = np.random.default_rng(0)
    common = random.random((n_rows, 1))
    mixed = np.where(random.random((n_rows, n_columns)) < 0.2, common, random.random(common.shape))
    own = random.random((n_rows, n_columns))
    codes = (n_levels * np.where(random.random(own.shape) < 0.3, mixed, own) ** 2).astype(np.int32)
    return codes, random.standard_normal((n_columns, n_levels))


def frame_of(codes: np.ndarray, n_levels: int) -> pd.DataFrame:
    columns = {
        f"c{j:02}": pd.Categorical.from_codes(codes[:, j], np.arange(n_levels))
        for j in range(codes.shape[1])
    }
    return pd.DataFrame(columns)


def one_hot(codes: np.ndarray, n_levels: int) -> Any:
    """Return a CSR matrix of the levels that are there."""
    places = codes + n_levels * np.arange(codes.shape[1])
    starts = np.arange(0, codes.size + 1, codes.shape[1])
    X = sp.csr_array((np.ones(codes.size), places.ravel(), starts))
    return X[:, np.flatnonzero(X.sum(axis=0))]


def test_few_passes_suffice_for_unequal_levels_that_are_related() -> None:
    codes, effects = skewed(60_000, 1000, 3)
    eta = 0.7 * np.take_along_axis(effects.T, codes, axis=0).sum(axis=1)
    random = np.random.default_rng(1)
    frame, X = frame_of(codes, 1000), one_hot(codes, 1000)
    count = random.poisson(np.exp(eta)).astype(float)
    model = PoissonRegressor(alpha=1e-3, tol=1e-6).fit(frame, count)
    assert model.solver_used_ == "lbfgs"
    assert model.n_passes_ <= 30  # 48 without
    slope = X.T @ (np.exp(X @ model.coef_ + model.intercept_) - count) / len(count)
    assert np.abs(slope + 1e-3 * model.coef_).max() < 1e-5
    label = (random.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(int) + (eta > 3)
    classes = LogisticRegression(C=0.01, tol=1e-6).fit(frame, label)
    assert classes.solver_used_ == "lbfgs"
    assert classes.n_passes_ <= 25  # 72 without
    p = classes.predict_proba(frame) - (label[:, np.newaxis] == classes.classes_)
    assert np.abs(0.01 * (X.T @ p) + classes.coef_.T).max() < 1e-3


def test_a_hundred_thousand_levels_in_little_memory() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, MANY, (50_000, 20), dtype=np.int32)
    codes[:MANY] = np.arange(MANY)[:, np.newaxis]  # every level is there
    effects = 0.1 * random.standard_normal((20, MANY))
    eta = np.take_along_axis(effects.T, codes, axis=0).sum(axis=1)
    y = random.poisson(np.exp(eta)).astype(float)
    frame = frame_of(codes, MANY)
    tracemalloc.start()
    model = PoissonRegressor(alpha=1e-3, tol=1e-6).fit(frame, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.coef_.shape == (20 * MANY,)
    assert peak < 200e6  # products of the columns would take 80 GB, the one-hot matrix 40 GB
    X = one_hot(codes, MANY)
    slope = X.T @ (np.exp(X @ model.coef_ + model.intercept_) - y) / len(y)
    assert np.abs(slope + 1e-3 * model.coef_).max() < 1e-7
    np.testing.assert_allclose(
        model.predict(frame), np.exp(X @ model.coef_ + model.intercept_), rtol=1e-12
    )
