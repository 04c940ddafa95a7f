"""Metrics of predicted labels: all of them from one confusion matrix."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn import metrics as reference

from flowml.kernels.confusion import CONFUSION, Confusion
from flowml.kernels.labels import check_known
from flowml.metrics.metric import PREDICTION, Metric, measure_predictions

NOTHING = "there is nothing to measure: no row, or none of a weight above zero"


def of_confusion(function: Callable[..., Any], **options: Any) -> Metric:
    """Return the metric that a function of scikit-learn's computes from labels.

    The confusion matrix is a small data set of its own: each pair of a true and a predicted label
    is a row, with the weight of all rows that have it. So options, averages and warnings are
    scikit-learn's.
    """
    return Metric(PREDICTION, ((CONFUSION, None),), partial(_replay, function, options))


def share_right() -> Metric:
    """Return the metric of accuracy."""
    return Metric(PREDICTION, ((CONFUSION, None),), _share_right)


def known_accuracy(classes: Any) -> Metric:
    """Return the metric of accuracy among known classes; a label that isn't one of them is refused.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    """
    return Metric(PREDICTION, ((CONFUSION, None),), partial(_known_accuracy, classes))


def accuracy_score(
    y_true: Any, y_pred: Any, *, normalize: bool = True, sample_weight: Any = None
) -> float:
    """Return the share of rows whose label is predicted.

    Parameters
    ----------
    y_true, y_pred : array, series or Dask collection of shape (n_rows,)
        Labels, numbers or strings.
    normalize : bool, default=True
        False returns the weight of these rows.
    sample_weight : array or Dask collection of shape (n_rows,), optional

    Returns
    -------
    float

    Examples
    --------
    >>> accuracy_score([0, 1, 1, 0], [0, 1, 0, 0])
    0.75
    """
    metric = of_confusion(reference.accuracy_score, normalize=normalize)
    return float(measure_predictions(metric, y_true, y_pred, sample_weight))


def balanced_accuracy_score(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, adjusted: bool = False
) -> float:
    """Return the mean over the classes of the share of their rows that are found.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `accuracy_score`
    adjusted : bool, default=False
        Whether guessing scores 0 instead of one over the number of classes.

    Returns
    -------
    float

    Examples
    --------
    >>> balanced_accuracy_score([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    metric = of_confusion(reference.balanced_accuracy_score, adjusted=adjusted)
    return float(measure_predictions(metric, y_true, y_pred, sample_weight))


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    sample_weight: Any = None,
    normalize: str | None = None,
) -> np.ndarray:
    """Return the number (with weights, the weight) of rows by true and predicted label.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `accuracy_score`
    labels : sequence, optional
        Which labels, in which order; by default all that occur, sorted.
    normalize : {"true", "pred", "all"}, optional
        Divides by the sums of rows, of columns, or of all.

    Returns
    -------
    ndarray of shape (n_labels, n_labels)

    Examples
    --------
    >>> confusion_matrix(["no", "yes", "yes"], ["no", "yes", "no"])
    array([[1, 0],
           [1, 1]])
    """
    metric = of_confusion(reference.confusion_matrix, labels=labels, normalize=normalize)
    matrix: np.ndarray = measure_predictions(metric, y_true, y_pred, sample_weight)
    return matrix.astype(np.int64) if sample_weight is None and normalize is None else matrix


def precision_score(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the share of the rows predicted as a class that belong to it.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `accuracy_score`
    labels : sequence, optional
        Which classes to average over.
    pos_label : label, default=1
        The class that "binary" is about.
    average : {"binary", "micro", "macro", "weighted"} or None, default="binary"
        How to sum up the classes; None returns one number for each.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        What is returned where nothing was predicted; "warn" is 0 with a warning.

    Returns
    -------
    float, or ndarray of shape (n_classes,)

    Examples
    --------
    >>> precision_score([0, 1, 1, 0], [1, 1, 0, 0])
    0.5
    """
    options = {"labels": labels, "pos_label": pos_label, "average": average}
    metric = of_confusion(reference.precision_score, zero_division=zero_division, **options)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def recall_score(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the share of a class's rows that are predicted as such.

    Parameters
    ----------
    y_true, y_pred, labels, pos_label, average, sample_weight, zero_division
        As for `precision_score`.

    Returns
    -------
    float, or ndarray of shape (n_classes,)

    Examples
    --------
    >>> recall_score([0, 1, 1, 0], [0, 1, 0, 0])
    0.5
    """
    options = {"labels": labels, "pos_label": pos_label, "average": average}
    metric = of_confusion(reference.recall_score, zero_division=zero_division, **options)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def f1_score(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the harmonic mean of precision and recall.

    Parameters
    ----------
    y_true, y_pred, labels, pos_label, average, sample_weight, zero_division
        As for `precision_score`.

    Returns
    -------
    float, or ndarray of shape (n_classes,)

    Examples
    --------
    >>> round(f1_score([0, 1, 1, 0], [0, 1, 0, 0]), 3)
    0.667
    """
    options = {"labels": labels, "pos_label": pos_label, "average": average}
    metric = of_confusion(reference.f1_score, zero_division=zero_division, **options)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def fbeta_score(  # noqa: PLR0913 - scikit-learn's parameters
    y_true: Any,
    y_pred: Any,
    *,
    beta: float,
    labels: Any = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    r"""Return :math:`(1 + \beta^2) P R / (\beta^2 P + R)` of precision P and recall R.

    Parameters
    ----------
    y_true, y_pred, labels, pos_label, average, sample_weight, zero_division
        As for `precision_score`.
    beta : float
        How much more recall counts than precision.

    Returns
    -------
    float, or ndarray of shape (n_classes,)

    References
    ----------
    C. J. van Rijsbergen 1979, "Information Retrieval".

    Examples
    --------
    >>> round(fbeta_score([0, 1, 1, 0], [0, 1, 0, 0], beta=2.0), 3)
    0.556
    """
    options = {"labels": labels, "pos_label": pos_label, "average": average, "beta": beta}
    metric = of_confusion(reference.fbeta_score, zero_division=zero_division, **options)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def matthews_corrcoef(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Return Matthews' correlation of true and predicted labels.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `accuracy_score`

    Returns
    -------
    float
        1 for a perfect prediction, 0 for guessing.

    Examples
    --------
    >>> matthews_corrcoef([0, 1, 1, 0], [0, 1, 1, 0])
    1.0
    """
    metric = of_confusion(reference.matthews_corrcoef)
    return float(measure_predictions(metric, y_true, y_pred, sample_weight))


def _replay(function: Callable[..., Any], options: dict[str, Any], confusion: Confusion) -> Any:
    true, predicted = np.nonzero(confusion.weights)
    if len(true) == 0:
        raise ValueError(NOTHING)
    labels, weights = confusion.labels, confusion.weights[true, predicted]
    return function(labels[true], labels[predicted], sample_weight=weights, **options)


def _known_accuracy(classes: Any, confusion: Confusion) -> float:
    found = confusion.labels[confusion.weights.sum(axis=1) > 0]
    check_known(found[~np.isin(found, classes)], classes)
    return _share_right(confusion)


def _share_right(confusion: Confusion) -> float:
    total = confusion.weights.sum()
    if total == 0:
        raise ValueError(NOTHING)
    return float(np.trace(confusion.weights) / total)
