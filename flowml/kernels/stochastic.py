"""Epochs of stochastic gradient descent over a leaf's rows."""

from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Point, predictor
from flowml.kernels.rows import Array, Block, Rows

BATCH_ROWS = 64
"""Rows of a step: enough to hide what NumPy's calls cost."""


class Lengths(NamedTuple):
    r"""The lengths of an epoch's steps, :math:`t = t_0 / (1 + \tau)^{power}`.

    τ is the number of epochs so far and the share of this one.

    Attributes
    ----------
    first : float
    epoch : int
    power : float
    """

    first: float
    epoch: int
    power: float


class EpochAsk(NamedTuple):
    """Where a leaf's epochs start, and how they go.

    Attributes
    ----------
    point : Point
        Loss, target and center; its coefficients don't matter.
    scale : ndarray of shape (n_features,)
        Parameters are coefficients times this, and the predictor at the center.
    free : ndarray of shape (n_outputs, n_features + 1), bool
        Parameters that may differ from zero.
    start : ndarray of that shape
    penalty : Penalty
        On parameters.
    lengths : Lengths
    seed : int or None
        Shuffles the rows of a leaf; None leaves them in order.
    n_epochs : int
        Most epochs.
    rest : float
        No more follow an epoch that moves the mean by at most this.
    """

    point: Point
    scale: Array
    free: Array
    start: Array
    penalty: Any
    lengths: Lengths
    seed: int | None
    n_epochs: int = 1
    rest: float = 0.0


class EpochSums(NamedTuple):
    """Where the leaves' epochs led, summed by their weight.

    Attributes
    ----------
    weight : float
    move : ndarray of shape (n_outputs, n_features + 1)
        From the start to the parameters after the last step.
    mean : ndarray of that shape
        Their mean over the steps, those of epoch k of the whole fit counting k + 1 times.
    """

    weight: float
    move: Array
    mean: Array


def summarise(ask: EpochAsk, rows: Rows) -> EpochSums:
    """Go over the rows once or more, a few at a time, each time down their gradient."""
    weight = sum(float(ask.point.target.read(block)[1].sum()) for block in rows)
    theta, mean, counted = ask.start, np.zeros_like(ask.start), 0
    for epoch in range(ask.lengths.epoch, ask.lengths.epoch + ask.n_epochs):
        theta, own = _epoch(ask, epoch, theta, rows)
        counted += epoch + 1
        move = ((epoch + 1) / counted) * (own - mean)
        mean = mean + move
        if not np.abs(move).max(initial=0.0) > ask.rest:  # a NaN moves no further
            break
    return EpochSums(weight, weight * (theta - ask.start), weight * mean)


def merge(left: EpochSums, right: EpochSums) -> EpochSums:
    """Add two up."""
    weight = left.weight + right.weight
    return EpochSums(weight, left.move + right.move, left.mean + right.mean)


def finite(summary: EpochSums) -> bool:
    """Leave it to the solver: steps that are too long overflow with the best of rows."""
    return True


EPOCH = Fold(summarise, merge, finite=finite, additive=True)


def _epoch(ask: EpochAsk, epoch: int, theta: Array, rows: Rows) -> tuple[Array, Array]:
    """Return the parameters after an epoch, and their mean over its steps."""
    total, steps = np.zeros_like(theta), 0
    n_steps = sum(-(-block.X.shape[0] // BATCH_ROWS) for block in rows)
    for block in rows:
        n_rows, order = block.X.shape[0], _order(block, ask.seed, epoch)
        weight = ask.point.target.read(block)[1]
        mean_weight = float(weight.mean()) if n_rows else 0.0
        if mean_weight == 0.0:
            continue
        for low in range(0, n_rows, BATCH_ROWS):
            length = ask.lengths.first / (1.0 + epoch + steps / n_steps) ** ask.lengths.power
            batch = _taken(block, order[low : low + BATCH_ROWS])
            theta = theta - (length / mean_weight) * _gradient(ask, theta, batch)
            theta[:, :-1] = ask.penalty.prox(theta[:, :-1], length)
            total += theta
            steps += 1
    return theta, total / max(steps, 1)


def _order(block: Block, seed: int | None, epoch: int) -> Array:
    """Return the rows' order, a function of seed, epoch and position."""
    if seed is None:
        return np.arange(block.X.shape[0])
    random = np.random.default_rng([seed, epoch, block.start])
    return random.permutation(block.X.shape[0])


def _taken(block: Block, chosen: Array) -> Block:
    """Return some of a block's rows."""
    return Block(
        block.X[chosen],
        None if block.y is None else block.y[chosen],
        None if block.weight is None else block.weight[chosen],
    )


def _gradient(ask: EpochAsk, theta: Array, batch: Block) -> Array:
    """Return the mean over a few rows of the weighted gradient by the parameters."""
    coef = theta[:, :-1] / ask.scale
    intercept = theta[:, -1] - coef @ ask.point.center
    X, (y, weight) = ask.point.columns(batch.X), ask.point.target.read(batch)
    eta = predictor(ask.point._replace(coef=coef, intercept=intercept), X, batch)
    slope = ask.point.loss.derivatives(y, eta[:, 0] if eta.shape[1] == 1 else eta).gradient
    weighted = (weight / len(weight))[:, np.newaxis] * slope.reshape(eta.shape)
    gradient = np.empty_like(theta)
    gradient[:, -1] = weighted.sum(axis=0)
    gradient[:, :-1] = ((X.T @ weighted).T - gradient[:, -1:] * ask.point.center) / ask.scale
    gradient[~ask.free] = 0.0
    return gradient
