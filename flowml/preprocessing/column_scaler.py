"""What the scalers share: one pass over the columns, batch by batch if need be, and merging."""

from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator
from flowml.kernels.fold import Fold, Summary
from flowml.kernels.rows import Array, Matrix
from flowml.lazy_output import keeps_lazy_output
from flowml.prediction import RowFunction, apply
from flowml.solvers.one_pass import OnePass

STAGE = "columns"
Scaler = TypeVar("Scaler", bound="ColumnScaler")


@keeps_lazy_output
class ColumnScaler(OneToOneFeatureMixin, TransformerMixin, PassEstimator):
    """A scaler whose statistics follow from one summary of the columns.

    A subclass gives `fold`, sets its attributes in ``_settle``, and describes its rows' way there
    and back in ``_forward`` and ``_backward``.
    """

    needs = Needs(nan=True)
    fold: ClassVar[Fold]

    def fit(self: Scaler, X: Any, y: Any = None, sample_weight: Any = None) -> Scaler:
        """Learn the columns' statistics in one pass.

        Parameters
        ----------
        X : array, CSR, frame, Dask collection or Dataset of shape (n_rows, n_features)
            NaN is a missing value and is left out.
        y : None
            Ignored.
        sample_weight : array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds infinity (its block and column are named), or its shape or the weights
            can't be used.
        """
        return self._learn(X, sample_weight, None)

    def partial_fit(self: Scaler, X: Any, y: Any = None, sample_weight: Any = None) -> Scaler:
        """Learn from one more batch: the same as a fit on all the batches together.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.

        Returns
        -------
        self
        """
        return self._learn(X, sample_weight, getattr(self, "_summary", None))

    def transform(self, X: Any) -> Any:
        """Scale each column.

        Parameters
        ----------
        X : array, CSR, frame, Dask collection or Dataset of shape (n_rows, n_features)

        Returns
        -------
        The same kind as X, lazy where X is; NaN stays NaN, float32 stays float32.
        """
        check_is_fitted(self)
        return self._map(X, self._forward())

    def inverse_transform(self, X: Any) -> Any:
        """Undo ``transform``.

        Parameters
        ----------
        X : array, CSR, frame, Dask collection or Dataset of shape (n_rows, n_features)

        Returns
        -------
        The same kind as X, lazy where X is.
        """
        check_is_fitted(self)
        return self._map(X, self._backward())

    def _learn(self: Scaler, X: Any, sample_weight: Any, before: Summary | None) -> Scaler:
        with self._training(X, None, sample_weight, reset=before is None) as session:
            follow(session, self._summing(before))
        return self

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Sum up once."""
        return self._summing(None)

    def _summing(self, before: Summary | None) -> Procedure[None]:
        summary = (yield Step(STAGE, OnePass(self.fold))).summary
        if not np.any(summary.weight):
            raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
        self._summary = summary if before is None else self.fold.merge(before, summary)
        self._settle()

    def _merged_with(self: Scaler, other: Scaler) -> Scaler:
        merged = clone(self)
        merged.__dict__.update(vars(self))
        merged._summary = self.fold.merge(self._summary, other._summary)
        merged._settle()
        return merged

    def _stages(self, schema: Schema) -> list[Stage]:
        return [Stage(STAGE, self.fold, None, 1, (4 << 20) + 256 * schema.n_features)]

    def _map(self, X: Any, function: RowFunction) -> Any:
        names = self.get_feature_names_out()
        return apply(self, X, function, names, n_columns=self.n_features_in_)

    def _settle(self) -> None:
        """Set the fitted attributes from the summary."""
        raise NotImplementedError

    def _forward(self) -> RowFunction:
        raise NotImplementedError

    def _backward(self) -> RowFunction:
        raise NotImplementedError

    def _copy_fitted_to(self, peer: Any, names: tuple[str, ...]) -> Any:
        """Give a scikit-learn scaler this one's fitted attributes."""
        check_is_fitted(self)
        for name in (*names, "scale_", "n_samples_seen_", "n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(peer, name, getattr(self, name))
        return peer


def rows_seen(weight: Any) -> Any:
    """Return rows (or weights) seen: one number where columns agree, an int where it is whole."""
    seen = np.asarray(weight)
    if (seen == np.floor(seen)).all():
        seen = seen.astype(np.int64)
    return seen.flat[0] if (seen == seen.flat[0]).all() else seen


def one_where_tiny(scale: Array) -> Array:
    """Return a scale, with one for columns that are constant up to rounding as in scikit-learn."""
    return np.where(scale < 10 * np.finfo(scale.dtype).eps, scale.dtype.type(1), scale)


def scale_columns(X: Matrix, factors: Array) -> Matrix:
    """Return a CSR array with each column multiplied by its factor, in X's dtype."""
    result = X.copy()
    result.data *= factors.astype(X.dtype)[X.indices]
    return result
