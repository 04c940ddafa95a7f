"""A quadratic and a sum of kinks, minimised in memory: quantile regression, SVMs."""

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

from flowml.kernels.gram import add_products
from flowml.kernels.rows import Array, Block

MAX_ITERATIONS = 100
GAP = 1e-13
"""Relative duality gap at which the iteration ends by default: rounding."""
CLOSE, SLOW = 1e-9, 0.5
"""Below this gap, an iteration that leaves more than half of it is at the end of its digits."""
BACK = 0.9995
"""Share of the way to the boundary that a step may go."""
TINY = float(np.finfo(np.float64).tiny)
STEADY = 1e-14
"""Share of its diagonal by which the system of a step is made definite."""


class KinkedProblem(NamedTuple):
    r"""Minimise :math:`c^\top x + \tfrac{1}{2} \sum_j q_j x_j^2 + \sum_i b_i (t_i - a_i x)_+ +
    \sum_i u_i (a_i x - t_i)_+`.

    Attributes
    ----------
    slope, bend : ndarray of shape (n,)
        c and q; q at least 0.
    A : ndarray of shape (n_kinks, n)
    kink, below, above : ndarray of shape (n_kinks,)
        t, b and u; b and u at least 0, their sums above.
    """

    slope: Array
    bend: Array
    A: Array
    kink: Array
    below: Array
    above: Array

    def value(self, x: Array) -> float:
        """Return what is to be minimised."""
        gap = self.kink - self.A @ x
        kinks = np.where(gap > 0, self.below, -self.above) @ gap
        return float(self.slope @ x + 0.5 * self.bend @ (x * x) + kinks)


class _Iterate(NamedTuple):
    """A point inside, or a step from one.

    Attributes
    ----------
    x, force : ndarray
        The unknowns and the multipliers.
    up, down : ndarray of shape (n_kinks,)
        Above zero; their difference is how far a row is below its kink.
    room, ceiling : ndarray of shape (n_kinks,)
        Above zero: how far the multipliers are below and above their bounds.
    """

    x: Array
    force: Array
    up: Array
    down: Array
    room: Array
    ceiling: Array

    def products(self) -> float:
        """Return the duality gap."""
        return float(self.up @ self.room + self.down @ self.ceiling)


class Solution(NamedTuple):
    """Where the minimum is, and by how much it may be missed.

    Attributes
    ----------
    x : ndarray of shape (n,)
    gap : float
        The value is at most so far above the minimum.
    """

    x: Array
    gap: float


def minimise_kinks(problem: KinkedProblem, precision: float = GAP) -> Solution:
    r"""Return the minimum, by Mehrotra's predictor and corrector, then exactly.

    The dual has a multiplier :math:`-u_i \le \lambda_i \le b_i` for each kink. Where the kinks on
    which the minimum lies can be told from the others, a linear system gives it to rounding.

    R. Koenker & S. Portnoy 1997, "The Gaussian hare and the Laplacian tortoise"; M. C. Ferris &
    T. S. Munson 2002, "Interior-point methods for massive support vector machines"; S. Mehrotra
    1992, "On the implementation of a primal-dual interior point method".

    Parameters
    ----------
    problem : KinkedProblem
    precision : float
        Relative duality gap at which the iteration ends.

    Examples
    --------
    >>> one, kink = np.ones(3), np.array([1.0, 2.0, 4.0])
    >>> A, nothing = one[:, np.newaxis], np.zeros(1)
    >>> minimise_kinks(KinkedProblem(nothing, nothing, A, kink, one, one)).x
    array([2.])
    """
    at, size = _start(problem), max(abs(problem.value(np.zeros_like(problem.slope))), TINY)
    for _ in range(MAX_ITERATIONS):
        gap = at.products()
        moved = None if gap <= precision * abs(problem.value(at.x)) else _step(problem, at)
        if moved is None or (gap <= CLOSE * size and moved.products() > SLOW * gap):
            break
        at = moved
    unmet = problem.slope + problem.bend * at.x - at.force @ problem.A
    return Solution(_exact(problem, at), at.products() + float(np.abs(unmet) @ np.abs(at.x)))


def _start(problem: KinkedProblem) -> _Iterate:
    """Start at zero, well inside."""
    gap, half = problem.kink, 0.5 * (problem.below + problem.above)
    inside = float(np.abs(gap).mean()) if len(gap) else 0.0
    up, down = np.maximum(gap, 0.0), np.maximum(-gap, 0.0)
    inside = inside or 1.0
    force = problem.below - half
    return _Iterate(np.zeros_like(problem.slope), force, up + inside, down + inside, half, half)


def _step(problem: KinkedProblem, at: _Iterate) -> _Iterate | None:
    """Go towards products of zero, then towards equal ones, as far as is allowed."""
    softness = at.up / at.room + at.down / at.ceiling
    factor = _factor(problem, 1.0 / softness)
    if factor is None:
        return None
    unmet = problem.slope + problem.bend * at.x - at.force @ problem.A
    off = problem.kink - problem.A @ at.x

    def direction(up: Any, down: Any) -> _Iterate:
        """Solve for products of so much, to first order."""
        up, down = up / at.room, down / at.ceiling
        h = off - up + down
        x = linalg.cho_solve(factor, (h / softness) @ problem.A - unmet)
        force = (h - problem.A @ x) / softness
        up = up - at.up + at.up * force / at.room
        down = down - at.down - at.down * force / at.ceiling
        return _Iterate(x, force, up, down, -force, force)

    gap = at.products()
    ahead = direction(0.0, 0.0)
    left = _moved(problem, at, ahead).products()
    target = gap / (2 * len(at.force)) * (left / gap) ** 3
    step = direction(target - ahead.up * ahead.room, target - ahead.down * ahead.ceiling)
    return _moved(problem, at, step)


def _moved(problem: KinkedProblem, at: _Iterate, step: _Iterate) -> _Iterate:
    """Go as far as is allowed, primal and dual; with a quadratic both as far."""
    primal = min(_longest(at.up, step.up), _longest(at.down, step.down))
    dual = min(_longest(at.room, step.room), _longest(at.ceiling, step.ceiling))
    if problem.bend.any():
        primal = dual = min(primal, dual)
    lengths = (primal, dual, primal, primal, dual, dual)
    return _Iterate(*(v + t * d for v, t, d in zip(at, lengths, step, strict=True)))


def _factor(problem: KinkedProblem, weight: Array) -> tuple[Array, bool] | None:
    """Return Cholesky's factor of the system that a step solves."""
    n = len(problem.slope)
    products = np.zeros((n + 1, n + 1))
    add_products(Block(problem.A, None, weight), np.zeros(n), products)
    H = products[:-1, :-1] + np.diag(problem.bend)
    H[np.diag_indices(n)] += STEADY * np.diag(H) + TINY
    if not np.isfinite(H).all():
        return None
    try:
        return linalg.cho_factor(H, lower=True)
    except linalg.LinAlgError:
        return None


def _longest(values: Array, steps: Array) -> float:
    """Return the share of a step that leaves values above zero, 1 at most."""
    falling = steps < 0
    return float(min(1.0, BACK * np.min(values[falling] / -steps[falling], initial=np.inf)))


def _exact(problem: KinkedProblem, at: _Iterate) -> Array:
    """Return the minimum over the points that lie on the kinks that this one is close to."""
    A, total = problem.A, problem.below + problem.above
    gap = problem.kink - A @ at.x
    slack = np.minimum(at.room, at.ceiling) / total
    on = slack > np.abs(gap) / (np.abs(problem.kink) + np.abs(gap).mean() + 1e-300)
    pull = problem.slope - np.where(gap > 0, problem.below, -problem.above)[~on] @ A[~on]
    n, m = len(at.x), int(on.sum())
    if m > 2 * n:
        return at.x
    system = np.zeros((n + m, n + m))
    system[:n, :n] = np.diag(problem.bend)
    system[:n, n:] = -A[on].T
    system[n:, :n] = A[on]
    x = linalg.lstsq(system, np.concatenate([-pull, problem.kink[on]]))[0][:n]
    better = problem.value(x) <= problem.value(at.x)
    return x if better else at.x
