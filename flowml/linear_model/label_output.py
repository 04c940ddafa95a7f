"""Labels out of a linear predictor, and what of labels went into it."""

from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from flowml.estimator import PassEstimator
from flowml.kernels.labels import LabelWeights
from flowml.kernels.rows import Array
from flowml.linear_model.base import linear
from flowml.metrics.scorers import OF_CLASSIFIER
from flowml.prediction import apply, apply_by_class


class LabelOutput(ClassifierMixin, PassEstimator):
    """A linear predictor whose largest output says the class."""

    class_weight: Any
    classes_: Array
    coef_: Any
    intercept_: Any

    def decision_function(self, X: Any) -> Any:
        """Return the linear predictor of each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,); for three classes or more array of shape
        (n_rows, n_classes), a Dask frame for one
        """
        check_is_fitted(self)
        function = partial(linear, self.coef_, self.intercept_)
        if len(self.coef_) > 1:
            return apply_by_class(self, X, function, self.classes_)
        return apply(self, X, function)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,)
        """
        check_is_fitted(self)
        function = partial(most_probable, self.coef_, self.intercept_, self.classes_)
        return apply(self, X, function, dtype=self.classes_.dtype)

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

    def _factors(self, labels: LabelWeights) -> Array | None:
        """Return by how much the weights of each class's rows are multiplied."""
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            held = labels.weights
            return np.asarray(held.sum() / (len(held) * held))
        weights = [self.class_weight.get(label, 1.0) for label in labels.labels.tolist()]
        return np.array(weights, dtype=np.float64)

    def _check_class_weight(self) -> None:
        weights = self.class_weight
        if not (weights is None or weights == "balanced" or isinstance(weights, dict)):
            raise ValueError(
                f"{type(self).__name__}(class_weight={weights!r}): class_weight must be a dict of "
                "label to weight, 'balanced' or None"
            )
        for label, weight in weights.items() if isinstance(weights, dict) else ():
            if not (isinstance(weight, Real) and 0 < float(weight) < np.inf):
                raise ValueError(
                    f"{type(self).__name__}(class_weight=...): the weight of {label!r} is "
                    f"{weight!r}, but must be a number above 0. To leave a class out, leave out "
                    "its rows"
                )


def most_probable(coef: Array, intercept: Array, classes: Array, X: Any) -> Array:
    """Return each row's most probable class."""
    return label_of(linear(coef, intercept, X), classes)


def label_of(eta: Array, classes: Array) -> Array:
    """Return the most probable class of each row, from its predictors."""
    best = (eta[:, 0] > 0).astype(np.intp) if eta.shape[1] == 1 else eta.argmax(axis=1)
    chosen: Array = classes[best]
    return chosen


def found_classes(estimator: Any, labels: LabelWeights) -> Array:
    """Return the labels that an estimator is to tell apart.

    Raises
    ------
    ValueError
        If there aren't two, they are no labels but fractions, or weights of zero leave a class
        without a row that counts.
    """
    if len(labels.labels) == 0:
        raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
    if labels.labels.dtype.kind == "f" and (labels.labels % 1 != 0).any():
        raise ValueError(
            "Unknown label type: continuous. y holds numbers such as "
            f"{labels.labels[labels.labels % 1 != 0][0]:g}: a classifier needs labels, whole "
            "numbers or text. Bin the target, or take a regressor"
        )
    if len(labels.labels) == 1:
        raise ValueError(
            f"y holds one class only, {labels.labels.tolist()[0]!r} (rows of weight zero don't "
            f"count): {type(estimator).__name__} needs at least 2 classes"
        )
    if len(labels.silenced):
        raise ValueError(
            f"sample_weight is 0 in every row of class {labels.silenced.tolist()[0]!r}, so that "
            f"{type(estimator).__name__} can't learn it: to leave a class out, leave out its rows"
        )
    return labels.labels
