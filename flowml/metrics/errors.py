"""Metrics of predicted numbers: from sums of errors, and for medians from errors in their order."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from flowml.kernels.fold import Ask, Fold
from flowml.kernels.ordered_weights import OrderedWeights, values_of
from flowml.kernels.prediction_errors import PREDICTION_ERRORS, PredictionErrors
from flowml.kernels.prediction_values import PREDICTION_VALUES, PredictionValues, ValuesAsk
from flowml.kernels.rows import Array
from flowml.metrics.metric import PREDICTION, Measured, Metric, measure_predictions

ERRORS: tuple[Fold, Ask] = (PREDICTION_ERRORS, None)
TARGETS: tuple[Fold, Ask] = (PREDICTION_VALUES, ValuesAsk(errors=False))
DEVIATIONS: tuple[Fold, Ask] = (PREDICTION_VALUES, ValuesAsk(errors=True))


def of_errors(
    function: Callable[[PredictionErrors], Array], multioutput: Any = "uniform_average"
) -> Metric:
    """Return the metric that a function of the sums gives for each output."""
    return Metric(PREDICTION, (ERRORS,), partial(_of_errors, function, multioutput))


def median_metric(multioutput: Any = "uniform_average") -> Metric:
    """Return the metric of `median_absolute_error`."""
    return Metric(PREDICTION, (DEVIATIONS,), partial(_median_error, multioutput))


def d2_absolute_metric(multioutput: Any = "uniform_average") -> Metric:
    """Return the metric of `d2_absolute_error_score`."""
    return Metric(PREDICTION, (ERRORS, TARGETS), partial(_d2_absolute, multioutput))


def mean_squared_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    r"""Return the mean of :math:`(y - \hat y)^2`.

    Parameters
    ----------
    y_true, y_pred : array, series, frame or Dask collection
        Of shape (n_rows,) or (n_rows, n_outputs).
        Of shape (n_rows,) or (n_rows, n_outputs).
    sample_weight : array or Dask collection of shape (n_rows,), optional
    multioutput : {"uniform_average", "raw_values"} or array of shape (n_outputs,)
        How to sum up several outputs: by their mean, not at all, or by these weights.

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    metric = of_errors(squared, multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def root_mean_squared_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Return the root of the mean squared error, of each output before they are summed up.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput : as for `mean_squared_error`

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Examples
    --------
    >>> root_mean_squared_error([1.0, 2.0], [3.0, 4.0])
    2.0
    """
    metric = of_errors(root_squared, multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def mean_absolute_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    r"""Return the mean of :math:`|y - \hat y|`.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput : as for `mean_squared_error`

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Examples
    --------
    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    metric = of_errors(absolute, multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def mean_absolute_percentage_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    r"""Return the mean of :math:`|y - \hat y| / |y|`, as a share of one.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput : as for `mean_squared_error`

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Examples
    --------
    >>> mean_absolute_percentage_error([1.0, 2.0], [1.0, 4.0])
    0.5
    """
    metric = of_errors(relative, multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def mean_squared_log_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    r"""Return the mean of :math:`(\log(1 + y) - \log(1 + \hat y))^2`.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput : as for `mean_squared_error`
        Above −1.

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Raises
    ------
    ValueError
        If a target or prediction is −1 or less.

    Examples
    --------
    >>> mean_squared_log_error([0.0, 1.0], [0.0, 1.0])
    0.0
    """
    metric = of_errors(logarithmic, multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def max_error(y_true: Any, y_pred: Any) -> float:
    """Return the largest absolute error.

    Parameters
    ----------
    y_true, y_pred : as for `mean_squared_error`, of one output

    Returns
    -------
    float

    Examples
    --------
    >>> max_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    return float(measure_predictions(of_errors(largest), y_true, y_pred, None))


def median_absolute_error(
    y_true: Any, y_pred: Any, *, multioutput: Any = "uniform_average", sample_weight: Any = None
) -> Any:
    """Return the median of the absolute errors.

    Equal errors are joined and all others kept apart, up to four million: then it is exact. Beyond
    that it is known to an interval, and the result's ``error_bound`` is half of its width.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput : as for `mean_squared_error`

    Returns
    -------
    Measured, or ndarray of shape (n_outputs,)
        A float with an ``error_bound``, 0 where it is exact.

    Examples
    --------
    >>> median_absolute_error([1.0, 2.0, 3.0], [1.0, 2.5, 9.0])
    0.5
    """
    return measure_predictions(median_metric(multioutput), y_true, y_pred, sample_weight)


def r2_score(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
    force_finite: bool = True,
) -> Any:
    r"""Return :math:`1 - \sum_i w_i (y_i - \hat y_i)^2 / \sum_i w_i (y_i - \bar y)^2`.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `mean_squared_error`
    multioutput : {"uniform_average", "variance_weighted", "raw_values"} or array
        As for `mean_squared_error`, or by the outputs' variances.
    force_finite : bool, default=True
        Whether a constant target scores 1 where it is met and 0 where it isn't.

    Returns
    -------
    float, or ndarray of shape (n_outputs,)
        1 for a perfect prediction, 0 for that of the mean.

    Examples
    --------
    >>> r2_score([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    metric = of_errors(partial(explained, force_finite, False), multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def explained_variance_score(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
    force_finite: bool = True,
) -> Any:
    """Return R² of predictions that are right on average.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput, force_finite : as for `r2_score`

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Examples
    --------
    >>> explained_variance_score([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    1.0
    """
    metric = of_errors(partial(explained, force_finite, True), multioutput)
    return measure_predictions(metric, y_true, y_pred, sample_weight)


def d2_absolute_error_score(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Return the share of the targets' absolute deviations from their median that is explained.

    Parameters
    ----------
    y_true, y_pred, sample_weight, multioutput : as for `mean_squared_error`

    Returns
    -------
    Measured, or ndarray of shape (n_outputs,)
        A float with an ``error_bound``, 0 where the median is exact.

    Examples
    --------
    >>> d2_absolute_error_score([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    return measure_predictions(d2_absolute_metric(multioutput), y_true, y_pred, sample_weight)


def squared(sums: PredictionErrors) -> Array:
    """Return mean squared errors."""
    return sums.squares / sums.weight


def root_squared(sums: PredictionErrors) -> Array:
    """Return their roots."""
    return np.sqrt(sums.squares / sums.weight)


def absolute(sums: PredictionErrors) -> Array:
    """Return mean absolute errors."""
    return sums.absolute / sums.weight


def relative(sums: PredictionErrors) -> Array:
    """Return mean relative errors."""
    return sums.relative / sums.weight


def largest(sums: PredictionErrors) -> Array:
    """Return the largest absolute errors."""
    if len(sums.largest) > 1:
        raise ValueError("max_error is for one output")
    return sums.largest


def logarithmic(sums: PredictionErrors) -> Array:
    """Return mean squared errors of logarithms."""
    if sums.least <= -1:
        raise ValueError(
            f"y_true or y_pred holds {sums.least:g}: logarithmic errors need numbers above -1"
        )
    return sums.logarithmic / sums.weight


def root_logarithmic(sums: PredictionErrors) -> Array:
    """Return their roots."""
    return np.sqrt(logarithmic(sums))


def explained(force_finite: bool, unbiased: bool, sums: PredictionErrors) -> Array:
    """Return the shares of variance that are explained."""
    left = sums.squares - sums.bias**2 / sums.weight if unbiased else sums.squares
    return _share(left, sums.total, force_finite)


def median(ordered: OrderedWeights) -> Measured:
    """Return the weighted median: where two values halve the weight, their mean."""
    weights = ordered.weights[:, 0]
    reached, half = np.cumsum(weights), weights.sum() / 2
    low = int(np.searchsorted(reached, half * (1 - 1e-12)))
    high = low + int(abs(reached[low] - half) <= 1e-12 * half and low + 1 < len(weights))
    begin = float(values_of(ordered)[[low, high]].mean())
    if not ordered.shift:
        return Measured(begin)
    end = float(values_of(ordered, end=True)[[low, high]].mean())
    return Measured((begin + end) / 2, (end - begin) / 2)


def _share(left: Array, total: Array, force_finite: bool = True) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 1.0 - left / total
    if not force_finite:
        return shares
    constant = total == 0
    return np.where(constant, np.where(left == 0, 1.0, 0.0), shares)


def _of_errors(
    function: Callable[[PredictionErrors], Array], multioutput: Any, sums: PredictionErrors
) -> Any:
    if sums.weight == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    if isinstance(multioutput, str) and multioutput == "variance_weighted":
        multioutput = sums.total if sums.total.any() else "uniform_average"
    return _summed_up(function(sums), multioutput)


def _summed_up(values: Array, multioutput: Any) -> Any:
    if isinstance(multioutput, str):
        if multioutput == "raw_values":
            return values
        if multioutput != "uniform_average":
            raise ValueError(
                f"multioutput={multioutput!r}: must be 'uniform_average', 'raw_values' or weights"
            )
        multioutput = None
    return float(np.average(values, weights=multioutput))


def _median_error(multioutput: Any, values: PredictionValues) -> Any:
    return _measured([median(_some(ordered)) for ordered in values.columns], multioutput)


def _d2_absolute(multioutput: Any, sums: PredictionErrors, values: PredictionValues) -> Any:
    found = []
    for left, ordered in zip(sums.absolute, values.columns, strict=True):
        middle, weights = median(_some(ordered)), ordered.weights[:, 0]
        begin, end = values_of(ordered), values_of(ordered, end=True)
        total = weights @ np.abs((begin + end) / 2 - middle)
        share = float(_share(left, total))
        unsure = weights @ (end - begin) / 2
        found.append(Measured(share, (1.0 - share) * unsure / max(total - unsure, 1e-300)))
    return _measured(found, multioutput)


def _measured(found: list[Measured], multioutput: Any) -> Any:
    value = _summed_up(np.array(found, dtype=np.float64), multioutput)
    if isinstance(value, np.ndarray):
        return value
    bounds = np.array([one.error_bound for one in found])
    return Measured(value, _summed_up(bounds, multioutput))


def _some(ordered: OrderedWeights) -> OrderedWeights:
    if len(ordered.keys) == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    return ordered
