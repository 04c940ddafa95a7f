"""Standard errors, tests and measures of fit of a linear model, from the fit's summaries alone."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from flowml.kernels.gram import Gram
from flowml.kernels.rows import Array
from flowml.solvers.least_squares import (
    Equations,
    LeastSquares,
    Problem,
    inverse_root,
    spectrum_of,
    target_totals,
)

CONFIDENCE = 0.95


class LinearStatistics(NamedTuple):
    """What can be said of one target's fit; the intercept, where there is one, comes first.

    Attributes
    ----------
    coef, std_err, statistic, p_value, ci_lower, ci_upper : ndarray of shape (n_coefficients,)
    n_rows : int
    df_model, df_residual : float
        Degrees of freedom: of the coefficients besides the intercept, and of what is left.
    sigma : float
        Standard deviation of the residuals.
    r_squared, adjusted_r_squared : float
    f_statistic, f_p_value : float
        That all coefficients besides the intercept are zero; NaN with a penalty.
    log_likelihood, aic, bic : float
        Of normal residuals.
    condition_number : float
        Of the columns as they came, with the intercept's.
    """

    coef: Array
    std_err: Array
    statistic: Array
    p_value: Array
    ci_lower: Array
    ci_upper: Array
    n_rows: int
    df_model: float
    df_residual: float
    sigma: float
    r_squared: float
    adjusted_r_squared: float
    f_statistic: float
    f_p_value: float
    log_likelihood: float
    aic: float
    bic: float
    condition_number: float


def linear_statistics(
    gram: Gram, equations: Equations, solution: LeastSquares, problem: Problem, target: int
) -> LinearStatistics:
    r"""Describe one target's fit.

    With :math:`A = (X^\top W X + \alpha I)^{-1}` of centred columns, the coefficients' covariance
    is :math:`s^2 A X^\top W X A`: that of the estimator, about its own (for a penalty, shrunken)
    mean. The degrees of freedom that a penalty leaves to the coefficients are
    :math:`\mathrm{tr}(A X^\top W X)`.
    """
    alpha, constant = float(problem.alphas[target]), int(problem.fit_intercept)
    root = inverse_root(spectrum_of(equations, alpha))
    left = equations.left
    XX = left if equations.squared else left.T @ left
    influence = XX @ root
    df_model = float(np.sum(root * influence)) if alpha else float(root.shape[1])
    df_residual = max(gram.rows - constant - df_model, 0.0)
    covariance = root @ (root.T @ influence) @ root.T if alpha else root @ root.T
    residual, total = solution.residual[target], target_totals(gram, problem)[1][target]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = residual / df_residual if df_residual > 0 else np.nan
        mean = gram.mean[: problem.n_features]
        variances = covariance.diagonal()
        coef = solution.coef[target]
        if constant:
            variances = np.r_[1 / gram.weight + mean @ covariance @ mean, variances]
            coef = np.r_[solution.intercept[target], coef]
        std_err = np.sqrt(np.maximum(variances, 0) * variance)
        statistic = coef / std_err
        half = stats.t.ppf((1 + CONFIDENCE) / 2, df_residual) * std_err
        r_squared = 1 - residual / total
        f_statistic = np.nan if alpha else (total - residual) / df_model / variance
        log_likelihood = _log_likelihood(gram, residual)
        used = df_model + constant
        return LinearStatistics(
            coef=coef,
            std_err=std_err,
            statistic=statistic,
            p_value=2 * stats.t.sf(np.abs(statistic), df_residual),
            ci_lower=coef - half,
            ci_upper=coef + half,
            n_rows=int(gram.rows),
            df_model=df_model,
            df_residual=df_residual,
            sigma=float(np.sqrt(variance)),
            r_squared=float(r_squared),
            adjusted_r_squared=float(1 - variance * (gram.rows - constant) / total),
            f_statistic=float(f_statistic),
            f_p_value=float(stats.f.sf(f_statistic, df_model, df_residual)),
            log_likelihood=log_likelihood,
            aic=2 * used - 2 * log_likelihood,
            bic=float(np.log(gram.rows)) * used - 2 * log_likelihood,
            condition_number=condition_number(gram, equations, problem),
        )


def condition_number(gram: Gram, equations: Equations, problem: Problem) -> float:
    """Return the condition of the columns as they came, with the intercept's column of ones."""
    spectrum = spectrum_of(equations, 0.0)
    if spectrum.rank < problem.n_features:
        return float(np.inf)
    rows = spectrum.values[:, np.newaxis] * spectrum.vectors[:, : len(spectrum.values)].T
    rows = rows * spectrum.scale
    if problem.fit_intercept:
        weight, mean = np.sqrt(gram.weight), gram.mean[: problem.n_features]
        rows = np.vstack([np.zeros(rows.shape[1]), rows])
        rows = np.column_stack([np.zeros(len(rows)), rows])
        rows[0] = np.r_[weight, weight * mean]
    values = np.linalg.svd(rows, compute_uv=False)
    return float(values[0] / values[-1])


def _log_likelihood(gram: Gram, residual: float) -> float:
    half = gram.rows / 2
    return float(-half * np.log(residual) - half * (1 + np.log(np.pi / half)) + gram.log_weight / 2)
