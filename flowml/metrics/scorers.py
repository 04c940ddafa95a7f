"""Metrics by scikit-learn's names: scorers of estimators, and several metrics in one pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sklearn import metrics as reference

from flowml.data.dataset import Dataset
from flowml.data.pairs import pair, targets_of
from flowml.metrics import errors
from flowml.metrics.deviances import deviance_metric
from flowml.metrics.labels import known_accuracy, of_confusion, share_right
from flowml.metrics.metric import PREDICTION, SCORE, Measured, Metric, measure
from flowml.metrics.probabilities import brier_metric, log_loss_metric
from flowml.metrics.rankings import average_precision_metric, roc_auc_metric

PREDICT, PROBABILITIES, DECISION = "predict", "predict_proba", "decision_function"


@dataclass(frozen=True)
class Scorer:
    """Scores an estimator on data: higher is better.

    Parameters
    ----------
    name : str
    make : callable ``labels -> Metric``
    sign : int
        −1 where the metric is a loss.
    response : {"predict", "predict_proba", "decision_function"}
        What the estimator is asked for; probabilities instead of a decision function that it
        hasn't.
    """

    name: str
    make: Callable[[Any], Metric]
    sign: int
    response: str

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the score, in one pass over the data.

        Parameters
        ----------
        estimator : fitted estimator
        X : any input of shape (n_rows, n_features)
        y : array or Dask collection of shape (n_rows,)
            None for a Dataset, which has its own, as it has its weights.
        sample_weight : array or Dask collection of shape (n_rows,), optional

        Returns
        -------
        float
        """
        return score_estimator(estimator, X, y, [self], sample_weight)[self.name]


def _plain(metric: Metric) -> Callable[[Any], Metric]:
    return partial(_same, metric)


def _same(metric: Metric, labels: Any) -> Metric:
    return metric


def _averaged(name: str, function: Callable[..., Any]) -> dict[str, Metric]:
    """Return a metric of labels by its name and those of its averages."""
    averages = {f"{name}_{word}": word for word in ("macro", "micro", "weighted")}
    found = {key: of_confusion(function, average=word) for key, word in averages.items()}
    return {name: of_confusion(function), **found}


LABELS = {
    "accuracy": share_right(),
    "balanced_accuracy": of_confusion(reference.balanced_accuracy_score),
    "matthews_corrcoef": of_confusion(reference.matthews_corrcoef),
    **_averaged("precision", reference.precision_score),
    **_averaged("recall", reference.recall_score),
    **_averaged("f1", reference.f1_score),
    **_averaged("jaccard", reference.jaccard_score),
}
RANKINGS = {
    "roc_auc": roc_auc_metric(),
    "roc_auc_ovr": roc_auc_metric(multi_class="ovr"),
    "roc_auc_ovr_weighted": roc_auc_metric("weighted", multi_class="ovr"),
    "roc_auc_ovo": roc_auc_metric(multi_class="ovo"),
    "roc_auc_ovo_weighted": roc_auc_metric("weighted", multi_class="ovo"),
    "average_precision": average_precision_metric(),
}
GAINS = {
    "r2": errors.of_errors(partial(errors.explained, True, False)),
    "explained_variance": errors.of_errors(partial(errors.explained, True, True)),
    "d2_absolute_error_score": errors.d2_absolute_metric(),
}
LOSSES = {
    "mean_squared_error": errors.of_errors(errors.squared),
    "root_mean_squared_error": errors.of_errors(errors.root_squared),
    "mean_absolute_error": errors.of_errors(errors.absolute),
    "mean_absolute_percentage_error": errors.of_errors(errors.relative),
    "mean_squared_log_error": errors.of_errors(errors.logarithmic),
    "root_mean_squared_log_error": errors.of_errors(errors.root_logarithmic),
    "max_error": errors.of_errors(errors.largest),
    "median_absolute_error": errors.median_metric(),
    "mean_poisson_deviance": deviance_metric(1),
    "mean_gamma_deviance": deviance_metric(2),
}
OF_PROBABILITIES: dict[str, tuple[int, Callable[[Any], Metric]]] = {
    "neg_log_loss": (-1, log_loss_metric),
    "neg_brier_score": (-1, brier_metric),
    "d2_log_loss_score": (1, partial(log_loss_metric, explained=True)),
    "d2_brier_score": (1, partial(brier_metric, explained=True)),
}


def _scorers() -> dict[str, Scorer]:
    found = [
        Scorer(name, _plain(metric), 1, PREDICT) for name, metric in {**LABELS, **GAINS}.items()
    ]
    found += [Scorer(f"neg_{name}", _plain(metric), -1, PREDICT) for name, metric in LOSSES.items()]
    for name, metric in RANKINGS.items():
        response = PROBABILITIES if "_ov" in name else DECISION
        found.append(Scorer(name, _plain(metric), 1, response))
    for name, (sign, make) in OF_PROBABILITIES.items():
        found.append(Scorer(name, make, sign, PROBABILITIES))
    return {scorer.name: scorer for scorer in found}


SCORERS = _scorers()
OF_CLASSIFIER = Scorer("accuracy", known_accuracy, 1, PREDICT)
"""What a classifier's own ``score`` is: a label that its fit hasn't seen is refused."""
FUNCTIONS = {
    "accuracy_score": "accuracy",
    "balanced_accuracy_score": "balanced_accuracy",
    "precision_score": "precision",
    "recall_score": "recall",
    "f1_score": "f1",
    "roc_auc_score": "roc_auc",
    "average_precision_score": "average_precision",
    "log_loss": "neg_log_loss",
    "brier_score_loss": "neg_brier_score",
    "r2_score": "r2",
    "explained_variance_score": "explained_variance",
    **{name: f"neg_{name}" for name in LOSSES},
}
"""The scorers of functions, whose sign the function doesn't turn."""
OTHERS = {
    "confusion_matrix": of_confusion(reference.confusion_matrix),
    "d2_tweedie_score": deviance_metric(0, explained=True),
    "mean_tweedie_deviance": deviance_metric(0),
}


def get_scorer(scoring: str | Scorer) -> Scorer:
    """Return a scorer by scikit-learn's name.

    Parameters
    ----------
    scoring : str or Scorer
        One of `get_scorer_names`.

    Returns
    -------
    Scorer
        ``scorer(estimator, X, y, sample_weight)`` returns a number of which higher is better; X
        and y may be lazy.

    Raises
    ------
    ValueError
        If there is no such name.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LinearRegression
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 1.0, 5.0])
    >>> round(get_scorer("neg_mean_absolute_error")(LinearRegression().fit(X, y), X, y), 3)
    -0.667
    """
    if isinstance(scoring, Scorer):
        return scoring
    if not isinstance(scoring, str) or scoring not in SCORERS:
        raise ValueError(f"{scoring!r} is no scorer: there are {', '.join(get_scorer_names())}")
    return SCORERS[scoring]


def get_scorer_names() -> list[str]:
    """Return the names that `get_scorer` knows, a part of scikit-learn's.

    Examples
    --------
    >>> get_scorer_names()[:3]
    ['accuracy', 'average_precision', 'balanced_accuracy']
    """
    return sorted(SCORERS)


def evaluate(
    y_true: Any,
    y_pred: Any = None,
    *,
    metrics: Sequence[str],
    y_score: Any = None,
    sample_weight: Any = None,
) -> dict[str, Any]:
    """Return several metrics, in one pass over the rows.

    Parameters
    ----------
    y_true : array, series, frame or Dask collection of shape (n_rows,) or (n_rows, n_outputs)
    y_pred : the same, optional
        Predicted labels or numbers, for metrics of these.
    metrics : sequence of str
        Names of this module's functions, as ``"mean_squared_error"``, or of scorers, as
        ``"neg_mean_squared_error"`` or ``"f1_macro"``.
    y_score : array, frame or Dask collection of shape (n_rows,) or (n_rows, n_classes), optional
        Probabilities or other scores, for metrics of these.
    sample_weight : array or Dask collection of shape (n_rows,), optional

    Returns
    -------
    dict of str to value
        In the order of `metrics`.

    Raises
    ------
    ValueError
        If a name is unknown, or what a metric needs isn't given.

    Examples
    --------
    >>> evaluate([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], metrics=["r2", "max_error"])
    {'r2': 0.5, 'max_error': 1.0}
    """
    found = [_by_name(name) for name in metrics]
    for name, (metric, _) in zip(metrics, found, strict=True):
        given = y_pred if metric.takes == PREDICTION else y_score
        if given is None:
            raise ValueError(f"metric {name!r} needs {metric.takes}=")
    takes = {metric.takes for metric, _ in found}
    predicted = y_pred if PREDICTION in takes else None
    scores = y_score if SCORE in takes else None
    values = measure(
        [metric for metric, _ in found], pair(y_true, predicted, scores, sample_weight)
    )
    signed = zip(metrics, found, values, strict=True)
    return {name: _signed(value, sign) for name, (_, sign), value in signed}


def score_estimator(
    estimator: Any, X: Any, y: Any, scorers: Sequence[str | Scorer], sample_weight: Any = None
) -> dict[str, float]:
    """Return several scores of an estimator, in one pass over the data.

    Parameters
    ----------
    estimator : fitted estimator
    X : any input of shape (n_rows, n_features)
    y : array or Dask collection of shape (n_rows,)
        None for a Dataset, which has its own.
    scorers : sequence of str or Scorer
    sample_weight : array or Dask collection of shape (n_rows,), optional

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        If there is no y.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LinearRegression
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 1.0, 5.0])
    >>> found = score_estimator(LinearRegression().fit(X, y), X, y, ["r2", "neg_max_error"])
    >>> {name: round(value, 3) for name, value in found.items()}
    {'r2': 0.893, 'neg_max_error': -1.0}
    """
    chosen = [get_scorer(scorer) for scorer in scorers]
    if isinstance(X, Dataset):
        y, sample_weight = targets_of(X)
    if y is None:
        name = type(estimator).__name__
        raise ValueError(
            f"{name} can't be scored without y: give the labels or targets of the rows"
        )
    labels = getattr(estimator, "classes_", None)
    groups: dict[str, list[Scorer]] = {}
    for scorer in chosen:
        groups.setdefault(_response(estimator, scorer), []).append(scorer)
    found: dict[str, float] = {}
    for response, members in _passes(groups):
        predicted = estimator.predict(X) if any(s.response == PREDICT for s in members) else None
        scores = None if response == PREDICT else _scores(estimator, X, response)
        metrics = [scorer.make(labels) for scorer in members]
        values = measure(metrics, pair(y, predicted, scores, sample_weight))
        for scorer, value in zip(members, values, strict=True):
            found[scorer.name] = _signed(value, scorer.sign)
    return {scorer.name: found[scorer.name] for scorer in chosen}


def _passes(groups: dict[str, list[Scorer]]) -> list[tuple[str, list[Scorer]]]:
    """Let predictions ride with the first of the scores: they are columns of the same rows."""
    plain = groups.pop(PREDICT, [])
    if not groups:
        return [(PREDICT, plain)]
    (first, members), *rest = groups.items()
    return [(first, plain + members), *rest]


def _response(estimator: Any, scorer: Scorer) -> str:
    if scorer.response == DECISION and not hasattr(estimator, DECISION):
        return PROBABILITIES
    return scorer.response


def _scores(estimator: Any, X: Any, response: str) -> Any:
    """Return scores; of two classes the second one's."""
    scores = getattr(estimator, response)(X)
    if len(estimator.classes_) == 2 and scores.ndim == 2:
        return scores.iloc[:, 1] if hasattr(scores, "iloc") else scores[:, 1]
    return scores


def _by_name(name: str) -> tuple[Metric, int]:
    if name in OTHERS:
        return OTHERS[name], 1
    if name in FUNCTIONS:
        return SCORERS[FUNCTIONS[name]].make(None), 1
    scorer = get_scorer(name)
    return scorer.make(None), scorer.sign


def _signed(value: Any, sign: int) -> Any:
    if isinstance(value, Measured):
        return Measured(sign * value, value.error_bound)
    return value if sign == 1 else -value
