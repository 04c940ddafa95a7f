"""The labels that categorical columns hold, with their weights."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.mixed import MISSING
from flowml.kernels.rows import Array, Rows


class LevelWeights(NamedTuple):
    """The labels of each categorical column in rows with a weight above zero.

    Attributes
    ----------
    labels : tuple of ndarray
        Sorted.
    weights : tuple of ndarray
        Of the same lengths.
    missing : ndarray of shape (n_categorical,)
        Weight of the rows whose label is missing.
    """

    labels: tuple[Array, ...]
    weights: tuple[Array, ...]
    missing: Array


def summarise(ask: None, rows: Rows) -> LevelWeights:
    """Count each block's codes."""
    summary: LevelWeights | None = None
    for block in rows:
        X = block.X
        weight = np.ones(len(X)) if block.weight is None else block.weight
        counted = [_count(X.codes[:, j], weight, labels) for j, labels in enumerate(X.levels)]
        part = LevelWeights(
            tuple(labels for labels, _, _ in counted),
            tuple(weights for _, weights, _ in counted),
            np.array([missing for _, _, missing in counted]),
        )
        summary = part if summary is None else merge(summary, part)
    assert summary is not None
    return summary


def merge(left: LevelWeights, right: LevelWeights) -> LevelWeights:
    """Join the labels of both."""
    joined = [
        _join(left.labels[j], left.weights[j], right.labels[j], right.weights[j])
        for j in range(len(left.labels))
    ]
    return LevelWeights(
        tuple(labels for labels, _ in joined),
        tuple(weights for _, weights in joined),
        left.missing + right.missing,
    )


def finite(summary: LevelWeights) -> bool:
    """Tell whether the weights are."""
    return bool(np.isfinite(summary.missing).all())


LEVEL_WEIGHTS = Fold(summarise, merge, finite=finite)


def _count(codes: Array, weight: Array, labels: Array) -> tuple[Array, Array, float]:
    present = codes != MISSING
    weights = np.bincount(codes[present], weights=weight[present], minlength=len(labels))
    kept = np.flatnonzero(weights > 0)
    order = kept[np.argsort(labels[kept], kind="stable")]
    return labels[order], weights[order], float(weight[~present].sum())


def _join(
    labels: Array, weights: Array, others: Array, their_weights: Array
) -> tuple[Array, Array]:
    if len(labels) == len(others) and bool((labels == others).all()):
        return labels, weights + their_weights
    if len(labels) == 0 or len(others) == 0:
        return (others, their_weights) if len(labels) == 0 else (labels, weights)
    common, place = np.unique(np.concatenate([labels, others]), return_inverse=True)
    return common, np.bincount(place, weights=np.concatenate([weights, their_weights]))
