"""Lloyd's algorithm: move each centre to the mean of its rows until the centres stay."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from flowml.kernels.distances import common_point
from flowml.kernels.farthest import Farthest
from flowml.kernels.fold import Fold
from flowml.kernels.lloyd import LLOYD, LloydAsk, LloydSums
from flowml.kernels.rows import Array
from flowml.solvers.solver import Progress


class LloydState(NamedTuple):
    """Where the centres are.

    Attributes
    ----------
    centers : ndarray of shape (k, p)
    n_iter : int
        Moves made.
    n_far : int
        Clusters that the last pass showed to be empty: the next one, with the same centres,
        brings as many of the farthest rows along.
    done : bool
    objective : float
        Cost of the centres before the last move.
    change : float
        Σ |c_new - c_old|² of the last move.
    """

    centers: Array
    n_iter: int
    n_far: int
    done: bool
    objective: float
    change: float


@dataclass(frozen=True)
class Lloyd:
    """k-means from given centres.

    Stops when the centres move by no more than `tolerance` times the mean variance of the columns
    (sum of squares over all centres), or don't move at all. Clusters without rows are placed at
    the rows farthest from their centres.

    Parameters
    ----------
    start : ndarray of shape (k, p)
    max_iter : int
    tolerance : float
    remember : bool
        Keep bounds beside the rows.
    sparse : bool
        Whether the rows are CSR.
    """

    start: Array
    max_iter: int = 300
    tolerance: float = 1e-4
    remember: bool = True
    sparse: bool = False

    @property
    def fold(self) -> Fold:
        """Sums by nearest centre."""
        return LLOYD

    @property
    def max_passes(self) -> int:
        """One pass for each move; finding rows for empty clusters takes one more."""
        return self.max_iter

    def init(self) -> LloydState:
        """Start from the given centres."""
        return LloydState(self.start, 0, 0, False, float("nan"), float("nan"))

    def ask(self, state: LloydState) -> LloydAsk:
        """Ask about the present centres."""
        return ask_about(state.centers, self.shift, self.remember, state.n_far)

    def step(self, state: LloydState, summary: LloydSums) -> LloydState:
        """Move the centres to the means."""
        check_enough_rows(summary.rows, len(self.start))
        n_empty = int(np.count_nonzero(summary.weights == 0))
        if n_empty and state.n_far == 0:
            return state._replace(n_far=n_empty)
        weights, sums = relocate_empty(summary.weights, summary.sums, summary.far)
        centers = means(weights, sums)
        change = float(((centers - state.centers) ** 2).sum())
        cost, variance = measure(state.centers, summary, self.shift)
        still = change <= self.tolerance * variance or change == 0
        n_iter = state.n_iter + 1
        return LloydState(centers, n_iter, 0, still or n_iter >= self.max_iter, cost, change)

    def done(self, state: LloydState) -> bool:
        """Stop when the centres stay, or at the last iteration."""
        return state.done

    def mixes(self, state: LloydState) -> bool:
        """Sums by older labels do, but which rows are farthest is a matter of the same centres.

        Neal & Hinton 1998: incremental expectation maximisation, here with hard labels.
        """
        return state.n_far == 0

    def progress(self, state: LloydState) -> Progress:
        """Report the cost and the centres' last move."""
        return Progress(state.objective, state.change)

    @cached_property
    def shift(self) -> Array:
        """The point that rows are measured from: the same in all passes."""
        return common_point(self.start, self.sparse)


def ask_about(centers: Array, shift: Array, remember: bool, n_far: int = 0) -> LloydAsk:
    """Return the ask for centres; bounds need half the distance from each to its neighbours."""
    if not remember:
        return LloydAsk(centers, shift, np.zeros(len(centers)), remember, n_far)
    between = cdist(centers, centers)
    np.fill_diagonal(between, np.inf)
    rounding = (centers.shape[1] + 8) * float(np.finfo(np.float64).eps)
    gaps = between.min(axis=1) / 2 * (1 - rounding)
    return LloydAsk(centers, shift, gaps, remember, n_far)


def check_enough_rows(n_rows: int, n_clusters: int) -> None:
    """Refuse fewer rows than clusters.

    Raises
    ------
    ValueError
        Naming both.
    """
    if n_rows < n_clusters:
        raise ValueError(
            f"n_samples={n_rows} should be >= n_clusters={n_clusters} (rows with a weight above "
            "zero): lower n_clusters or give more rows"
        )


def relocate_empty(weights: Array, sums: Array, far: Farthest) -> tuple[Array, Array]:
    """Give each empty cluster one of the farthest rows, taken from the cluster that holds it.

    Where no row is away from its centre there is nothing to gain, and nothing is moved.
    """
    if not far.distances.any():
        return weights, sums
    weights, sums = weights.copy(), sums.copy()
    empty = np.flatnonzero(weights == 0)
    for cluster, row, label, weight in zip(empty, far.rows, far.labels, far.weights, strict=False):
        sums[label] -= weight * row
        sums[cluster] = weight * row
        weights[label] -= weight
        weights[cluster] = weight
    return weights, sums


def means(weights: Array, sums: Array) -> Array:
    """Return the means; a cluster without rows goes to where the heaviest one is."""
    held = weights > 0
    if held.all():
        return sums / weights[:, np.newaxis]
    centers = sums / np.where(held, weights, 1.0)[:, np.newaxis]
    centers[~held] = centers[np.argmax(weights)]
    return centers


def measure(centers: Array, summary: LloydSums, shift: Array) -> tuple[float, float]:
    r"""Return the cost of the centres and the mean variance of the columns, from the sums.

    With :math:`S_j` the sums and :math:`W_j` the weights about the shift,
    :math:`cost = \sum w |x|^2 + \sum_j c_j \cdot (W_j c_j - 2 S_j)`.
    """
    weights = summary.weights[:, np.newaxis]
    about = summary.sums - weights * shift
    moved = centers - shift
    cost = summary.scatter + float((moved * (weights * moved - 2 * about)).sum())
    weight = summary.weights.sum()
    mean = about.sum(axis=0) / weight
    variance = (summary.scatter / weight - float(mean @ mean)) / len(shift)
    return max(cost, 0.0), max(variance, 0.0)
