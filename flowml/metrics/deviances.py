"""Deviances: the errors of predicted means by the likelihood of their distribution."""

from functools import partial
from typing import Any

import numpy as np

from flowml.kernels.prediction_deviance import PredictionDeviance, prediction_deviance
from flowml.losses.families import family_of_power
from flowml.metrics.metric import PREDICTION, Metric, measure_predictions


def deviance_metric(power: float, explained: bool = False) -> Metric:
    """Return the metric of `mean_tweedie_deviance`, or of its explained share."""
    fold = prediction_deviance(family_of_power(power))
    return Metric(PREDICTION, ((fold, None),), partial(_deviance, power, explained))


def mean_tweedie_deviance(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, power: float = 0
) -> float:
    r"""Return the mean unit deviance of a distribution whose variance is :math:`\mu^{power}`.

    Parameters
    ----------
    y_true, y_pred : array, series or Dask collection of shape (n_rows,)
        Targets and their predicted means.
    sample_weight : array or Dask collection of shape (n_rows,), optional
    power : float, default=0
        0 is the squared error, 1 Poisson's deviance, 2 gamma's, 3 the inverse Gaussian's.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there is no such distribution, or it can't have such targets or means.

    References
    ----------
    B. Jørgensen 1987, "Exponential dispersion models".

    Examples
    --------
    >>> mean_tweedie_deviance([1.0, 0.0], [2.0, 0.0])
    0.5
    """
    metric = deviance_metric(power)
    return float(measure_predictions(metric, y_true, y_pred, sample_weight))


def mean_poisson_deviance(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    r"""Return the mean of :math:`2 (y \log (y / \mu) - y + \mu)`.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `mean_tweedie_deviance`
        Targets of at least 0, means above.

    Returns
    -------
    float

    Examples
    --------
    >>> mean_poisson_deviance([0.0, 2.0], [1.0, 2.0])
    1.0
    """
    return mean_tweedie_deviance(y_true, y_pred, sample_weight=sample_weight, power=1)


def mean_gamma_deviance(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    r"""Return the mean of :math:`2 (y / \mu - 1 - \log (y / \mu))`.

    Parameters
    ----------
    y_true, y_pred, sample_weight : as for `mean_tweedie_deviance`
        Above 0.

    Returns
    -------
    float

    Examples
    --------
    >>> round(mean_gamma_deviance([1.0], [2.0]), 3)
    0.386
    """
    return mean_tweedie_deviance(y_true, y_pred, sample_weight=sample_weight, power=2)


def d2_tweedie_score(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, power: float = 0
) -> float:
    """Return the share of the deviance from the targets' mean that is explained.

    Parameters
    ----------
    y_true, y_pred, sample_weight, power : as for `mean_tweedie_deviance`

    Returns
    -------
    float
        1 for a perfect prediction, 0 for that of the mean.

    Examples
    --------
    >>> d2_tweedie_score([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    metric = deviance_metric(power, explained=True)
    return float(measure_predictions(metric, y_true, y_pred, sample_weight))


def _deviance(power: float, explained: bool, sums: PredictionDeviance) -> float:
    if sums.weight == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    _check_domain(power, sums)
    if not explained:
        return sums.left / sums.weight
    if sums.total == 0:
        return float(sums.left == 0)
    return 1.0 - sums.left / sums.total


def _check_domain(power: float, sums: PredictionDeviance) -> None:
    """Refuse what the distribution can't have."""
    targets = family_of_power(power).targets
    if not targets.holds(np.array(sums.least_target)):
        raise ValueError(
            f"y_true holds {sums.least_target:g}: for power={power} it must be {targets}"
        )
    if power != 0 and sums.least_prediction <= 0:
        raise ValueError(
            f"y_pred holds {sums.least_prediction:g}: for power={power} it must be above 0"
        )
