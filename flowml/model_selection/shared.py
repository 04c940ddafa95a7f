"""Fits of many candidates on all splits, on the same passes over the data."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from flowml.data.dataset import Dataset
from flowml.drive.procedure import Procedure, masked, together
from flowml.estimator import PassEstimator, validate_schema
from flowml.kernels.rows import Array
from flowml.kernels.splits import TEST, TRAIN, Splits, Subset, Thinned
from flowml.linear_model.joint_fits import fit_on_splits, kinship, look, minimum_of
from flowml.metrics.fit_scores import Fit, Summable, score_together
from flowml.model_selection.apart import score_on_rows
from flowml.model_selection.outcome import Outcome, warn_of_failures


class Setting(NamedTuple):
    """What all candidates have in common.

    Attributes
    ----------
    dataset : Dataset
    splits : Splits
    scorers : dict of str to Scorer, or callable that takes all rows at once
    train_scores : bool
        Whether to score on the training rows too.
    error_score : "raise" or float
        What a fit that fails scores.
    """

    dataset: Dataset
    splits: Splits
    scorers: dict[str, Any]
    train_scores: bool
    error_score: Any


def shares_passes(estimator: Any) -> bool:
    """Tell whether an estimator offers its fit as a procedure."""
    return isinstance(estimator, PassEstimator) and hasattr(estimator, "_learning")


def evaluate_together(candidates: Sequence[Any], setting: Setting) -> Procedure[list[Outcome]]:
    """Fit each candidate on each split, and score it, on shared passes.

    Parameters
    ----------
    candidates : sequence of estimators that share passes
        They are cloned.
    setting : Setting
    """
    splits, numbers = setting.splits, range(setting.splits.n_splits)
    train, test = ([Subset(splits, n, side) for n in numbers] for side in (TRAIN, TEST))
    started = time.perf_counter()
    # side by side by split, so that the rows of a subset are taken out once for all candidates
    tasks = [(clone(candidate), subset) for subset in train for candidate in candidates]
    errors = yield from _attempts(tasks, setting)
    fit_time = (time.perf_counter() - started) / max(1, len(tasks))
    _report(errors, setting.error_score)
    started = time.perf_counter()
    sides = (test, train) if setting.train_scores else (test,)
    fits = [
        Fit(estimator, side[subset.split])
        for side in sides
        for (estimator, subset), error in zip(tasks, errors, strict=True)
        if error is None
    ]
    found = iter((yield from _scored(fits, setting)))
    score_time = (time.perf_counter() - started) / max(1, len(tasks))
    nothing = dict.fromkeys(setting.scorers, setting.error_score)
    scores = [[next(found) if error is None else nothing for error in errors] for _ in sides]
    n = len(candidates)
    times = (np.full(len(train), fit_time), np.full(len(train), score_time))
    return [
        Outcome(
            _columns(scores[0][number::n]),
            _columns(scores[1][number::n]) if setting.train_scores else {},
            *times,
            tuple(estimator for estimator, _ in tasks[number::n]),
        )
        for number in range(n)
    ]


def _scored(fits: Sequence[Fit], setting: Setting) -> Procedure[list[dict[str, float]]]:
    """Score fits: by sums over blocks in one pass, by all else where rows are put together."""
    dataset, scorers = setting.dataset, setting.scorers
    sums = {name: one for name, one in scorers.items() if isinstance(one, Summable)}
    others = {name: one for name, one in scorers.items() if name not in sums}
    found = yield from score_together(fits, sums, dataset.schema)
    pairs = zip(found, score_on_rows(fits, others, dataset), strict=True)
    return [{name: (one | more)[name] for name in scorers} for one, more in pairs]


def _attempts(
    tasks: Sequence[tuple[Any, Subset]], setting: Setting
) -> Procedure[list[Exception | None]]:
    """Make all fits on shared passes: those of kin as one, others each for itself."""
    groups: dict[Any, list[int]] = {}
    for place, (estimator, _) in enumerate(tasks):
        kin = None if isinstance(setting.splits, Thinned) else kinship(estimator)
        groups.setdefault(place if kin is None else kin, []).append(place)
    procedures = []
    for key, places in groups.items():
        mine = [tasks[place] for place in places]
        attempts = [attempt(estimator, subset, setting.dataset) for estimator, subset in mine]
        procedures.append(
            attempt_kin(mine, setting) if isinstance(key, str) else together(attempts)
        )
    errors: list[Exception | None] = [None] * len(tasks)
    for places, found in zip(groups.values(), (yield from together(procedures)), strict=True):
        for place, error in zip(places, found, strict=True):
            errors[place] = error
    return errors


def attempt_kin(
    tasks: Sequence[tuple[Any, Subset]], setting: Setting
) -> Procedure[list[Exception | None]]:
    """Fit models that differ in their penalties alone; return what went wrong with each."""
    dataset, splits = setting.dataset, setting.splits
    errors = [_unfit(estimator, dataset) for estimator, _ in tasks]
    models: list[list[Any]] = [[] for _ in range(splits.n_splits)]
    for (estimator, subset), error in zip(tasks, errors, strict=True):
        if error is None:
            models[subset.split].append(estimator)
    if not models[0]:
        return errors
    for mine in models:  # the path on the sample leads from strong penalties to weak ones
        mine.sort(key=lambda model: (model.l1_ratio, model.C))
    try:
        surveys = yield from look(models[0][0], splits, dataset.schema, dataset.n_rows)
        pairs = yield from fit_on_splits(models, surveys, splits, dataset.schema)
        for trial, found in pairs:
            trial.model._take(minimum_of(trial, found), dataset.schema)
    except Exception as error:
        return [error] * len(tasks)
    return errors


def _unfit(estimator: Any, dataset: Dataset) -> Exception | None:
    """Return why an estimator can't be fitted to a dataset, if that is plain before a pass."""
    try:
        validate_schema(estimator, dataset.schema, reset=True)
        estimator._check(dataset)
    except Exception as error:
        return error
    return None


def attempt(estimator: Any, subset: Subset, dataset: Dataset) -> Procedure[Exception | None]:
    """Fit an estimator to a subset of the rows; return what went wrong."""
    if (unfit := _unfit(estimator, dataset)) is not None:
        return unfit
    try:
        learning = estimator._learning(dataset.schema, subset.n_rows, describe=False)
        yield from masked(learning, subset)
    except Exception as error:
        return error
    return None


def _report(errors: Sequence[Exception | None], error_score: Any) -> None:
    failed = [error for error in errors if error is not None]
    if failed and (error_score == "raise" or len(failed) == len(errors)):
        raise failed[0]
    failures = ["" if error is None else f"{type(error).__name__}: {error}" for error in errors]
    warn_of_failures(failures, error_score)


def _columns(scores: Sequence[dict[str, float]]) -> dict[str, Array]:
    return {name: np.array([float(one[name]) for one in scores]) for name in scores[0]}
