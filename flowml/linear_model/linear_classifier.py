"""What linear classifiers share: labels in, labels out."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.estimator import Needs
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Array
from flowml.linear_model.base import linear
from flowml.linear_model.linear_predictor import LinearPredictor
from flowml.linear_model.minimising import Minimum
from flowml.linear_model.survey import Survey
from flowml.losses.loss import Loss
from flowml.prediction import apply


class LinearClassifier(ClassifierMixin, LinearPredictor):
    """A linear predictor whose target is a label.

    A subclass gives `_penalty` and `_loss_of`, the loss of so many classes.
    """

    needs = Needs(
        target=True, many_passes=True, one_target=True, labels=True, categorical=True
    )
    class_weight: Any

    def decision_function(self, X: Any) -> Any:
        """Return the linear predictor of each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array, Series or DataFrame of shape (n_rows,), or (n_rows, n_classes) for three or more
        """
        check_is_fitted(self)
        names, several = self._class_names(), len(self.coef_) > 1
        return apply(
            self,
            X,
            partial(linear, self.coef_, self.intercept_),
            names if several else None,
            len(self.coef_) if several else None,
        )

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

    def _loss(self, survey: Survey) -> Loss:
        self.classes_ = self._found_classes(survey)
        return self._loss_of(len(self.classes_))

    def _loss_of(self, n_classes: int) -> Loss:
        """Return the loss of so many classes."""
        raise NotImplementedError

    def _assumed_loss(self) -> Loss:
        return self._loss_of(2)

    def _found_classes(self, survey: Survey) -> Array:
        assert survey.labels is not None
        labels = survey.labels.labels
        if len(labels) < 2:
            raise ValueError(
                f"y holds one class only, {labels[0]!r}: {type(self).__name__} needs at least 2 "
                "classes"
            )
        return labels

    def _target(self, survey: Survey) -> Target:
        return Target(self.classes_, self._class_weights(survey))

    def _class_weights(self, survey: Survey) -> Array | None:
        assert survey.labels is not None
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            rows = survey.labels.rows
            return np.asarray(rows.sum() / (len(rows) * rows))
        weights = [self.class_weight.get(label, 1.0) for label in self.classes_.tolist()]
        return np.array(weights, dtype=np.float64)

    def _total_weight(self, survey: Survey) -> float:
        assert survey.labels is not None
        factors = self._class_weights(survey)
        weights = survey.labels.weights
        return float(weights.sum() if factors is None else weights @ factors)

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        self.coef_ = minimum.coef.astype(dtype)
        self.intercept_ = minimum.intercept.astype(dtype)
        self.n_iter_ = np.array([minimum.n_iter], dtype=np.int32)
        self._adopt_course(minimum)

    def _check(self, dataset: Dataset) -> None:
        super()._check(dataset)
        weights = self.class_weight
        if not (weights is None or weights == "balanced" or isinstance(weights, dict)):
            raise ValueError(
                f"{type(self).__name__}(class_weight={weights!r}): class_weight must be a dict of "
                "label to weight, 'balanced' or None"
            )

    def _class_names(self) -> list[str]:
        return [str(label) for label in self.classes_]


def most_probable(coef: Array, intercept: Array, classes: Array, X: Any) -> Array:
    """Return each row's most probable class."""
    eta = linear(coef, intercept, X)
    best = (eta[:, 0] > 0).astype(np.intp) if eta.shape[1] == 1 else eta.argmax(axis=1)
    chosen: Array = classes[best]
    return chosen
