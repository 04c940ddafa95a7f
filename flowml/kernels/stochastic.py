"""Epochs of stochastic gradient descent over a leaf's rows."""

from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Point, predictor
from flowml.kernels.rows import Array, Block, Rows
from flowml.kernels.sparse_epoch import Columns, Lean, move, predict, stored_in

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
    lean : Lean or None
        For CSR rows; the penalty is then an elastic net without bounds.
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
    lean: Lean | None = None


class EpochSums(NamedTuple):
    """Where the leaves' epochs led, summed by their weight.

    For CSR rows there is one more column, a number of times that :math:`c / s` of all columns is
    to be added; see `sparse_epoch`.

    Attributes
    ----------
    weight : float
    move : ndarray of shape (n_outputs, n_features + 1)
        From the start to the parameters after the last step.
    mean : ndarray of that shape
        Their mean over the steps, those of epoch k of the whole fit counting k + 1 times; for CSR
        rows less the start.
    """

    weight: float
    move: Array
    mean: Array


def summarise(ask: EpochAsk, rows: Rows) -> EpochSums:
    """Go over the rows once or more, a few at a time, each time down their gradient."""
    weight = sum(float(ask.point.target.read(block)[1].sum()) for block in rows)
    start, epoch_over = ask.start, _epoch
    if ask.lean is not None:
        start, epoch_over = np.column_stack([start, np.zeros(len(start))]), _sparse_epoch
    theta, mean, counted = start, np.zeros_like(start), 0
    for epoch in range(ask.lengths.epoch, ask.lengths.epoch + ask.n_epochs):
        theta, own = epoch_over(ask, epoch, theta, rows)
        counted += epoch + 1
        change = ((epoch + 1) / counted) * (own - mean)
        mean = mean + change
        if not np.abs(change).max(initial=0.0) > ask.rest:  # a NaN moves no further
            break
    mean = mean if ask.lean is None else mean - start
    return EpochSums(weight, weight * (theta - start), weight * mean)


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


def _sparse_epoch(ask: EpochAsk, epoch: int, theta: Array, rows: Rows) -> tuple[Array, Array]:
    """Return what `_epoch` does, by parameters with how far they lean."""
    blocks = [block for block in rows if ask.point.target.read(block)[1].any()]
    n_steps = sum(-(-block.X.shape[0] // BATCH_ROWS) for block in blocks)
    theta, total, columns = theta.copy(), np.zeros_like(theta), _columns(ask)
    assert ask.lean is not None
    moved = theta[:, :-2] - ask.start[:, :-1]
    at_center = ask.lean.at_center + moved @ columns.slant + theta[:, -1] * columns.square
    met, first, steps = np.zeros(len(ask.scale)), theta.copy(), 0
    for block in blocks:
        order, stored = _order(block, ask.seed, epoch), stored_in(block.X)
        y, weight = ask.point.target.read(block)
        mean_weight, added = float(weight.mean()), ask.point.target.added(block)
        for low in range(0, len(order), BATCH_ROWS):
            length = ask.lengths.first / (1.0 + epoch + steps / n_steps) ** ask.lengths.power
            chosen = order[low : low + BATCH_ROWS]
            eta = predict(stored, chosen, columns, theta, at_center)
            eta += added if isinstance(added, float) else added[chosen]
            slope = ask.point.loss.derivatives(y[chosen], eta[:, 0] if eta.shape[1] == 1 else eta)
            share = weight[chosen] / (mean_weight * len(chosen))
            slopes = share[:, np.newaxis] * slope.gradient.reshape(eta.shape)
            moving = theta, total, at_center, met
            move(stored, chosen, columns, (slopes, share), length, moving, n_steps - steps)
            steps += 1
    return theta, first + total / max(steps, 1)


def _columns(ask: EpochAsk) -> Columns:
    """Return what the columns' steps go by."""
    assert ask.lean is not None
    share = np.where(ask.lean.share > 0.0, ask.lean.share, 1.0)
    l1, l2 = (
        np.ascontiguousarray(np.broadcast_to(one / share, ask.free[:, :-1].shape))
        for one in (ask.penalty.l1, ask.penalty.l2)
    )
    moves, shifts = np.any(ask.free[:, :-1], axis=1), ask.free[:, -1].copy()
    return Columns(ask.scale, ask.lean.slant, l1, l2, moves, shifts, ask.lean.square)


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
