"""Metrics of predicted probabilities: from sums by true label."""

import warnings
from functools import partial
from typing import Any

import numpy as np

from flowml.kernels.label_scores import LABEL_SCORES, LabelScores
from flowml.kernels.rows import Array
from flowml.metrics.metric import SCORE, Metric, measure_scores

LEAST = float(np.finfo(np.float64).eps)
"""Probabilities are taken to be at least this, as scikit-learn does: a zero would cost infinity."""
LEAST32 = float(np.finfo(np.float32).eps)


def log_loss_metric(
    labels: Any = None, normalize: bool = True, explained: bool = False, least: float = LEAST
) -> Metric:
    """Return the metric of `log_loss`, or of its explained share."""
    finish = partial(_log_loss, labels, normalize, explained)
    return Metric(SCORE, ((LABEL_SCORES, least),), finish)


def brier_metric(
    labels: Any = None,
    pos_label: Any = None,
    scale_by_half: bool | str = "auto",
    explained: bool = False,
) -> Metric:
    """Return the metric of `brier_score_loss`, or of its explained share."""
    finish = partial(_brier, labels, pos_label, scale_by_half, explained)
    return Metric(SCORE, ((LABEL_SCORES, LEAST),), finish)


def log_loss(
    y_true: Any,
    y_proba: Any,
    *,
    normalize: bool = True,
    sample_weight: Any = None,
    labels: Any = None,
) -> float:
    r"""Return the mean of :math:`-\log p_y`, of the true labels' predicted probabilities.

    Probabilities are clipped to the precision of their dtype, so that none is zero.

    Parameters
    ----------
    y_true : array, series or Dask collection of shape (n_rows,)
        Labels, numbers or strings.
    y_proba : array, frame or Dask collection of shape (n_rows,) or (n_rows, n_classes)
        A column for each label in sorted order; one alone is the second label's.
    normalize : bool, default=True
        False returns the sum.
    sample_weight : array or Dask collection of shape (n_rows,), optional
    labels : sequence, optional
        All labels, where some don't occur.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a number is no probability, or the labels aren't as many as the columns.

    Examples
    --------
    >>> round(log_loss(["ham", "spam"], [0.2, 0.8]), 4)
    0.2231
    """
    metric = log_loss_metric(labels, normalize, least=_least(y_proba))
    return float(measure_scores(metric, y_true, y_proba, sample_weight))


def d2_log_loss_score(
    y_true: Any, y_proba: Any, *, sample_weight: Any = None, labels: Any = None
) -> float:
    """Return the share of the log loss of the classes' frequencies that is explained.

    Parameters
    ----------
    y_true, y_proba, sample_weight, labels : as for `log_loss`

    Returns
    -------
    float
        1 for a perfect prediction, 0 for that of the frequencies.

    Examples
    --------
    >>> d2_log_loss_score([0, 1], [0.5, 0.5])
    0.0
    """
    metric = log_loss_metric(labels, explained=True, least=_least(y_proba))
    return float(measure_scores(metric, y_true, y_proba, sample_weight))


def brier_score_loss(
    y_true: Any,
    y_proba: Any,
    *,
    sample_weight: Any = None,
    pos_label: Any = None,
    labels: Any = None,
    scale_by_half: bool | str = "auto",
) -> float:
    r"""Return the mean of :math:`\sum_k (p_k - [y = k])^2`, halved for two classes.

    Parameters
    ----------
    y_true, y_proba, sample_weight, labels : as for `log_loss`
    pos_label : label, optional
        Which one a single column is the probability of; by default the larger one.
    scale_by_half : bool or "auto", default="auto"
        Whether to halve it; "auto" does for two classes.

    Returns
    -------
    float

    References
    ----------
    G. W. Brier 1950, "Verification of forecasts expressed in terms of probability".

    Examples
    --------
    >>> round(brier_score_loss([0, 1], [0.2, 0.8]), 4)
    0.04
    """
    metric = brier_metric(labels, pos_label, scale_by_half)
    return float(measure_scores(metric, y_true, y_proba, sample_weight))


def d2_brier_score(
    y_true: Any,
    y_proba: Any,
    *,
    sample_weight: Any = None,
    pos_label: Any = None,
    labels: Any = None,
) -> float:
    """Return the share of the Brier score of the classes' frequencies that is explained.

    Parameters
    ----------
    y_true, y_proba, sample_weight, pos_label, labels : as for `brier_score_loss`

    Returns
    -------
    float
        1 for a perfect prediction, 0 for that of the frequencies.

    Examples
    --------
    >>> d2_brier_score([0, 1], [0.5, 0.5])
    0.0
    """
    metric = brier_metric(labels, pos_label, explained=True)
    return float(measure_scores(metric, y_true, y_proba, sample_weight))


def _least(y_proba: Any) -> float:
    return LEAST32 if getattr(y_proba, "dtype", None) == np.float32 else LEAST


def _log_loss(labels: Any, normalize: bool, explained: bool, sums: LabelScores) -> float:
    columns, total = _columns(sums, labels), float(sums.weights.sum())
    tolerance = np.sqrt(LEAST)
    if sums.uneven > tolerance:
        warnings.warn("the probabilities of a row don't sum to one", UserWarning, stacklevel=2)
    loss = -float(sums.logarithms[np.arange(len(columns)), columns].sum())
    if explained:
        return 1.0 + loss / float(sums.weights @ np.log(sums.weights / total))
    return loss / total if normalize else loss


def _brier(
    labels: Any, pos_label: Any, scale_by_half: bool | str, explained: bool, sums: LabelScores
) -> float:
    columns = _columns(sums, labels, pos_label)
    total = float(sums.weights.sum())
    hit = float(sums.probabilities[np.arange(len(columns)), columns].sum())
    score = (sums.squares - 2 * hit + total) / total
    if explained:
        return 1.0 - score / (1.0 - float(np.square(sums.weights / total).sum()))
    two = sums.probabilities.shape[1] == 2
    return score / 2 if (two if scale_by_half == "auto" else scale_by_half) else score


def _columns(sums: LabelScores, labels: Any, pos_label: Any = None) -> Array:
    """Return which column of probabilities belongs to each label that was found."""
    n_columns = sums.probabilities.shape[1]
    if len(sums.labels) == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    if sums.least < 0 or sums.most > 1:
        raise ValueError(
            f"y_proba holds {sums.least if sums.least < 0 else sums.most:g}, which is no "
            "probability: they lie between 0 and 1"
        )
    if pos_label is not None and n_columns == 2:
        return (sums.labels == pos_label).astype(np.intp)
    known = sums.labels if labels is None else np.unique(np.asarray(labels))
    if len(known) != n_columns:
        raise ValueError(
            f"y_proba has probabilities of {n_columns} classes, but {len(known)} labels "
            f"{'were found' if labels is None else 'are given'}: {', '.join(map(str, known))}. "
            "Give all of them as labels="
        )
    unknown = ~np.isin(sums.labels, known)
    if unknown.any():
        raise ValueError(f"y_true holds {sums.labels[unknown][0]!r}, which isn't among labels")
    return np.searchsorted(known, sums.labels)
