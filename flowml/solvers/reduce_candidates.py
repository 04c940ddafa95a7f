"""From a few thousand weighted candidates to k start centres: k-means++, swaps, then Lloyd.

All of it happens where the summary arrives, without another pass over the data.
"""

import numpy as np
from scipy.spatial.distance import cdist

from flowml.kernels.rows import Array

MAX_MOVES = 100
SWAPS_PER_CENTER = 1
FEWEST_SWAPS = 10


def reduce_candidates(candidates: Array, weights: Array, k: int, seed: int, restarts: int) -> Array:
    """Cluster weighted candidates, the best of several restarts.

    Parameters
    ----------
    candidates : ndarray of shape (m, p)
    weights : ndarray of shape (m,)
    k : int
    seed : int
    restarts : int

    Returns
    -------
    ndarray of shape (k, p)
        With repeated rows where fewer than k candidates differ.
    """
    points, mass = distinct(candidates, weights)
    if len(points) <= k:
        return points[np.arange(k) % len(points)]
    origin = points.mean(axis=0)
    points = points - origin
    random = np.random.default_rng(seed)
    starts = [
        _swap(points, mass, _plus_plus(points, mass, k, random), random) for _ in range(restarts)
    ]
    runs = [_lloyd(points, mass, start) for start in starts]
    _, centers = min(runs, key=lambda run: run[0])
    return centers + origin


def n_trials(k: int) -> int:
    """Return how many draws greedy k-means++ chooses from: 2 + log k, as scikit-learn does."""
    return 2 + int(np.log(k))


def distinct(candidates: Array, weights: Array) -> tuple[Array, Array]:
    """Join equal candidates and drop those without weight, in an order of their values alone."""
    points, where = np.unique(candidates, axis=0, return_inverse=True)
    mass = np.bincount(where.ravel(), weights, len(points))
    return points[mass > 0], mass[mass > 0]


def _plus_plus(points: Array, mass: Array, k: int, random: np.random.Generator) -> Array:
    """Choose k points by greedy k-means++ (Arthur & Vassilvitskii 2007)."""
    trials = n_trials(k)
    first = np.searchsorted(np.cumsum(mass), random.random() * mass.sum())
    chosen = [min(int(first), len(points) - 1)]
    squares = _squares(points[chosen], points)[0]
    for _ in range(1, k):
        steps = np.cumsum(squares * mass)
        drawn = np.searchsorted(steps, random.random(trials) * steps[-1])
        drawn = np.minimum(drawn, len(points) - 1)
        nearer = np.minimum(_squares(points[drawn], points), squares)
        best = int(np.argmin(nearer @ mass))
        chosen.append(int(drawn[best]))
        squares = nearer[best]
    return points[chosen]


def _swap(points: Array, mass: Array, centers: Array, random: np.random.Generator) -> Array:
    """Put points drawn as in k-means++ in the place of centres, wherever that lowers the cost.

    The local search of Lattanzi & Sohler 2019, "A better k-means++ algorithm via local search".
    """
    k, centers = len(centers), centers.copy()
    if k == 1:
        return centers
    squares = _squares(points, centers)
    changed = True
    for _ in range(max(FEWEST_SWAPS, SWAPS_PER_CENTER * k)):
        if changed:
            labels = squares.argmin(axis=1)
            near, second = np.partition(squares, 1, axis=1)[:, :2].T
            steps = np.cumsum(near * mass)
        drawn = min(int(np.searchsorted(steps, random.random() * steps[-1])), len(points) - 1)
        new = _squares(points[[drawn]], points)[0]
        kept = np.minimum(near, new) * mass
        lost = np.bincount(labels, np.minimum(second, new) * mass - kept, k)
        worst = int(np.argmin(lost))
        changed = bool(kept.sum() + lost[worst] < steps[-1])
        if changed:
            centers[worst], squares[:, worst] = points[drawn], new
    return centers


def _lloyd(points: Array, mass: Array, centers: Array) -> tuple[float, Array]:
    """Run Lloyd's algorithm to its end; return the cost and the centres."""
    labels = np.full(len(points), -1)
    rows = np.arange(len(points))
    for _ in range(MAX_MOVES):
        squares = _squares(points, centers)
        nearest = squares.argmin(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        member = np.zeros((len(centers), len(points)))
        member[labels, rows] = mass
        weight = member.sum(axis=1)
        held = weight > 0
        centers = centers.copy()
        centers[held] = (member @ points)[held] / weight[held, np.newaxis]
    return float(_squares(points, centers).min(axis=1) @ mass), centers


def _squares(left: Array, right: Array) -> Array:
    return cdist(left, right, "sqeuclidean")
