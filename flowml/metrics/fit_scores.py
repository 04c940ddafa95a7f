"""By what estimators are scored, and the pass that scores many of them on their splits."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn import metrics as reference
from sklearn.base import is_classifier, is_regressor

from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step
from flowml.kernels.confusion import CONFUSION, CONFUSIONS
from flowml.kernels.fold import Ask, Fold
from flowml.kernels.mixed import Mixed
from flowml.kernels.predicted import Predicted, PredictedBySeveral
from flowml.kernels.rows import Array, Matrix
from flowml.kernels.splits import Subset
from flowml.metrics import Scorer, get_scorer, get_scorer_names
from flowml.metrics.metric import ROWS, Metric
from flowml.solvers.masked import Masked
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver
from flowml.solvers.together import Together

DEFAULT = "score"
STAGE = "score"
MOST_TOGETHER = 16
"""Fits whose predictions are held side by side."""


class Fit(NamedTuple):
    """A fitted estimator, and the rows to score it on.

    Attributes
    ----------
    estimator : estimator
    subset : Subset
    answers : callable ``method -> (X -> array)``, optional
        A quicker way than the estimator's own methods.
    """

    estimator: Any
    subset: Subset
    answers: Callable[[str], Callable[[Matrix], Array]] | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What an estimator says of rows; of two classes' scores the second one's.

    Parameters
    ----------
    estimator : fitted estimator
    method : str
    """

    estimator: Any
    method: str

    def __call__(self, X: Matrix) -> Array:
        """Return predictions or scores."""
        if X.shape[0] == 0 and not isinstance(X, Mixed):  # which scikit-learn doesn't check
            return self(np.zeros((1, X.shape[1])))[:0]
        values: Array = getattr(self.estimator, self.method)(X)
        return values[:, 1] if self.method == "predict_proba" and values.shape[1] == 2 else values


@dataclass(frozen=True)
class OwnScore:
    """What an estimator's ``score`` returns that isn't a metric of predictions.

    The estimator says by ``_own_metric(schema)`` what it is summed up from.
    """

    name = DEFAULT
    sign = 1
    response = ROWS

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return it."""
        return float(estimator.score(X, y, sample_weight))


Summable: TypeAlias = Scorer | OwnScore
"""A score that is computed from sums over blocks."""


def choose_scorers(estimator: Any, scoring: Any) -> dict[str, Any]:
    """Return scorers by name: one named "score", or several under names of their own.

    Parameters
    ----------
    estimator : estimator
        Decides where `scoring` is None: accuracy for classifiers, R² for regressors, for others
        their own ``score``.
    scoring : None, str, Scorer, callable, or list, tuple, set or dict of them

    Returns
    -------
    dict of str to Summable, or callable ``(estimator, X, y) -> float`` that takes all rows at once

    Raises
    ------
    ValueError, TypeError
        If it is none of these.
    """
    if isinstance(scoring, dict | list | tuple | set) and not scoring:
        raise ValueError(f"scoring={scoring!r} has no scorer: give at least one")
    if isinstance(scoring, dict):
        return {name: _as_scorer(one) for name, one in scoring.items()}
    if isinstance(scoring, list | tuple | set):
        return {str(one): _as_scorer(one) for one in scoring}
    if scoring is not None:
        return {DEFAULT: _as_scorer(scoring)}
    if is_classifier(estimator) or is_regressor(estimator):
        return {DEFAULT: get_scorer("accuracy" if is_classifier(estimator) else "r2")}
    if not hasattr(estimator, "_own_metric"):
        raise TypeError(
            f"{type(estimator).__name__} is neither a classifier nor a regressor, and has no score "
            "of its own: give scoring="
        )
    return {DEFAULT: OwnScore()}


def _as_scorer(scoring: Any) -> Any:
    """Return flowml's scorer of a name, or else scikit-learn's, or a callable as it is."""
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        if scoring in reference.get_scorer_names():
            return reference.get_scorer(scoring)
    elif callable(scoring) and not isinstance(scoring, Scorer):
        return scoring
    if not isinstance(scoring, str | Scorer):
        raise TypeError(
            f"scoring={scoring!r}: give a name of flowml.metrics.get_scorer_names() or of "
            "scikit-learn's, a callable (estimator, X, y) -> float, or several"
        )
    return get_scorer(scoring)


def score_together(
    fits: Sequence[Fit], scorers: Mapping[str, Summable], schema: Schema
) -> Procedure[list[dict[str, float]]]:
    """Score every fit by every scorer, in one pass over rows of a schema."""
    sums = [_Sums(fit, scorers, schema) for fit in fits]
    batches = _batches(sums)
    if not batches:
        return [{} for _ in fits]
    members = (yield Step(STAGE, Together([batch.solver for batch in batches]))).members
    summaries: dict[tuple[int, int], Any] = {}
    for batch, member in zip(batches, members, strict=True):
        found = member.summary.members if len(batch.takers) > 1 else [member.summary]
        summaries.update(zip(batch.takers, found, strict=True))
    return [
        one.finish([summaries[number, place] for place in range(len(one.wanted))])
        for number, one in enumerate(sums)
    ]


class _Batch(NamedTuple):
    """Sums that are taken in one go.

    Attributes
    ----------
    takers : list of (int, int)
        Whose they are: a fit's number, and a place among what it wants.
    solver : Solver
        Ends with the summary of the one taker, or with those of several as its `members`.
    """

    takers: list[tuple[int, int]]
    solver: Solver


def _batches(sums: Sequence["_Sums"]) -> list[_Batch]:
    """Take the confusions of fits on the same rows together: labels are numbered once for all."""
    batches: list[_Batch] = []
    predicting: dict[int, list[tuple[int, int]]] = {}
    for number, one in enumerate(sums):
        for place, (response, fold, _) in enumerate(one.wanted):
            if fold is CONFUSION and response == "predict":
                predicting.setdefault(id(one.fit.subset), []).append((number, place))
            else:
                batches.append(_Batch([(number, place)], one.solver(place)))
    for every in predicting.values():
        for low in range(0, len(every), MOST_TOGETHER):
            takers = every[low : low + MOST_TOGETHER]
            first = sums[takers[0][0]]
            if len(takers) == 1:
                batches.append(_Batch(takers, first.solver(takers[0][1])))
                continue
            view = PredictedBySeveral([sums[number].answers("predict") for number, _ in takers])
            solver = Masked(Masked(OnePass(CONFUSIONS), view), first.fit.subset)
            batches.append(_Batch(takers, solver))
    return batches


class _Sums:
    """The sums that the scorers of one fit are computed from, each taken once."""

    def __init__(self, fit: Fit, scorers: Mapping[str, Summable], schema: Schema) -> None:
        self.fit, self.scorers = fit, scorers
        self.metrics: dict[str, Metric] = {}
        self.wanted: list[tuple[str, Fold, Ask]] = []
        for name, scorer in scorers.items():
            metric = self.metrics[name] = metric_of(fit.estimator, scorer, schema)
            response = response_of(fit.estimator, scorer)
            for fold, ask in metric.sums:
                if (response, fold, ask) not in self.wanted:
                    self.wanted.append((response, fold, ask))
        self.places = {
            name: [
                self.wanted.index((response_of(fit.estimator, scorer), fold, ask))
                for fold, ask in self.metrics[name].sums
            ]
            for name, scorer in scorers.items()
        }
        self.answers = fit.answers or partial(Answers, without_names(fit.estimator))
        responses = dict.fromkeys(response for response, _, _ in self.wanted)
        self.views = {
            response: Predicted(self.answers(response), as_scores=response != "predict")
            for response in responses
            if response != ROWS
        }

    def solver(self, place: int) -> Solver:
        """Return what takes one of the sums."""
        response, fold, ask = self.wanted[place]
        solver: Solver = OnePass(fold, ask)
        if response in self.views:
            solver = Masked(solver, self.views[response])
        return Masked(solver, self.fit.subset)

    def finish(self, summaries: Sequence[Any]) -> dict[str, float]:
        """Return the scores."""
        return {
            name: scorer.sign
            * self.metrics[name].finish(*(summaries[p] for p in self.places[name]))
            for name, scorer in self.scorers.items()
        }


def metric_of(estimator: Any, scorer: Summable, schema: Schema) -> Metric:
    """Return what a score is summed up from.

    Raises
    ------
    ValueError
        If it compares labels and the estimator predicts numbers, or the other way round.
    """
    if isinstance(scorer, OwnScore):
        own: Metric = estimator._own_metric(schema)
        return own
    labels = getattr(estimator, "classes_", None)
    metric, name = scorer.make(labels), type(estimator).__name__
    of_labels = any(fold is CONFUSION for fold, _ in metric.sums)
    if of_labels and is_regressor(estimator):
        raise ValueError(f"scorer {scorer.name!r} compares labels, and {name} predicts numbers")
    is_text = labels is not None and labels.dtype.kind in "US"
    if is_text and scorer.response == "predict" and not of_labels:
        raise ValueError(f"scorer {scorer.name!r} compares numbers, and {name} predicts labels")
    return metric


def response_of(estimator: Any, scorer: Summable) -> str:
    """Return what an estimator is asked for, if anything."""
    if scorer.response == ROWS or hasattr(estimator, scorer.response):
        return scorer.response
    if scorer.response == "decision_function" and hasattr(estimator, "predict_proba"):
        return "predict_proba"
    raise ValueError(
        f"scorer {scorer.name!r} needs {scorer.response}, which {type(estimator).__name__} hasn't"
    )


def without_names(estimator: Any) -> Any:
    """Return an estimator that takes blocks, whose columns have no names."""
    bare = copy.copy(estimator)
    for name in ("feature_names_in_", "_history"):
        vars(bare).pop(name, None)
    return bare
