"""Curves of scores in their order: the ROC curve, and precision by recall.

Up to eight million weights every score is kept apart, and the curves are scikit-learn's. Beyond
that neighbouring scores are taken together: the points that are left lie on the curve exactly, only
those between them are missing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from sklearn import metrics as reference

from flowml.kernels.ordered_weights import values_of
from flowml.kernels.ranking import MOST_WEIGHTS, RANKING, Ranking
from flowml.kernels.rows import Array
from flowml.metrics.metric import SCORE, Metric, measure_scores

Points: TypeAlias = tuple[Array, Array, Array]


def roc_curve(
    y_true: Any,
    y_score: Any,
    *,
    pos_label: Any = 1,
    sample_weight: Any = None,
    drop_intermediate: bool = True,
) -> Points:
    """Return the ROC curve: the shares of negative and of positive rows from each score on.

    Parameters
    ----------
    y_true : array, series or Dask collection of shape (n_rows,)
        Labels, of which there are two.
    y_score : array, frame or Dask collection of shape (n_rows,)
        Higher is more likely positive.
    pos_label : label, default=1
        The positive one.
    sample_weight : array or Dask collection of shape (n_rows,), optional
    drop_intermediate : bool, default=True
        Whether points on a straight line between others are left out.

    Returns
    -------
    fpr, tpr : ndarray of shape (n_points,)
        Shares of false and of true positives, ascending.
    thresholds : ndarray of shape (n_points,)
        The least score that counts as positive; infinity at first.

    Raises
    ------
    ValueError
        If there aren't two labels, `pos_label` isn't one, or scores have several columns.

    References
    ----------
    T. Fawcett 2006, "An introduction to ROC analysis".

    Examples
    --------
    >>> fpr, tpr, thresholds = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fpr, tpr
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    """
    curve = partial(reference.roc_curve, drop_intermediate=drop_intermediate)
    return _curve(curve, pos_label, y_true, y_score, sample_weight)


def precision_recall_curve(
    y_true: Any,
    y_score: Any,
    *,
    pos_label: Any = 1,
    sample_weight: Any = None,
    drop_intermediate: bool = False,
) -> Points:
    """Return precision and recall of the rows from each score on.

    Parameters
    ----------
    y_true, y_score, pos_label, sample_weight, drop_intermediate : as for `roc_curve`

    Returns
    -------
    precision, recall : ndarray of shape (n_thresholds + 1,)
        Recall descends to 0 at the end, where precision is 1.
    thresholds : ndarray of shape (n_thresholds,)
        The least score that counts as positive, ascending.

    Raises
    ------
    ValueError
        As `roc_curve`.

    Examples
    --------
    >>> found = precision_recall_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> found[1]
    array([1. , 1. , 0.5, 0.5, 0. ])
    """
    curve = partial(reference.precision_recall_curve, drop_intermediate=drop_intermediate)
    return _curve(curve, pos_label, y_true, y_score, sample_weight)


def _curve(
    curve: Callable[..., Any], pos_label: Any, y_true: Any, y_score: Any, sample_weight: Any
) -> Points:
    metric = Metric(SCORE, ((RANKING, MOST_WEIGHTS),), partial(curve_of, curve, pos_label))
    points: Points = measure_scores(metric, y_true, y_score, sample_weight)
    return points


def curve_of(curve: Callable[..., Any], pos_label: Any, ranking: Ranking) -> Points:
    """Return one of scikit-learn's curves of scores whose weights are summed up."""
    found = ranking.labels.tolist()
    if len(found) != 2:
        raise ValueError(f"y_true has {len(found)} labels, but a curve is of two")
    if len(ranking.columns) != 1:
        raise ValueError(f"y_score has {len(ranking.columns)} columns: give that of `pos_label`")
    if pos_label not in found:
        raise ValueError(f"pos_label={pos_label!r} isn't a label: these are {found}")
    ordered = ranking.columns[0]
    score, label = np.nonzero(ordered.weights)
    points: Points = curve(
        label == found.index(pos_label),
        values_of(ordered)[score],
        sample_weight=ordered.weights[score, label],
    )
    return points
