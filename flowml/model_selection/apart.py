"""Fits of estimators that can't share passes: scikit-learn's own, one fit at a time or per task."""

import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import cross_validate as cross_validate_in_memory

from flowml.config import get_config
from flowml.data.assemble import join_blocks
from flowml.data.dataset import Dataset
from flowml.kernels.rows import Array, Block
from flowml.kernels.splits import TEST, TRAIN, Splits, Subset
from flowml.metrics.fit_scores import DEFAULT, Fit, without_names
from flowml.model_selection.outcome import Outcome
from flowml.runtimes.whole import run_on_rows


class Way(NamedTuple):
    """How fits are scored.

    Attributes
    ----------
    scoring : whatever scikit-learn takes
    train_scores : bool
    error_score : "raise" or float
    """

    scoring: Any
    train_scores: bool
    error_score: Any


class Job(NamedTuple):
    """One fit.

    Attributes
    ----------
    candidate : estimator
    splits : Splits
    split : int
    """

    candidate: Any
    splits: Splits
    split: int


def evaluate_in_memory(
    candidates: Sequence[Any],
    rows: tuple[Any, Any],
    pairs: Sequence[tuple[Array, Array]],
    way: Way,
    params: Mapping[str, Any],
) -> list[Outcome]:
    """Fit and score on rows in this process, as scikit-learn does.

    Parameters
    ----------
    candidates : sequence of estimators
    rows : X and y
    pairs : sequence of pairs of index arrays
    way : Way
    params : mapping
        Goes to ``fit``, such as sample weights.
    """
    outcomes = []
    for candidate in candidates:
        found = cross_validate_in_memory(
            candidate,
            *rows,
            cv=list(pairs),
            scoring=way.scoring,
            return_train_score=way.train_scores,
            return_estimator=True,
            error_score=way.error_score,
            params=dict(params),
        )
        sides = {
            side: {
                name.removeprefix(f"{side}_"): np.asarray(values, dtype=np.float64)
                for name, values in found.items()
                if name.startswith(f"{side}_")
            }
            for side in ("test", "train")
        }
        times = (found["fit_time"], found["score_time"])
        outcomes.append(Outcome(sides["test"], sides["train"], *times, tuple(found["estimator"])))
    return outcomes


def evaluate_in_tasks(
    candidates: Sequence[Any], dataset: Dataset, splits: Splits, way: Way
) -> list[Outcome]:
    """Fit and score each candidate on each split in a task of its own, where the rows are."""
    numbers = range(splits.n_splits)
    jobs = [Job(candidate, splits, number) for candidate in candidates for number in numbers]
    results = run_on_rows(dataset, partial(fit_and_score, way), jobs, get_config())
    n = splits.n_splits
    return [_outcome(results[low : low + n]) for low in range(0, len(results), n)]


def fit_and_score(way: Way, rows: Block, job: Job) -> dict[str, Any]:
    """Fit one candidate on one split and score it: a task."""
    sides = {
        name: taken(rows, Subset(job.splits, job.split, side))
        for name, side in (("train", TRAIN), ("test", TEST))
    }
    estimator, started = clone(job.candidate), time.perf_counter()
    scorer = check_scoring(estimator, way.scoring)
    try:
        fit(estimator, sides["train"])
    except Exception as error:
        if way.error_score == "raise":
            raise
        warnings.warn(f"a fit failed: {error}", FitFailedWarning, stacklevel=2)
        estimator = None
    fitted = time.perf_counter()
    found: dict[str, Any] = {"estimator": estimator}
    for side in ("test", "train") if way.train_scores else ("test",):
        block = sides[side]
        if estimator is None:
            several = isinstance(way.scoring, list | tuple | set | dict)
            score = dict.fromkeys(way.scoring if several else [DEFAULT], way.error_score)
        else:
            score = scorer(estimator, block.X, block.y)
        found[side] = score if isinstance(score, dict) else {DEFAULT: score}
    return found | {"fit_time": fitted - started, "score_time": time.perf_counter() - fitted}


def score_on_rows(
    fits: Sequence[Fit], scorers: Mapping[str, Any], dataset: Dataset
) -> list[dict[str, float]]:
    """Score fitted estimators by functions of all test rows at once, each in a task."""
    if not (fits and scorers):
        return [{} for _ in fits]
    jobs = [fit._replace(estimator=without_names(fit.estimator)) for fit in fits]
    return run_on_rows(dataset, partial(_scores, dict(scorers)), jobs, get_config())


def _scores(scorers: Mapping[str, Any], rows: Block, fit: Fit) -> dict[str, float]:
    block = taken(rows, fit.subset)
    given = (block.X,) if block.y is None else (block.X, block.y)
    return {name: float(scorer(fit.estimator, *given)) for name, scorer in scorers.items()}


def fit(estimator: Any, rows: Block) -> None:
    """Fit an estimator of scikit-learn's to a block."""
    given = {} if rows.weight is None else {"sample_weight": rows.weight}
    estimator.fit(rows.X, *(() if rows.y is None else (rows.y,)), **given)


def refit(estimator: Any, dataset: Dataset) -> Any:
    """Fit an estimator of scikit-learn's to all rows, where they are, and bring it here."""
    return run_on_rows(dataset, _refitted, [estimator], get_config())[0]


def _refitted(rows: Block, estimator: Any) -> Any:
    estimator = clone(estimator)
    fit(estimator, rows)
    return estimator


def taken(rows: Block, subset: Subset) -> Block:
    """Return a subset's rows as one block."""
    return join_blocks(subset.see([rows]))


def _outcome(results: Sequence[dict[str, Any]]) -> Outcome:
    test, train = (
        {name: np.array([one[side][name] for one in results]) for name in results[0].get(side, ())}
        for side in ("test", "train")
    )
    fit_time, score_time = (
        np.array([one[name] for one in results]) for name in ("fit_time", "score_time")
    )
    estimators = tuple(one["estimator"] for one in results)
    return Outcome(test, train, fit_time, score_time, estimators)
