r"""Least squares from summaries: pure functions, sums in, coefficients out.

For each target the solution minimises, over :math:`b` and the intercept :math:`a`,

.. math:: \sum_i w_i (y_i - x_i b - a)^2 + \alpha \|b\|^2

and, among the minimisers, the norm of :math:`b`. Columns are centred (where there is an intercept)
and scaled to length one before anything is decided about them: what is collinear then doesn't
depend on their units.
"""

from typing import NamedTuple

import numpy as np

from flowml.kernels.double_double import dot
from flowml.kernels.gram import Gram
from flowml.kernels.normal_residual import Candidate, NormalResidual
from flowml.kernels.rows import Array
from flowml.kernels.triangular import Triangle

FLOAT64_EPSILON = float(np.finfo(np.float64).eps)

TRUSTED_CONDITION = 300.0
"""A Gram matrix squares the condition of the columns: up to here it leaves eleven digits or so."""

TRUSTED_RESIDUAL = 1e-9
"""Share of y's variation below which the residual can't be had from the Gram's difference."""


INVOLVED = 1e-3
"""Least share in a combination that vanishes for a column to be named as part of it."""


class Problem(NamedTuple):
    """What is to be minimised.

    Attributes
    ----------
    n_features : int
    alphas : ndarray of shape (n_targets,)
        Penalty of each target.
    fit_intercept : bool
    epsilon : float
        The relative precision that the data came in.
    """

    n_features: int
    alphas: Array
    fit_intercept: bool
    epsilon: float


class Equations(NamedTuple):
    r"""Rows :math:`F b \approx G` with :math:`F^\top F = X_c^\top W X_c`, or their products.

    Attributes
    ----------
    squared : bool
        Whether `left` and `right` are the products :math:`F^\top F` and :math:`F^\top G`.
    left : ndarray of shape (n_rows or n_features, n_features)
        With zeros in the columns that don't vary.
    right : ndarray of shape (n_rows or n_features, n_targets)
    varies : boolean ndarray of shape (n_features,)
    noise : float
        Length of a column of rounding errors, where columns have length one.
    """

    squared: bool
    left: Array
    right: Array
    varies: Array
    noise: float


class Spectrum(NamedTuple):
    r"""The scaled equations' singular values: :math:`F D^{-1} = U s V^\top`.

    Attributes
    ----------
    scale : ndarray of shape (n_features,)
        D, the columns' lengths.
    values : ndarray of shape (n_values,)
        s, descending.
    vectors : ndarray of shape (n_features, n_features)
        V, with the null space at its end.
    right : ndarray of shape (n_values, n_targets)
        :math:`U^\top G`.
    rank : int
    """

    scale: Array
    values: Array
    vectors: Array
    right: Array
    rank: int


class LeastSquares(NamedTuple):
    """A solution and how far it can be trusted.

    Attributes
    ----------
    coef : ndarray of shape (n_targets, n_features)
    intercept : ndarray of shape (n_targets,)
    residual : ndarray of shape (n_targets,)
        Weighted sum of the squared residuals.
    rank : int
    condition : float
        Of the scaled columns; infinite where they are collinear.
    collinear : boolean ndarray of shape (n_features,)
        The columns that vary, but as a combination of others.
    """

    coef: Array
    intercept: Array
    residual: Array
    rank: int
    condition: float
    collinear: Array


def solve_gram(gram: Gram, problem: Problem) -> LeastSquares:
    """Solve from the Gram matrix alone."""
    return _solve(gram_equations(gram, problem), problem, gram, gram.mean)


def solve_triangle(gram: Gram, triangle: Triangle, problem: Problem) -> LeastSquares:
    """Solve from the triangular factor of the columns less `gram`'s means."""
    p = problem.n_features
    solution = _solve(triangle_equations(gram, triangle, problem), problem, gram, gram.mean)
    if not problem.fit_intercept:
        return solution
    first = triangle.R[0]
    offset = (first[1 + p :] - solution.coef @ first[1 : 1 + p]) / first[0]
    return solution._replace(intercept=solution.intercept + offset)


def is_trusted(solution: LeastSquares, gram: Gram, problem: Problem) -> bool:
    """Tell whether the Gram matrix was good enough for the solution made from it."""
    mean, total = target_totals(gram, problem)
    floor = gram.weight * (16 * FLOAT64_EPSILON * mean) ** 2
    exact = (solution.residual < TRUSTED_RESIDUAL * total) & (total > floor)
    return solution.condition <= TRUSTED_CONDITION and not bool(exact.any())


def needs_refinement(solution: LeastSquares) -> bool:
    """Tell whether a solution is unique but has lost digits that a correction brings back."""
    return TRUSTED_CONDITION < solution.condition < np.inf


def candidate(solution: LeastSquares, gram: Gram, problem: Problem) -> Candidate:
    """Return a solution in the form that its residual is asked for."""
    if not problem.fit_intercept:
        return Candidate(np.zeros_like(gram.mean), solution.coef, np.zeros(len(solution.coef)))
    return Candidate(gram.mean, solution.coef, _offset(solution, gram, problem))


def refine(
    solution: LeastSquares,
    residual: NormalResidual,
    gram: Gram,
    triangle: Triangle,
    problem: Problem,
) -> LeastSquares:
    """Correct a solution by what its normal equations leave over.

    Å. Björck 1987, "Stability analysis of the method of seminormal equations".
    """
    equations = triangle_equations(gram, triangle, problem)
    left = residual.high + residual.low
    coef = solution.coef.copy()
    for alpha in np.unique(problem.alphas):
        mine = problem.alphas == alpha
        spectrum = spectrum_of(equations, float(alpha))
        gradient = left[mine, :-1] - alpha * coef[mine]
        coef[mine] += (inverse_root(spectrum) @ (inverse_root(spectrum).T @ gradient.T)).T
    if not problem.fit_intercept:
        return solution._replace(coef=coef)
    offset = _offset(solution, gram, problem) + left[:, -1] / gram.weight
    mean = gram.mean
    p = problem.n_features
    intercept = [
        dot(np.r_[mean[p + t], offset[t], -mean[:p]], np.r_[1.0, 1.0, coef[t]])
        for t in range(len(coef))
    ]
    return solution._replace(coef=coef, intercept=np.array(intercept))


def gram_equations(gram: Gram, problem: Problem) -> Equations:
    """Return the normal equations."""
    p = problem.n_features
    S = gram.scatter
    if not problem.fit_intercept:
        S = S + gram.weight * np.outer(gram.mean, gram.mean)
    varies, noise = _varying(gram, problem)
    noise = max(noise, np.sqrt(p * FLOAT64_EPSILON))
    left = S[:p, :p] * np.outer(varies, varies)
    return Equations(True, left, S[:p, p:] * varies[:, np.newaxis], varies, noise)


def triangle_equations(gram: Gram, triangle: Triangle, problem: Problem) -> Equations:
    """Return the triangular factor's rows below that of the intercept."""
    p = problem.n_features
    below = triangle.R[1 if problem.fit_intercept else 0 :, 1:]
    varies, noise = _varying(gram, problem)
    return Equations(False, below[:, :p] * varies, below[:, p:], varies, noise)


def spectrum_of(equations: Equations, alpha: float) -> Spectrum:
    """Scale the columns of the penalised equations and decompose them."""
    p = len(equations.varies)
    if equations.squared:
        A = equations.left + alpha * np.eye(p)
        scale = _lengths(np.sqrt(A.diagonal()))
        squares, vectors = np.linalg.eigh(A / scale / scale[:, np.newaxis])
        values, vectors = np.sqrt(np.maximum(squares[::-1], 0)), vectors[:, ::-1]
        projected = vectors.T @ (equations.right / scale[:, np.newaxis])
        right = np.divide(
            projected, values[:, np.newaxis], where=values[:, np.newaxis] > 0, out=0 * projected
        )
    else:
        penalty = np.sqrt(alpha) * np.eye(p if alpha else 0, p)
        F = np.vstack([equations.left, penalty])
        G = np.vstack([equations.right, np.zeros((len(penalty), equations.right.shape[1]))])
        scale = _lengths(np.linalg.norm(F, axis=0))
        U, values, transposed = np.linalg.svd(F / scale, full_matrices=len(F) < p)
        vectors, right = transposed.T, U[:, : len(values)].T @ G
    rank = int(np.count_nonzero(values > equations.noise * values[0]))
    return Spectrum(scale, values, vectors, right, rank)


def inverse_root(spectrum: Spectrum) -> Array:
    r"""Return K with :math:`K K^\top = (X^\top W X + \alpha I)^{-1}`, of least norm where singular.

    Rows of K belong to features, columns to singular values.
    """
    rank, scale = spectrum.rank, spectrum.scale[:, np.newaxis]
    root = spectrum.vectors[:, :rank] / spectrum.values[:rank] / scale
    if rank == len(scale):
        return root
    null, _ = np.linalg.qr(spectrum.vectors[:, rank:] / scale)
    return root - null @ (null.T @ root)


def target_totals(gram: Gram, problem: Problem) -> tuple[Array, Array]:
    """Return each target's mean and its variation about it (about zero without an intercept)."""
    p = problem.n_features
    mean, total = gram.mean[p:], gram.scatter.diagonal()[p:]
    return mean, total if problem.fit_intercept else total + gram.weight * mean**2


def _solve(equations: Equations, problem: Problem, gram: Gram, mean: Array) -> LeastSquares:
    p, n_targets = problem.n_features, len(problem.alphas)
    coef = np.zeros((n_targets, p))
    rank, condition, collinear = p, 1.0, np.zeros(p, dtype=bool)
    for alpha in np.unique(problem.alphas):
        mine = problem.alphas == alpha
        spectrum = spectrum_of(equations, float(alpha))
        coef[mine] = (inverse_root(spectrum) @ spectrum.right[: spectrum.rank][:, mine]).T
        rank = min(rank, spectrum.rank)
        condition = max(condition, _condition(spectrum, equations, alpha > 0))
        collinear |= np.linalg.norm(spectrum.vectors[:, spectrum.rank :], axis=1) > INVOLVED
    collinear &= equations.varies
    intercept = np.zeros(n_targets)
    if problem.fit_intercept:
        intercept = mean[p:] - coef @ mean[:p]
    residual = _residual(equations, coef, target_totals(gram, problem)[1])
    return LeastSquares(coef, intercept, residual, rank, condition, collinear)


def _condition(spectrum: Spectrum, equations: Equations, penalised: bool) -> float:
    n_columns = len(equations.varies) if penalised else int(equations.varies.sum())
    if n_columns == 0:
        return 1.0
    if spectrum.rank < n_columns:
        return float(np.inf)
    return float(spectrum.values[0] / spectrum.values[n_columns - 1])


def _residual(equations: Equations, coef: Array, totals: Array) -> Array:
    if not equations.squared:
        rest = equations.right - equations.left @ coef.T
        return np.square(rest).sum(axis=0)
    explained = 2 * equations.right - equations.left @ coef.T
    return np.maximum(totals - np.sum(coef.T * explained, axis=0), 0)


def _varying(gram: Gram, problem: Problem) -> tuple[Array, float]:
    """Tell which columns vary, and how long rounding errors are where columns have length one."""
    p = problem.n_features
    variance = gram.scatter.diagonal()[:p] / gram.weight
    square = gram.mean[:p] ** 2
    if not problem.fit_intercept:
        variance, square = variance + square, np.zeros(p)
    varies = variance > (16 * FLOAT64_EPSILON) ** 2 * square
    ratio = np.sqrt(1 + np.max(square[varies] / variance[varies], initial=0))
    sums = (64 * p + np.sqrt(gram.rows)) * FLOAT64_EPSILON
    return varies, float((np.sqrt(p) * problem.epsilon + sums) * ratio)


def _lengths(lengths: Array) -> Array:
    return np.where(lengths > 0, lengths, 1.0)


def _offset(solution: LeastSquares, gram: Gram, problem: Problem) -> Array:
    """Return the intercept of the centred columns: zero but for rounding errors."""
    p, mean = problem.n_features, gram.mean
    return np.array(
        [
            dot(np.r_[a, -mean[p + t], mean[:p]], np.r_[1.0, 1.0, b])
            for t, (a, b) in enumerate(zip(solution.intercept, solution.coef, strict=True))
        ]
    )
