"""Standard errors, tests and measures of fit of a generalised linear model, from sums alone."""

from typing import NamedTuple

import numpy as np
from scipy import linalg, stats

from flowml.kernels.rows import Array
from flowml.kernels.score_products import ScoreProducts
from flowml.losses.families import Totals
from flowml.losses.likelihood import Likelihood
from flowml.solvers.least_squares import INVOLVED

CONFIDENCE = 0.95
CLUSTER = "cluster"
LEVERAGE_POWERS = {"HC0": 0.0, "HC1": 0.0, "HC2": 0.5, "HC3": 1.0, CLUSTER: 0.0}
"""By which power of one less its leverage a row's score is divided."""
ENOUGH_GROUPS = 40
CONSTANT = 1e-14
"""Share of a column's squares below which what is left about its center is rounding."""
COLLINEAR = 1e-12
"""Share of the largest eigenvalue below which a direction is taken to be flat."""


class Evidence(NamedTuple):
    r"""What a summary is made from: sums over the rows at the coefficients.

    Attributes
    ----------
    rows, weight : float
        Of the rows with a weight above zero.
    coef : ndarray of shape (n_outputs, n_features)
    intercept : ndarray of shape (n_outputs,)
    center : ndarray of shape (n_features,)
        What the columns of `curvature` are less.
    free : bool ndarray of shape (n_outputs, n_features + 1)
        Which parameters were fitted.
    curvature : ndarray of shape (n_outputs * (n_features + 1),) twice, or None
        :math:`\sum_i w_i\, h_i \otimes z_i z_i^\top` with :math:`z_i = [x_i - c, 1]`; None where
        the solver made none.
    squares : ndarray of shape (n_outputs, n_features + 1)
        The penalty is half the sum of these times the squared parameters.
    value : float
        :math:`\sum_i w_i \ell_i`
    pearson : float
        :math:`\sum_i w_i (y_i - \mu_i)^2 / V(\mu_i)`; 0 where the dispersion is known.
    null_value : float
        The sum of the best constant prediction; NaN where it isn't known.
    constant : float
        What the rows add to the log-likelihood whatever is predicted.
    """

    rows: float
    weight: float
    coef: Array
    intercept: Array
    center: Array
    free: Array
    curvature: Array | None
    squares: Array
    value: float
    pearson: float
    null_value: float
    constant: float


class GlmStatistics(NamedTuple):
    """What can be said of a fit; of each output the intercept, where there is one, comes first.

    Attributes
    ----------
    coef, std_err, statistic, p_value, ci_lower, ci_upper : ndarray of shape (n_coefficients,)
    n_rows : int
    df_model, df_residual : float
        Degrees of freedom: of the coefficients besides the intercepts, and of what is left.
    dispersion : float
        Known, or Pearson's statistic over `df_residual`.
    deviance, null_deviance : float
        Twice what the log-likelihood, for a dispersion of one, is below the highest possible one.
    log_likelihood, null_log_likelihood : float
        Of the fit, and of the best constant prediction.
    pseudo_r_squared : float
        McFadden's: one less the ratio of the two.
    aic, bic : float
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
    dispersion: float
    deviance: float
    null_deviance: float
    log_likelihood: float
    null_log_likelihood: float
    pseudo_r_squared: float
    aic: float
    bic: float


def glm_statistics(
    evidence: Evidence, likelihood: Likelihood, robust: Array | None = None
) -> GlmStatistics:
    r"""Describe a fit.

    With the curvature H of the summed losses and :math:`A = (H + \Lambda)^{-1}`, where a ridge
    penalty is :math:`\tfrac{1}{2} b^\top \Lambda b`, the covariance is :math:`\phi A H A`: that of
    the estimator, about its own (for a penalty, shrunken) mean. A penalty leaves
    :math:`\mathrm{tr}(A H)` degrees of freedom to the coefficients. Where the outputs are classes,
    the coefficients are those of each class against the first.

    Parameters
    ----------
    evidence : Evidence
    likelihood : Likelihood
    robust : ndarray of shape (n_outputs * (n_features + 1),) twice, optional
        Covariance of the parameters about the center, instead of the one above.
    """
    inverse, used = inverse_curvature(evidence)
    assert evidence.curvature is not None
    constants = int(evidence.free[min(1, len(evidence.free) - 1) :, -1].sum())
    df_residual = max(evidence.rows - used, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = likelihood.dispersion
        dispersion = evidence.pearson / df_residual if known is None else known
        is_robust = robust is not None
        if robust is None:
            robust = dispersion * inverse @ evidence.curvature @ inverse
        parameters = np.column_stack([evidence.coef, evidence.intercept]).ravel()
        coef = shown_parameters(evidence) @ parameters
        std_err = np.sqrt(np.maximum(np.diag(shown_covariance(evidence, robust)), 0.0))
        statistic = coef / std_err
        spread = stats.t(df_residual) if known is None and not is_robust else stats.norm
        half = spread.ppf((1 + CONFIDENCE) / 2) * std_err
        fit = _log_likelihood(evidence, likelihood, evidence.value, dispersion)
        null = _log_likelihood(evidence, likelihood, evidence.null_value, dispersion)
        return GlmStatistics(
            coef=coef,
            std_err=std_err,
            statistic=statistic,
            p_value=2 * spread.sf(np.abs(statistic)),
            ci_lower=coef - half,
            ci_upper=coef + half,
            n_rows=int(evidence.rows),
            df_model=used - constants,
            df_residual=df_residual,
            dispersion=dispersion,
            deviance=2 * evidence.value,
            null_deviance=2 * evidence.null_value,
            log_likelihood=fit,
            null_log_likelihood=null,
            pseudo_r_squared=1 - fit / null,
            aic=2 * used - 2 * fit,
            bic=float(np.log(evidence.rows)) * used - 2 * fit,
        )


def inverse_curvature(evidence: Evidence) -> tuple[Array, float]:
    r"""Return :math:`A = (H + \Lambda)^{-1}` and the degrees of freedom :math:`\mathrm{tr}(A H)`.

    Parameters that weren't free have zeros. Of directions in which the curvature is flat (all
    classes moving together, collinear columns) nothing is known: A leaves them out.
    """
    kept = evidence.free.ravel()
    assert evidence.curvature is not None
    H = evidence.curvature[np.ix_(kept, kept)]
    bend = H + np.diag(evidence.squares.ravel()[kept])
    diagonal = np.diag(bend)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    root = _inverse_root(bend / scale / scale[:, np.newaxis]) / scale[:, np.newaxis]
    inverse = np.zeros_like(evidence.curvature)
    inverse[np.ix_(kept, kept)] = root @ root.T
    if not evidence.squares.any():
        return inverse, float(root.shape[1])
    return inverse, float(np.sum(root * (H @ root)))


def collinear_columns(evidence: Evidence) -> tuple[Array, int]:
    """Return which columns others make up, weighted as the fit weighs rows, and the rank of all.

    Constant columns aren't among them: their coefficients are zero.
    """
    assert evidence.curvature is not None
    size = evidence.free.shape[1]
    H, c = evidence.curvature[:size, :size], evidence.center
    bend = np.diag(H)[:-1]
    about_zero = bend + 2 * c * H[:-1, -1] + c * c * H[-1, -1]
    kept = evidence.free[0] & np.append(bend > CONSTANT * about_zero, True)
    involved = np.zeros(size, dtype=bool)
    scale = np.sqrt(np.diag(H)[kept])
    A = H[np.ix_(kept, kept)] / scale / scale[:, np.newaxis]
    n_flat = 0
    if not _is_definite(A):
        values, vectors = np.linalg.eigh(A)
        flat = values <= COLLINEAR * len(A) * values[-1]
        involved[kept] = np.linalg.norm(vectors[:, flat], axis=1) > INVOLVED
        n_flat = int(flat.sum())
    return involved[:-1], int(kept[:-1].sum()) - n_flat


def robust_covariance(
    evidence: Evidence, sums: ScoreProducts, kind: str, inverse: Array, used: float
) -> Array:
    r"""Return the sandwich :math:`A B A` of the inverse curvature and products of scores.

    H. White 1980, "A heteroskedasticity-consistent covariance matrix estimator"; J. G. MacKinnon &
    H. White 1985 (HC1 to HC3); K.-Y. Liang & S. L. Zeger 1986 (clusters). The corrections for small
    samples are those of statsmodels: :math:`n / (n - k)` for HC1, and
    :math:`\frac{g}{g - 1} \frac{n - 1}{n - k}` for g clusters.
    """
    n, filling = evidence.rows, sums.products
    if kind == CLUSTER:
        g = len(sums.groups.labels)
        scores = sums.groups.scores
        filling = scores.T @ scores * (g / (g - 1) * (n - 1) / (n - used))
    elif kind == "HC1":
        filling = filling * (n / (n - used))
    covariance: Array = inverse @ filling @ inverse
    return covariance


def few_groups(sums: ScoreProducts) -> list[str]:
    """Return what to say of clustered errors that rest on few groups.

    A. C. Cameron & D. L. Miller 2015, "A practitioner's guide to cluster-robust inference".
    """
    n_groups = len(sums.groups.labels)
    if not 0 < n_groups < ENOUGH_GROUPS:
        return []
    return [
        f"There are {n_groups} groups: with fewer than {ENOUGH_GROUPS}, clustered standard errors "
        "tend to be too small, and tests by the normal distribution too sure."
    ]


def inverse_root(evidence: Evidence) -> Array:
    r"""Return R with :math:`R R^\top = A`, for the leverages of one output's rows."""
    inverse, _ = inverse_curvature(evidence)
    values, vectors = np.linalg.eigh(inverse)
    root: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def shown_covariance(evidence: Evidence, covariance: Array) -> Array:
    """Return the covariance of the parameters shown from that of parameters about the center."""
    outputs, size = evidence.free.shape
    move = np.eye(size)
    move[-1, :-1] = -evidence.center  # what the predictor is where the columns are zero
    shown = shown_parameters(evidence) @ np.kron(np.eye(outputs), move)
    moved: Array = shown @ covariance @ shown.T
    return moved


def shown_parameters(evidence: Evidence) -> Array:
    """Return the matrix from all parameters to those shown, the intercept first.

    Of several classes each is shown against the first.
    """
    outputs, size = evidence.free.shape
    order = np.r_[size - 1, : size - 1]
    rows = []
    for output in range(1 if outputs > 1 else 0, outputs):
        for place in order[evidence.free[output, order]]:
            row = np.zeros((outputs, size))
            row[output, place] = 1.0
            if outputs > 1:
                row[0, place] = -1.0
            rows.append(row.ravel())
    return np.array(rows).reshape(len(rows), outputs * size)


def _inverse_root(A: Array) -> Array:
    """Return R with R Rᵀ the (pseudo-)inverse of a matrix with a diagonal of ones."""
    if _is_definite(A):
        lower = linalg.cholesky(A, lower=True)
        root: Array = linalg.solve_triangular(lower, np.eye(len(A)), lower=True).T
        return root
    values, vectors = np.linalg.eigh(A)
    kept = values > COLLINEAR * len(A) * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])


def _is_definite(A: Array) -> bool:
    """Tell whether Cholesky's factor of a matrix with a diagonal of ones can be trusted."""
    try:
        lower = linalg.cholesky(A, lower=True)
    except linalg.LinAlgError:
        return False
    return bool(np.diag(lower).min() ** 2 > COLLINEAR * len(A))


def _log_likelihood(
    evidence: Evidence, likelihood: Likelihood, value: float, dispersion: float
) -> float:
    totals = Totals(evidence.weight, 2 * value, evidence.constant)
    return likelihood.log_likelihood(totals, dispersion)
