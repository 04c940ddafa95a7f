"""Metrics of scores in their order: areas under the ROC curve, average precision.

They need the rows in the order of their scores. Equal scores are joined and all others kept apart,
up to eight million weights: then the result is exact. Beyond that neighbouring scores are taken
together, and the result's ``error_bound`` says how far it can be from the exact one.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from sklearn import metrics as reference

from flowml.kernels.ordered_weights import OrderedWeights, merge, values_of
from flowml.kernels.ranking import MOST_WEIGHTS, RANKING, Ranking
from flowml.kernels.rows import Array
from flowml.metrics.metric import SCORE, Measured, Metric, measure_scores

Curve: TypeAlias = Callable[[OrderedWeights, Array, Array], Measured]
"""Takes scores, and the weights of positive and negative rows of each."""


def roc_auc_metric(
    average: str | None = "macro",
    max_fpr: float | None = None,
    multi_class: str = "raise",
    labels: Any = None,
) -> Metric:
    """Return the metric of `roc_auc_score`."""
    finish = partial(_roc_auc, average, max_fpr, multi_class, labels)
    return Metric(SCORE, ((RANKING, MOST_WEIGHTS),), finish)


def average_precision_metric(average: str | None = "macro", pos_label: Any = 1) -> Metric:
    """Return the metric of `average_precision_score`."""
    return Metric(SCORE, ((RANKING, MOST_WEIGHTS),), partial(_precision, average, pos_label))


def roc_auc_score(
    y_true: Any,
    y_score: Any,
    *,
    average: str | None = "macro",
    sample_weight: Any = None,
    max_fpr: float | None = None,
    multi_class: str = "raise",
    labels: Any = None,
) -> Any:
    """Return the area under the ROC curve: how often a positive row outranks a negative one.

    Parameters
    ----------
    y_true : array, series or Dask collection of shape (n_rows,)
        Labels; of two the larger one is positive.
    y_score : array, frame or Dask collection of shape (n_rows,) or (n_rows, n_classes)
        Higher is more likely positive; for three classes or more their probabilities.
    average : {"macro", "weighted", "micro"} or None, default="macro"
        How to sum up several classes; None returns one number for each.
    sample_weight : array or Dask collection of shape (n_rows,), optional
    max_fpr : float, optional
        Up to which share of false positives, standardised as McClish (1989) does.
    multi_class : {"raise", "ovr", "ovo"}, default="raise"
        Each class against the rest, or against each other one (Hand & Till 2001).
    labels : sequence, optional
        All labels, where some don't occur.

    Returns
    -------
    Measured
        A float with an ``error_bound``, 0 where it is exact; an array for average=None.

    Raises
    ------
    ValueError
        If one class only occurs, or the columns aren't the classes'.

    References
    ----------
    T. Fawcett 2006, "An introduction to ROC analysis".

    Examples
    --------
    >>> roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    metric = roc_auc_metric(average, max_fpr, multi_class, labels)
    return measure_scores(metric, y_true, y_score, sample_weight)


def average_precision_score(
    y_true: Any,
    y_score: Any,
    *,
    average: str | None = "macro",
    pos_label: Any = 1,
    sample_weight: Any = None,
) -> Any:
    r"""Return :math:`\sum_k (R_k - R_{k-1}) P_k`, precision averaged over the gain in recall.

    Parameters
    ----------
    y_true, y_score, average, sample_weight : as for `roc_auc_score`
    pos_label : label, default=1
        The positive one of two.

    Returns
    -------
    Measured
        A float with an ``error_bound``, 0 where it is exact; an array for average=None.

    Examples
    --------
    >>> round(average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 3)
    0.833
    """
    metric = average_precision_metric(average, pos_label)
    return measure_scores(metric, y_true, y_score, sample_weight)


def area(ordered: OrderedWeights, positive: Array, negative: Array) -> Measured:
    """Return the area under the ROC curve, rows of equal scores counting half."""
    total = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative
    ties = positive @ negative / (2 * total)
    return Measured(positive @ below / total + ties, ties if ordered.shift else 0.0)


def average_precision(ordered: OrderedWeights, positive: Array, negative: Array) -> Measured:
    """Return the average precision; its bound puts either kind of an interval's rows first."""
    gain, loss = positive[::-1], negative[::-1]
    hits, misses = np.cumsum(gain), np.cumsum(loss)
    total, happened = hits[-1], gain > 0
    gain, loss, hits, misses = (values[happened] for values in (gain, loss, hits, misses))
    score = gain @ (hits / (hits + misses)) / total
    if not ordered.shift:
        return Measured(score)
    best = gain @ (hits / (hits + misses - loss)) / total
    worst = gain @ ((hits - gain) / np.maximum(hits - gain + misses, 1e-300)) / total
    return Measured(score, max(best - score, score - worst))


def _roc_auc(
    average: str | None, max_fpr: float | None, multi_class: str, labels: Any, ranking: Ranking
) -> Any:
    found = _labels(ranking)
    known = found if labels is None else np.unique(np.asarray(labels))
    if len(known) < 3 and len(ranking.columns) == 1:
        if len(found) < 2:
            raise ValueError(f"only one class occurs in y_true, {found[0]!r}: ROC needs two")
        ordered = ranking.columns[0]
        return _partial_area(ordered, max_fpr) if max_fpr else area(ordered, *_sides(ordered, 1))
    if multi_class not in ("ovr", "ovo"):
        raise ValueError(
            f"y_true has {len(known)} classes and y_score {len(ranking.columns)} columns: for "
            "several classes say multi_class='ovr' or 'ovo', for two give one column of scores"
        )
    ranking = _by_column(ranking, known)
    if multi_class == "ovo":
        return _one_against_one(ranking, average)
    return _averaged(ranking, average, area)


def _precision(average: str | None, pos_label: Any, ranking: Ranking) -> Any:
    found = _labels(ranking)
    if len(found) > 2:
        return _averaged(_by_column(ranking, found), average, average_precision)
    if len(ranking.columns) != 1:
        raise ValueError("for two classes y_score must be one column")
    where = np.flatnonzero(found == pos_label)
    if len(where) == 0:
        raise ValueError(f"pos_label={pos_label!r} isn't a label: these are {found.tolist()}")
    ordered = ranking.columns[0]
    return average_precision(ordered, *_sides(ordered, int(where[0])))


def _averaged(ranking: Ranking, average: str | None, curve: Curve) -> Any:
    """Sum up each class against the rest."""
    if average == "micro":
        every = [_two(ordered, number) for number, ordered in enumerate(ranking.columns)]
        pooled = every[0]
        for ordered in every[1:]:
            pooled = merge(pooled, ordered)
        return curve(pooled, pooled.weights[:, 0], pooled.weights[:, 1])
    columns = enumerate(ranking.columns)
    found = [curve(ordered, *_sides(ordered, number)) for number, ordered in columns]
    if average is None:
        return np.array(found, dtype=np.float64)
    shares = ranking.columns[0].weights.sum(axis=0) if average == "weighted" else None
    bounds = [one.error_bound for one in found]
    return Measured(np.average(found, weights=shares), np.average(bounds, weights=shares))


def _one_against_one(ranking: Ranking, average: str | None) -> Measured:
    if average not in ("macro", "weighted"):
        raise ValueError(f"average={average!r}: for multi_class='ovo' it is 'macro' or 'weighted'")
    weights = ranking.columns[0].weights.sum(axis=0)
    found, shares = [], []
    for a, b in combinations(range(len(ranking.columns)), 2):
        for one, other in ((a, b), (b, a)):
            ordered = ranking.columns[one]
            found.append(area(ordered, ordered.weights[:, one], ordered.weights[:, other]))
            shares.append(weights[a] + weights[b] if average == "weighted" else 1.0)
    bounds = [one.error_bound for one in found]
    return Measured(np.average(found, weights=shares), np.average(bounds, weights=shares))


def _partial_area(ordered: OrderedWeights, max_fpr: float) -> Measured:
    """Return the standardised area of few false positives, by scikit-learn."""
    values, weights = values_of(ordered), ordered.weights
    row, label = np.nonzero(weights)
    score = reference.roc_auc_score(
        label, values[row], sample_weight=weights[row, label], max_fpr=max_fpr
    )
    bound = area(ordered, *_sides(ordered, 1)).error_bound / max_fpr
    return Measured(score, bound)


def _labels(ranking: Ranking) -> Array:
    if len(ranking.labels) == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    return ranking.labels


def _by_column(ranking: Ranking, known: Array) -> Ranking:
    """Return the ranking with the labels that the columns are of."""
    if len(known) != len(ranking.columns):
        raise ValueError(
            f"y_score has {len(ranking.columns)} columns, but there are {len(known)} classes: "
            f"{', '.join(map(str, known))}"
        )
    unknown = ~np.isin(ranking.labels, known)
    if unknown.any():
        raise ValueError(f"y_true holds {ranking.labels[unknown][0]!r}, which isn't among labels")
    if len(ranking.labels) < len(known):
        missing = known[~np.isin(known, ranking.labels)][0]
        raise ValueError(f"class {missing!r} doesn't occur in y_true: it has no ROC curve")
    return ranking


def _two(ordered: OrderedWeights, positive: int) -> OrderedWeights:
    return ordered._replace(weights=np.column_stack(_sides(ordered, positive)))


def _sides(ordered: OrderedWeights, positive: int) -> tuple[Array, Array]:
    """Return the weights of one label, and of all others."""
    mine = ordered.weights[:, positive]
    return mine, ordered.weights.sum(axis=1) - mine
