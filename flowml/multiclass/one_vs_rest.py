"""One classifier for each class, against the rest."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow, masked, together
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator
from flowml.kernels.labels import LABEL_WEIGHTS
from flowml.kernels.recoded import OneAgainstRest
from flowml.kernels.rows import Array, Block
from flowml.linear_model.base import linear
from flowml.linear_model.label_output import LabelOutput, found_classes
from flowml.linear_model.logistic_regression import LogisticRegression, probabilities
from flowml.metrics.scorers import OF_CLASSIFIER
from flowml.prediction import RowFunction, apply, apply_by_class
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.one_pass import OnePass

ANSWERS = ("decision_function", "predict_proba", "predict")
"""What an estimator is asked for, the first that it has."""


def _knows_probabilities(model: Any) -> bool:
    return hasattr(model.estimator, "predict_proba")


def _offers_procedure(model: Any) -> bool:
    return hasattr(model.estimator, "_learning")


class OneVsRestClassifier(MetaEstimatorMixin, ClassifierMixin, PassEstimator):
    """One binary estimator for each class, which tells it from the rest.

    flowml's estimators are trained all in the same passes, so that a block is read once for all
    classes; each comes out as it would alone. Other estimators are fitted one after the other.
    Of two classes, the one estimator tells the second from the first.

    Parameters
    ----------
    estimator : estimator
        A classifier with ``decision_function`` or ``predict_proba``, or a regressor; of flowml,
        scikit-learn or any other library that follows its conventions.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_classes_ : int
    estimators_ : list of estimators
        One for each class, or one for two.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two
    intercept_ : ndarray of shape (n_classes,), or (1,) for two
        Those of the estimators, where all are linear classifiers of flowml.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took; what estimators that are fitted one after the other
        read isn't counted.
    history_ : DataFrame
        One row for each of these passes.

    References
    ----------
    R. Rifkin & A. Klautau 2004, "In defense of one-vs-all classification", Journal of Machine
    Learning Research 5.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LogisticRegression
    >>> from flowml.multiclass import OneVsRestClassifier
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0], [5.0, 1.0], [0.0, 9.0], [1.0, 9.0]])
    >>> y = np.array(["near", "near", "east", "east", "north", "north"])
    >>> model = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    >>> model.predict([[4.0, 0.0], [0.0, 8.0]])
    array(['east', 'north'], dtype='<U5')
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """What the estimator asks of its input, and labels."""
        theirs = getattr(self.estimator, "needs", Needs(sparse=True, many_passes=True))
        return Needs(
            target=True,
            sparse=theirs.sparse,
            many_passes=theirs.many_passes,
            one_target=True,
            labels=True,
            categorical=theirs.categorical and self._shares_passes,
        )

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit an estimator for each class.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
        y : array or Dask collection of shape (n_rows,)
            Labels. None for a Dataset, which has its own.
        sample_weight : array or Dask array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If input or a parameter can't be used, naming what and where, or y holds one class.
        """
        with self._training(X, y, sample_weight) as session:
            dataset = session.runtime.dataset
            if self._shares_passes:
                with one_blas_thread():
                    follow(session, self._learning(dataset.schema, dataset.n_rows))
            else:
                positives = follow(session, self._find_classes())
                rows = _plain(X, y, sample_weight, dataset)
                self._adopt(self._fit_one_by_one(rows, positives))
        if self._shares_passes:
            for member in self.estimators_:
                member.n_passes_, member._history = self.n_passes_, self._history
        return self

    def decision_function(self, X: Any) -> Any:
        """Return how much each class's estimator is for it.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,); for three classes or more array of shape
        (n_rows, n_classes), a Dask frame for one
        """
        classes = self._fitted_classes()
        if len(self.estimators_) > 1:
            return apply_by_class(self, X, self._score_of_rows(), classes)
        return apply(self, X, self._score_of_rows())

    def predict(self, X: Any) -> Any:
        """Return the class whose estimator is most for it.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,)
        """
        classes = self._fitted_classes()
        function = partial(_best, self._score_of_rows(), classes)
        return apply(self, X, function, dtype=classes.dtype)

    @available_if(_knows_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class: the estimators', made to sum to one.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array of shape (n_rows, n_classes), a Dask frame for one
        """
        classes = self._fitted_classes()
        return apply_by_class(self, X, partial(_shares, self.estimators_), classes)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the share of the rows whose class is predicted, in one pass over the data.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If y holds a label that `fit` hasn't seen.
        """
        check_is_fitted(self)
        return OF_CLASSIFIER(self, X, y, sample_weight)

    @property
    def _shares_passes(self) -> bool:
        return _offers_procedure(self)

    @available_if(_offers_procedure)
    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Find the classes, then train their estimators on shared passes."""
        positives = yield from self._find_classes()
        members = [clone(self.estimator) for _ in positives]
        procedures = []
        for member, label in zip(members, positives, strict=True):
            member.n_features_in_ = self.n_features_in_
            learning = member._learning(schema, n_rows, describe)
            procedures.append(masked(learning, OneAgainstRest(label)))
        yield from together(procedures)
        self._adopt(members)

    def _find_classes(self) -> Procedure[Array]:
        """Set the classes, and return those that have an estimator."""
        labels = (yield Step("classes", OnePass(LABEL_WEIGHTS))).summary
        self.classes_ = found_classes(self, labels)
        return self.classes_[1:] if len(self.classes_) == 2 else self.classes_

    @property
    def n_classes_(self) -> int:
        """How many classes there are."""
        return len(self._fitted_classes())

    def _fitted_classes(self) -> Array:
        check_is_fitted(self)
        classes: Array = self.classes_
        return classes

    def _score_of_rows(self) -> RowFunction:
        """Return the function of rows that gives each class's score."""
        if hasattr(self, "coef_"):
            return partial(linear, self.coef_, self.intercept_)
        return partial(_scores, self.estimators_)

    def _adopt(self, members: list[Any]) -> None:
        """Keep the estimators, and of linear ones what they have in common."""
        self.estimators_ = members
        for name in ("coef_", "intercept_", "encoding_"):
            self.__dict__.pop(name, None)
        if all(isinstance(member, LabelOutput) for member in members):
            self.coef_ = np.concatenate([member.coef_ for member in members])
            self.intercept_ = np.concatenate([member.intercept_ for member in members])
        if hasattr(members[0], "encoding_"):
            self.encoding_ = members[0].encoding_

    def _fit_one_by_one(self, rows: Any, positives: Array) -> list[Any]:
        """Train estimators one after the other."""
        X, y, sample_weight = rows
        beside = {} if sample_weight is None else {"sample_weight": sample_weight}
        return [
            clone(self.estimator).fit(X, (y == label).astype(np.int64), **beside)
            for label in positives
        ]

    def _check(self, dataset: Dataset) -> None:
        able = not isinstance(self.estimator, type) and hasattr(self.estimator, "fit")
        if not able or not any(hasattr(self.estimator, name) for name in ANSWERS):
            raise TypeError(
                f"OneVsRestClassifier(estimator={self.estimator!r}): estimator must be an "
                "estimator: a classifier or a regressor, such as LogisticRegression()"
            )
        if self._shares_passes:
            clone(self.estimator)._check(dataset)

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        first = Stage("classes", LABEL_WEIGHTS, None, 1, 0)
        return [first, *clone(self.estimator)._stages(schema)] if self._shares_passes else [first]


def _plain(X: Any, y: Any, sample_weight: Any, dataset: Dataset) -> tuple[Any, Any, Any]:
    """Return rows as any estimator takes them, without names."""
    if isinstance(X, Dataset):
        raise TypeError(
            "only estimators of flowml can be trained on a Dataset class by class: give X and y as "
            "Dask collections or arrays"
        )
    if dataset.is_lazy:
        return X, y, sample_weight
    blocks = [part.source for part in dataset.parts if isinstance(part.source, Block)]
    y = np.concatenate([block.y for block in blocks if block.y is not None])
    return X.to_numpy() if isinstance(X, pd.DataFrame) else X, y, sample_weight


def _scores(members: Sequence[Any], X: Any) -> Array:
    """Return how much each estimator is for its class; above zero it is more than against."""
    if X.shape[0] == 0:
        return np.zeros((0, len(members)))
    return np.stack([_score(member, X) for member in members], axis=1)


def _score(member: Any, X: Any) -> Array:
    if hasattr(member, "decision_function"):
        return np.ravel(member.decision_function(X))
    if hasattr(member, "predict_proba"):
        return np.asarray(member.predict_proba(X))[:, 1] - 0.5
    return np.ravel(member.predict(X)) - 0.5


def _best(score: RowFunction, classes: Array, X: Any) -> Array:
    """Return the class of the highest score."""
    scores = score(X)
    best = (scores[:, 0] > 0).astype(np.intp) if scores.shape[1] == 1 else scores.argmax(axis=1)
    chosen: Array = classes[best]
    return chosen


def _shares(members: Sequence[Any], X: Any) -> Array:
    """Return each estimator's probability of its class, made to sum to one in each row."""
    if X.shape[0] == 0:
        return np.zeros((0, max(2, len(members))))
    shares = np.stack([_probability(member, X) for member in members], axis=1)
    if len(members) == 1:
        return np.concatenate([1.0 - shares, shares], axis=1)
    total = shares.sum(axis=1, keepdims=True)
    even = np.full_like(shares, 1.0 / len(members))
    return np.divide(shares, total, out=even, where=total > 0)


def _probability(member: Any, X: Any) -> Array:
    if isinstance(member, LogisticRegression):
        return probabilities(member.coef_, member.intercept_, X)[:, 1]
    return np.asarray(member.predict_proba(X))[:, 1]
