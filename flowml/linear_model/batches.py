"""Linear models that learn batch by batch, and merge: what they keep of their rows are sums."""

import warnings
from typing import Any, Self, TypeVar

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.base import clone

from flowml.estimator import Needs
from flowml.kernels.gram import GRAM, Gram
from flowml.kernels.gram import merge as merge_grams
from flowml.linear_model.base import (
    LinearModel,
    Trained,
    check_rows,
    check_targets,
    copied,
    target_names,
)
from flowml.linear_model.wide import NO_SUMS, is_wide
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.least_squares import needs_refinement, solve_gram
from flowml.solvers.one_pass import OnePass

Model = TypeVar("Model", bound="BatchModel")
NO_BATCHES = (
    "batches with categorical columns can't be put together, as their labels may differ: call fit "
    "on all rows at once"
)


class BatchModel(LinearModel):
    """A linear model of given penalties."""

    needs = Needs(target=True, categorical=True)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add a batch of rows: the model is then that of all batches together.

        Only sums are kept, so columns that are nearly collinear can't be gone through a second
        time, as `fit` does; a warning says so where it matters.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            With the features and targets of the batches before.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`, or if features or targets differ from those of the batches before.
        """
        before: Trained | None = getattr(self, "_trained", None)
        with (
            self._training(X, y, sample_weight, reset=before is None) as session,
            one_blas_thread(),
        ):
            schema = session.runtime.dataset.schema
            if is_wide(schema):
                raise ValueError(NO_SUMS)
            if schema.categorical or hasattr(self, "encoding_"):
                raise TypeError(NO_BATCHES)
            if before is not None:
                check_targets(self, schema)
                check_sums(before)
            gram: Gram = session.solve("gram", OnePass(GRAM)).summary
            if before is not None:
                gram = merge_grams(copied(before.gram), gram)
            check_rows(gram)
            self._adopt_gram(gram, schema.dtype, schema.y_is_1d, target_names(schema))
        return self

    def _adopt_gram(self, gram: Gram, dtype: Any, y_is_1d: bool, names: tuple[str, ...]) -> None:
        """Solve from a Gram matrix whose rows are gone."""
        solution = solve_gram(gram, self._problem(len(names), dtype))
        self._warn_of_collinear(solution, gram, stacklevel=5)
        if needs_refinement(solution):
            warnings.warn(
                f"columns are nearly collinear (condition {solution.condition:.0e}), and without "
                "the rows the coefficients lose digits: call fit on all rows at once",
                LinAlgWarning,
                stacklevel=4,
            )
        self._adopt(Trained(gram, None, solution, names), dtype, y_is_1d)

    def _merged_with(self: Model, other: Model) -> Model:
        """Return the model of both models' rows."""
        if hasattr(self, "encoding_") or hasattr(other, "encoding_"):
            raise TypeError(NO_BATCHES)
        mine, theirs = self._trained, other._trained
        check_sums(mine)
        check_sums(theirs)
        if len(mine.target_names) != len(theirs.target_names):
            raise ValueError(
                f"the models have {len(mine.target_names)} and {len(theirs.target_names)} targets"
            )
        merged = clone(self)
        for name in ("n_features_in_", "feature_names_in_"):
            for model in (other, self):
                if hasattr(model, name):
                    setattr(merged, name, getattr(model, name))
        dtype = np.result_type(self.coef_, other.coef_)
        gram = merge_grams(copied(mine.gram), theirs.gram)
        y_is_1d = self.coef_.ndim == 1 and np.ndim(self.intercept_) == 0
        merged._adopt_gram(gram, dtype, y_is_1d, mine.target_names)
        history = self._history + other._history
        merged._history = tuple(
            completed._replace(number=number) for number, completed in enumerate(history, 1)
        )
        merged.n_passes_ = self.n_passes_ + other.n_passes_
        return merged


def check_sums(trained: Trained) -> None:
    """Refuse a model that kept no sums of its rows.

    Raises
    ------
    ValueError
    """
    if trained.gram.weight == 0:
        raise ValueError(NO_SUMS)
