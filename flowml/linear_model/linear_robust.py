"""Robust standard errors of least squares."""

from typing import Any

import numpy as np
from scipy import stats

from flowml.estimator import PassEstimator
from flowml.kernels.gram import Gram
from flowml.kernels.linear_loss import Point, Target
from flowml.linear_model.robust import score_products, with_scores
from flowml.losses.squared import SquaredLoss
from flowml.solvers.glm_statistics import (
    CLUSTER,
    Evidence,
    few_groups,
    inverse_curvature,
    robust_covariance,
    shown_covariance,
)
from flowml.solvers.least_squares import LeastSquares, Problem
from flowml.solvers.linear_statistics import CONFIDENCE, LinearStatistics


def robust_statistics(
    model: PassEstimator,
    statistics: LinearStatistics,
    learned: tuple[Gram, LeastSquares, Problem],
    target: int,
    rows: tuple[Any, Any, Any, Any],
    kind: str,
) -> tuple[LinearStatistics, list[str]]:
    """Return the statistics of one target with errors from a pass over the rows, and remarks.

    Tests are by the normal distribution; F is Wald's, that all coefficients besides the intercept
    are zero, with as many degrees of freedom as there are clusters, less one.
    """
    gram, solution, problem = learned
    encoding = getattr(model, "encoding_", None)
    n_numeric = problem.n_features if encoding is None else encoding.n_numeric
    evidence = _evidence(gram, solution, problem, target, n_numeric)
    point = Point(
        SquaredLoss(), Target(), evidence.coef, evidence.intercept, evidence.center, encoding
    )
    sums = score_products(model, point, evidence, rows, kind, target)
    evidence = with_scores(evidence, sums)
    inverse, used = inverse_curvature(evidence)
    covariance = shown_covariance(evidence, robust_covariance(evidence, sums, kind, inverse, used))
    std_err = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = statistics.coef / std_err
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * std_err
    slopes = slice(int(problem.fit_intercept), None)
    coef, q = statistics.coef[slopes], statistics.df_model
    precision = np.linalg.pinv(covariance[slopes, slopes], hermitian=True)
    f_statistic = np.nan if problem.alphas[target] else float(coef @ precision @ coef) / q
    df_residual = len(sums.groups.labels) - 1 if kind == CLUSTER else statistics.df_residual
    found = statistics._replace(
        std_err=std_err,
        statistic=statistic,
        p_value=2 * stats.norm.sf(np.abs(statistic)),
        ci_lower=statistics.coef - half,
        ci_upper=statistics.coef + half,
        f_statistic=f_statistic,
        f_p_value=float(stats.f.sf(f_statistic, q, df_residual)),
    )
    return found, few_groups(sums)


def _evidence(
    gram: Gram, solution: LeastSquares, problem: Problem, target: int, n_numeric: int
) -> Evidence:
    """Return what is known of one target's fit from its Gram matrix.

    Only numeric columns have a center.
    """
    p = problem.n_features
    center = np.zeros(p)
    if problem.fit_intercept:
        center[:n_numeric] = gram.mean[:n_numeric]
    mean = np.append(gram.mean[:p] - center, 1.0)
    curvature = gram.weight * np.outer(mean, mean)
    curvature[:p, :p] += gram.scatter[:p, :p]
    squares = np.zeros((1, p + 1))
    squares[:, :-1] = problem.alphas[target]
    free = np.ones((1, p + 1), dtype=bool)
    free[:, -1] = problem.fit_intercept
    return Evidence(
        gram.rows,
        gram.weight,
        solution.coef[[target]],
        solution.intercept[[target]],
        center,
        free,
        curvature,
        squares,
        np.nan,
        np.nan,
        np.nan,
        np.nan,
    )
