"""What came of fitting and scoring an estimator on the splits, and the table of several such."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.ma import MaskedArray
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning

from flowml.kernels.rows import Array


class Outcome(NamedTuple):
    """The scores of one candidate.

    Attributes
    ----------
    test, train : dict of str to ndarray of shape (n_splits,)
        By the scorers' names; no training scores unless they were asked for.
    fit_time, score_time : ndarray of shape (n_splits,)
        Seconds; where fits share their passes, the same share of the time for each.
    estimators : tuple of estimators, or None for a fit that failed
    """

    test: dict[str, Array]
    train: dict[str, Array]
    fit_time: Array
    score_time: Array
    estimators: tuple[Any, ...] = ()


def tabulate(params: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return ``cv_results_`` as scikit-learn has it."""
    table: dict[str, Any] = {}
    for name in ("fit_time", "score_time"):
        times = np.array([getattr(outcome, name) for outcome in outcomes])
        table[f"mean_{name}"], table[f"std_{name}"] = times.mean(axis=1), times.std(axis=1)
    for name in dict.fromkeys(key for one in params for key in one):
        table[f"param_{name}"] = _column([one.get(name, np.ma.masked) for one in params])
    table["params"] = [dict(one) for one in params]
    for side in ("test", "train"):
        for name in getattr(outcomes[0], side):
            scores = np.array([getattr(outcome, side)[name] for outcome in outcomes])
            table |= _scores(f"{side}_{name}", scores, ranked=side == "test")
    return table


def warn_of_failures(failures: Sequence[str], error_score: Any) -> None:
    """Warn where fits failed.

    Parameters
    ----------
    failures : sequence of str
        Why each fit failed; empty where it didn't.
    error_score : float
    """
    failed = [failure for failure in failures if failure]
    if failed:
        warnings.warn(
            f"{len(failed)} fits failed out of a total of {len(failures)}; their score is set to "
            f"{error_score}. The first: {failed[0]}",
            FitFailedWarning,
            stacklevel=8,
        )


def _scores(name: str, scores: Array, ranked: bool) -> dict[str, Array]:
    table = {f"split{number}_{name}": column for number, column in enumerate(scores.T)}
    mean = scores.mean(axis=1)
    table |= {f"mean_{name}": mean, f"std_{name}": scores.std(axis=1)}
    if ranked:
        worst = np.nan_to_num(mean, nan=np.min(mean, where=~np.isnan(mean), initial=np.inf) - 1)
        worst = np.where(np.isfinite(worst), worst, 0.0)
        table[f"rank_{name}"] = rankdata(-worst, method="min").astype(np.int32)
    return table


def _column(values: list[Any]) -> MaskedArray[Any, Any]:
    """Return parameter values, masked for candidates that don't have one."""
    present = [value for value in values if value is not np.ma.masked]
    plain = all(isinstance(value, bool | int | float | np.number | np.bool) for value in present)
    dtype = np.asarray(present).dtype if plain else np.dtype(object)
    column: MaskedArray[Any, Any] = np.ma.masked_all(len(values), dtype=dtype)
    for place, value in enumerate(values):
        if value is not np.ma.masked:
            column[place] = value
    return column
