"""What linear classifiers share: labels in, labels out."""

from typing import Any

import numpy as np

from flowml.data.dataset import Dataset
from flowml.estimator import Needs
from flowml.kernels.linear_loss import Target
from flowml.linear_model.label_output import LabelOutput, found_classes
from flowml.linear_model.linear_predictor import LinearPredictor
from flowml.linear_model.minimising import Minimum
from flowml.linear_model.survey import Survey
from flowml.losses.loss import Loss


class LinearClassifier(LabelOutput, LinearPredictor):
    """A linear predictor whose target is a label.

    A subclass gives `_penalty` and `_loss_of`, the loss of so many classes.
    """

    needs = Needs(target=True, many_passes=True, one_target=True, labels=True, categorical=True)

    def _loss(self, survey: Survey) -> Loss:
        assert survey.labels is not None
        self.classes_ = found_classes(self, survey.labels)
        return self._loss_of(len(self.classes_))

    def _loss_of(self, n_classes: int) -> Loss:
        """Return the loss of so many classes."""
        raise NotImplementedError

    def _assumed_loss(self) -> Loss:
        return self._loss_of(2)

    def _target(self, survey: Survey) -> Target:
        assert survey.labels is not None
        return Target(self.classes_, self._factors(survey.labels))

    def _total_weight(self, survey: Survey) -> float:
        assert survey.labels is not None
        factors, weights = self._factors(survey.labels), survey.labels.weights
        return float(weights.sum() if factors is None else weights @ factors)

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        self.coef_ = minimum.coef.astype(dtype)
        self.intercept_ = minimum.intercept.astype(dtype)
        self.n_iter_ = np.array([minimum.n_iter], dtype=np.int32)
        self._adopt_course(minimum)

    def _check(self, dataset: Dataset) -> None:
        super()._check(dataset)
        self._check_class_weight()
