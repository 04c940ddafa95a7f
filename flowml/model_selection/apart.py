"""Fits of estimators that can't share passes: one at a time or in tasks, each kept once done."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import cross_validate as cross_validate_in_memory

from flowml.config import get_config
from flowml.data.assemble import join_blocks
from flowml.data.dataset import Dataset
from flowml.drive.procedure import Procedure
from flowml.drive.records import Errands
from flowml.kernels.rows import Array, Block
from flowml.kernels.splits import TEST, TRAIN, Splits, Subset
from flowml.metrics.fit_scores import DEFAULT, Fit, without_names
from flowml.model_selection.outcome import Outcome, warn_of_failures
from flowml.runtimes.whole import run_on_rows

STAGE = "fits"
TIMES = ("fit_time", "score_time")


class Way(NamedTuple):
    """How fits are scored.

    Attributes
    ----------
    scoring : whatever scikit-learn takes
    train_scores : bool
    error_score : "raise" or float
    estimators : bool
        Whether the fitted estimators are wanted: a checkpoint can't hold these.
    """

    scoring: Any
    train_scores: bool
    error_score: Any
    estimators: bool


class Scored(NamedTuple):
    """What came of one fit; a checkpoint holds it.

    Attributes
    ----------
    names : tuple of str
        Of the scores; none where the fit failed.
    test, train : tuple of float
        None in `train` unless they were asked for.
    fit_time, score_time : float
    failure : str
        Why the fit failed.
    estimator : estimator or None
        Where it is wanted.
    """

    names: tuple[str, ...]
    test: tuple[float, ...]
    train: tuple[float, ...]
    fit_time: float
    score_time: float
    failure: str = ""
    estimator: Any = None


class Rows(NamedTuple):
    """Rows in this process, of whatever kind the estimator takes.

    Attributes
    ----------
    X, y : any
    pairs : sequence of pairs of index arrays
        The training and the test rows of each split.
    params : dict
        Goes to ``fit``, such as sample weights.
    """

    X: Any
    y: Any
    pairs: Sequence[tuple[Array, Array]]
    params: dict[str, Any]


def evaluate_in_memory(candidates: Sequence[Any], rows: Rows, way: Way) -> Procedure[list[Outcome]]:
    """Fit and score on rows in this process, one fit after the other."""
    jobs = [(candidate, pair) for candidate in candidates for pair in rows.pairs]

    def run(numbers: Sequence[int], done: Callable[[int, Any], None]) -> None:
        for number in numbers:
            done(number, _scored_in_memory(*jobs[number], rows, way))

    results = yield Errands(STAGE, len(jobs), run, kept=not way.estimators)
    return _outcomes(results, len(rows.pairs), way.error_score)


def evaluate_in_tasks(
    candidates: Sequence[Any], dataset: Dataset, splits: Splits, way: Way
) -> Procedure[list[Outcome]]:
    """Fit and score each candidate on each split in a task of its own, where the rows are."""
    numbers = range(splits.n_splits)
    jobs = [(candidate, splits, number) for candidate in candidates for number in numbers]

    def run(numbers: Sequence[int], done: Callable[[int, Any], None]) -> None:
        wanted = [jobs[number] for number in numbers]
        function = partial(_scored_in_task, way)
        hand_over = partial(_renumbered, done, numbers)
        run_on_rows(dataset, function, wanted, get_config(), hand_over)

    results = yield Errands(STAGE, len(jobs), run, kept=not way.estimators)
    return _outcomes(results, splits.n_splits, way.error_score)


def _renumbered(
    done: Callable[[int, Any], None], numbers: Sequence[int], place: int, result: Any
) -> None:
    done(numbers[place], result)


def _scored_in_memory(candidate: Any, pair: tuple[Array, Array], rows: Rows, way: Way) -> Scored:
    """Fit and score as scikit-learn does."""
    started = time.perf_counter()
    try:
        found = cross_validate_in_memory(
            candidate,
            rows.X,
            rows.y,
            cv=[pair],
            scoring=way.scoring,
            return_train_score=way.train_scores,
            return_estimator=way.estimators,
            error_score="raise",
            params=rows.params,
        )
    except Exception as error:
        if way.error_score == "raise":
            raise
        return _failed(error, time.perf_counter() - started)
    names = tuple(name.removeprefix("test_") for name in found if name.startswith("test_"))
    test, train = (
        tuple(float(found[f"{side}_{name}"][0]) for name in names if f"{side}_{name}" in found)
        for side in ("test", "train")
    )
    times = float(found["fit_time"][0]), float(found["score_time"][0])
    return Scored(names, test, train, *times, estimator=found.get("estimator", [None])[0])


def _scored_in_task(way: Way, rows: Block, job: tuple[Any, Splits, int]) -> Scored:
    """Fit one candidate on one split and score it: a task."""
    candidate, splits, split = job
    test, train = (taken(rows, Subset(splits, split, side)) for side in (TEST, TRAIN))
    estimator, started = clone(candidate), time.perf_counter()
    scorer = check_scoring(estimator, way.scoring)
    try:
        fit(estimator, train)
        fitted = time.perf_counter()
        sides = (test, train) if way.train_scores else (test,)
        scores = [scorer(estimator, block.X, block.y) for block in sides]
    except Exception as error:
        if way.error_score == "raise":
            raise
        return _failed(error, time.perf_counter() - started)
    scores = [one if isinstance(one, dict) else {DEFAULT: one} for one in scores]
    values = [tuple(map(float, one.values())) for one in scores]
    times = fitted - started, time.perf_counter() - fitted
    kept = estimator if way.estimators else None
    return Scored(tuple(scores[0]), values[0], (*values, ())[1], *times, estimator=kept)


def _failed(error: Exception, seconds: float) -> Scored:
    return Scored((), (), (), seconds, 0.0, f"{type(error).__name__}: {error}")


def _outcomes(results: Sequence[Scored], n_splits: int, error_score: Any) -> list[Outcome]:
    """Return what came of each candidate.

    Raises
    ------
    ValueError
        If every fit failed, saying why the first did.
    """
    failures = [result.failure for result in results]
    if results and all(failures):
        raise ValueError(f"all {len(failures)} fits failed. The first: {failures[0]}")
    warn_of_failures(failures, error_score)
    names = next(result.names for result in results if not result.failure)
    with_train = any(result.train for result in results)
    nothing = (error_score,) * len(names)
    outcomes = []
    for low in range(0, len(results), n_splits):
        mine = results[low : low + n_splits]
        test, train = (
            dict(zip(names, np.array(values, dtype=np.float64).T, strict=True))
            for values in (
                [one.test or nothing for one in mine],
                [one.train or nothing for one in mine],
            )
        )
        fit_time, score_time = (np.array([getattr(one, name) for one in mine]) for name in TIMES)
        estimators = tuple(one.estimator for one in mine)
        train = train if with_train else {}
        outcomes.append(Outcome(test, train, fit_time, score_time, estimators))
    return outcomes


def score_on_rows(
    fits: Sequence[Fit], scorers: Mapping[str, Any], dataset: Dataset
) -> list[dict[str, float]]:
    """Score fitted estimators by functions of all test rows at once, each in a task."""
    if not scorers:
        return [{} for _ in fits]
    found: dict[int, dict[str, float]] = {}
    jobs = [fit._replace(estimator=without_names(fit.estimator)) for fit in fits]
    function = partial(_scores, dict(scorers))
    run_on_rows(dataset, function, jobs, get_config(), found.__setitem__)
    return [found[number] for number in range(len(fits))]


def _scores(scorers: Mapping[str, Any], rows: Block, fit: Fit) -> dict[str, float]:
    block = taken(rows, fit.subset)
    given = (block.X,) if block.y is None else (block.X, block.y)
    found = {name: scorer(fit.estimator, *given) for name, scorer in scorers.items()}
    for name, score in found.items():
        if not isinstance(score, Real):
            raise TypeError(
                f"scorer {name!r} returned {score!r:.80}: where fits share their passes it must "
                "return a number; several scorers are given as a dict"
            )
    return {name: float(score) for name, score in found.items()}


def taken(rows: Block, subset: Subset) -> Block:
    """Return a subset's rows as one block."""
    return join_blocks(subset.see([rows]))


def fit(estimator: Any, rows: Block) -> None:
    """Fit an estimator of scikit-learn's to a block."""
    given = {} if rows.weight is None else {"sample_weight": rows.weight}
    estimator.fit(rows.X, *(() if rows.y is None else (rows.y,)), **given)


def refit(estimator: Any, dataset: Dataset) -> Any:
    """Fit an estimator of scikit-learn's to all rows, where they are, and bring it here."""
    found: dict[int, Any] = {}
    run_on_rows(dataset, _refitted, [estimator], get_config(), found.__setitem__)
    return found[0]


def _refitted(rows: Block, estimator: Any) -> Any:
    estimator = clone(estimator)
    fit(estimator, rows)
    return estimator
