"""What all estimators share: from ``fit(X, y, sample_weight)`` to a training session."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from dask.base import tokenize
from dask.utils import is_dataframe_like
from pandas.api.types import (
    infer_dtype,
    is_any_real_numeric_dtype,
    is_bool_dtype,
    is_object_dtype,
)
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_X_y,
    validate_data,
)

from flowml.config import Config, get_config
from flowml.data.adopt import adopt_lazy, from_arrays, is_lazy
from flowml.data.dataset import Dataset
from flowml.data.frames import categorical_columns, to_mixed
from flowml.data.labels import fixed_width
from flowml.data.schema import Schema
from flowml.drive.events import PassCompleted
from flowml.drive.one_summary import one_summary
from flowml.drive.session import training
from flowml.drive.training import Training
from flowml.kernels.fold import Fold
from flowml.kernels.labels import are_few_numbers
from flowml.kernels.mixed import Mixed

NUMBERS = ("integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty")
"""What pandas calls columns of Python objects that are numbers."""


@dataclass(frozen=True)
class Needs:
    """What an estimator asks of its input.

    Parameters
    ----------
    target : bool
        Whether y is required.
    sparse : bool
        Whether CSR is accepted.
    nan : bool
        Whether X may hold NaN.
    many_passes : bool
        Whether a fit reads the rows often enough to lay them out for it first.
    one_target : bool
        Whether y must be one column.
    labels : bool
        Whether y holds labels of classes, numbers or strings.
    categorical : bool
        Whether columns of X may be categorical.
    """

    target: bool = False
    sparse: bool = True
    nan: bool = False
    many_passes: bool = False
    one_target: bool = False
    labels: bool = False
    categorical: bool = False


class PassEstimator(BaseEstimator):
    """An estimator that is trained in passes.

    A subclass gives `needs` and a ``fit`` that runs solvers inside ``with self._training(...)``;
    if these are a procedure, ``_learning(schema, n_rows, describe)``, fits of it can share passes.

    Attributes
    ----------
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass: stage, objective, change, seconds, rows, nbytes.
    """

    needs = Needs()
    steps_locally = False
    """Whether leaves of the data may take several steps by themselves in a pass."""
    of_training_rows: tuple[str, ...] = ()
    """Fitted attributes with a value for each row, lazy for lazy rows."""
    _history: tuple[PassCompleted, ...]

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what is lazy: it is of the training data, not of the model."""
        state = super().__getstate__()
        lazy = [name for name in self.of_training_rows if is_lazy(state.get(name))]
        return {name: value for name, value in state.items() if name not in lazy}

    @property
    def history_(self) -> pd.DataFrame:
        """One row for each pass of the fit, indexed by its number from 1."""
        if not hasattr(self, "_history"):
            raise AttributeError(f"this {type(self).__name__} has no history_: call fit first")
        return pd.DataFrame(self._history, columns=list(PassCompleted._fields)).set_index("number")

    def plot_history(self, ax: Any = None) -> Any:
        """Plot the objective, or where there is none the change, of each pass.

        Where stages move towards a tolerance, only these are drawn.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib isn't installed.
        """
        try:
            pyplot = import_module("matplotlib.pyplot")
        except ImportError as error:
            raise ImportError(
                "plot_history draws with matplotlib: pip install 'flowml[plot]'"
            ) from error
        history = moving_stages(self.history_)
        column = "objective" if history["objective"].notna().any() else "change"
        ax = pyplot.subplots()[1] if ax is None else ax
        for stage, passes in history.groupby("stage", sort=False):
            ax.plot(passes.index, passes[column], marker=".", label=stage)
        ax.set(xlabel="pass", ylabel=column, title=type(self).__name__)
        ax.legend()
        return ax

    @contextmanager
    def _training(
        self, X: Any, y: Any = None, sample_weight: Any = None, reset: bool = True, **beside: Any
    ) -> Iterator[Training]:
        """Open a training session on the data; on an error the estimator is as it was."""
        with as_it_was_on_error(self):
            config = get_config()
            check_local_steps(self, config)
            dataset = self._dataset(X, y, sample_weight, reset, **beside)
            self._check(dataset)
            with training(dataset, config, self._fingerprint()) as session:
                yield session
            self.n_passes_ = session.n_passes
            self._history = session.history

    def _dataset(
        self, X: Any, y: Any = None, sample_weight: Any = None, reset: bool = True
    ) -> Dataset:
        """Validate input and make it a Dataset."""
        return adopt(self, X, y, sample_weight, self.needs, reset)

    def _summarise(self, dataset: Dataset, fold: Fold, ask: Any) -> Any:
        """Return a summary of a dataset, in one pass outside of a fit."""
        return one_summary(dataset, fold, ask)

    def _check(self, dataset: Dataset) -> None:
        """Refuse parameters, or data that doesn't suit them, before anything is read."""

    def _mark_rows(self, dataset: Dataset) -> None:
        """Set what is said of each training row, after a fit that has shared its passes."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.needs.sparse
        tags.input_tags.allow_nan = self.needs.nan
        tags.target_tags.required = self.needs.target
        return tags

    def _fingerprint(self) -> dict[str, str]:
        parameters = {name: described(value) for name, value in self.get_params(deep=False).items()}
        return {"estimator": type(self).__name__, **parameters}


@contextmanager
def as_it_was_on_error(estimator: Any) -> Iterator[None]:
    """Undo what a block did to an estimator's attributes if it fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def check_local_steps(estimator: PassEstimator, config: Config) -> None:
    """Refuse local steps for estimators of many passes that have none.

    Raises
    ------
    ValueError
        Saying which have.
    """
    if config.local_steps != 1 and estimator.needs.many_passes and not estimator.steps_locally:
        raise ValueError(
            f"config_context(local_steps={config.local_steps}): {type(estimator).__name__} has no "
            "local steps; SGDClassifier and SGDRegressor have"
        )


def described(value: Any) -> str:
    """Describe a parameter in one line that is the same in another process.

    Examples
    --------
    >>> described(0.1), described(np.mean), described({"C": [1.0, 2.0]})
    ('0.1', 'numpy.mean', '{C: [1.0, 2.0]}')
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {described(one)}' for name, one in value.items())}}}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return f"[{', '.join(map(described, value))}]"
    if isinstance(value, BaseEstimator):
        return f"{type(value).__name__}({described(value.get_params(deep=False))})"
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}, {value.dtype}, {tokenize(value)}"
    if isinstance(value, np.random.RandomState):
        return f"RandomState {tokenize(value.get_state())}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    # an address in memory says nothing in another process
    return f"{type(value).__name__} {tokenize(value)}" if " at 0x" in text else text


def moving_stages(history: pd.DataFrame) -> pd.DataFrame:
    """Return the passes of the stages that move towards a tolerance, all passes if none does.

    What a search for a start minimises is another thing, and would dwarf them in a plot.
    """
    moving = history[history.groupby("stage")["change"].transform("count") > 0]
    return history if moving.empty else moving


def adopt(
    estimator: Any, X: Any, y: Any, sample_weight: Any, needs: Needs, reset: bool = True
) -> Dataset:
    """Validate input as scikit-learn does and make it a Dataset; sets ``n_features_in_``.

    Finiteness is not checked here: a NaN shows in the summary of the first pass, without a second
    read of the data.
    """
    if is_lazy(X):
        dataset = adopt_lazy(X, y, sample_weight)
        if not needs.many_passes:
            dataset = dataset.for_few_passes()
        if needs.labels:
            dataset = dataset.with_labels()
        check_kinds(estimator, dataset.schema, needs)
        validate_schema(estimator, dataset.schema, reset)
        if dataset.n_rows == 0:
            raise ValueError("X has 0 rows: there is nothing to fit")
        if needs.target and dataset.schema.n_targets == 0:
            raise ValueError(_needs_target(estimator))
        if needs.one_target and dataset.schema.n_targets > 1:
            raise ValueError(
                f"y has {dataset.schema.n_targets} columns: {type(estimator).__name__} takes one"
            )
        if dataset.schema.sparse and not needs.sparse:
            raise TypeError(
                f"{type(estimator).__name__} takes no sparse X: make the blocks dense "
                "with X.map_blocks(lambda block: block.toarray())"
            )
        return dataset
    return adopt_eager(estimator, X, y, sample_weight, needs, reset)


def adopt_eager(
    estimator: Any, X: Any, y: Any, sample_weight: Any, needs: Needs, reset: bool = True
) -> Dataset:
    """Validate arrays and frames in memory and make them a Dataset."""
    if isinstance(X, pd.DataFrame) and (places := categorical_columns(X)):
        return _adopt_mixed(estimator, X, y, sample_weight, needs, reset, places)
    if isinstance(X, pd.DataFrame):
        check_numeric(X, needs)
    target_names = _names_of_target(y)
    options: dict[str, Any] = {
        "accept_sparse": "csr" if needs.sparse else False,
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": False,
        "reset": reset,
    }
    if needs.target:
        if y is None:
            raise ValueError(_needs_target(estimator))
        refuse_nonfinite(y, "y")
        several, numeric = not needs.one_target, not needs.labels
        X, y = validate_data(estimator, X, y, multi_output=several, y_numeric=numeric, **options)
        y = _as_labels(y) if needs.labels else np.asarray(y, dtype=np.float64)
    else:
        X, y = validate_data(estimator, X, **options), None
    weight = None if sample_weight is None else check_weight(sample_weight, X)
    names = getattr(estimator, "feature_names_in_", None)
    return from_arrays(X, y, weight, None if names is None else tuple(names), target_names)


def _adopt_mixed(
    estimator: Any,
    X: pd.DataFrame,
    y: Any,
    sample_weight: Any,
    needs: Needs,
    reset: bool,
    places: tuple[int, ...],
) -> Dataset:
    """Validate a frame in memory of which some columns are categorical."""
    mixed = validate_mixed(estimator, X, needs, reset)
    target_names = _names_of_target(y)
    if needs.target:
        if y is None:
            raise ValueError(_needs_target(estimator))
        refuse_nonfinite(y, "y")
        several, numeric = not needs.one_target, not needs.labels
        beside = np.zeros((len(X), 1))
        _, y = check_X_y(
            beside, y, multi_output=several, y_numeric=numeric, ensure_all_finite=False
        )
        y = _as_labels(y) if needs.labels else np.asarray(y, dtype=np.float64)
    weight = None if sample_weight is None else check_weight(sample_weight, X)
    names = tuple(getattr(estimator, "feature_names_in_", map(str, X.columns)))
    return from_arrays(mixed, y if needs.target else None, weight, names, target_names, places)


def validate_mixed(estimator: Any, X: pd.DataFrame, needs: Needs, reset: bool) -> Mixed:
    """Check a frame with categorical columns, and return its numbers beside its codes.

    Raises
    ------
    TypeError
        If the estimator takes none, or a column is neither numeric nor categorical.
    """
    places = categorical_columns(X)
    if not needs.categorical:
        raise _takes_numbers(estimator, X.columns[places[0]])
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    numeric = X.iloc[:, [place for place in range(X.shape[1]) if place not in places]]
    check_numeric(numeric, needs)
    dtype = np.dtype(np.float64)
    if numeric.shape[1]:
        dtype = check_array(numeric, dtype=[np.float64, np.float32], ensure_all_finite=False).dtype
    return to_mixed(X, dtype)


def check_numeric(frame: pd.DataFrame, needs: Needs) -> None:
    """Refuse columns that don't hold numbers.

    Raises
    ------
    TypeError
        Naming the first.
    """
    for place, (name, kind) in enumerate(frame.dtypes.items()):
        if is_any_real_numeric_dtype(kind) or is_bool_dtype(kind):
            continue
        if is_object_dtype(kind) and infer_dtype(frame.iloc[:, place]) in NUMBERS:
            continue
        able = "make it categorical with astype('category')" if needs.categorical else "encode it"
        raise TypeError(
            f"column {name!r} has dtype {kind}, not real numbers: {able}, or leave it out"
        )


def refuse_nonfinite(values: Any, name: str) -> None:
    """Refuse a column in memory that holds a NaN or infinity.

    Raises
    ------
    ValueError
        Naming the first row.
    """
    column = np.asarray(values)
    if column.dtype.kind != "f" or column.ndim == 0:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(column.sum()):
            return
    rows = ~np.isfinite(column.reshape(len(column), -1)).all(axis=1)
    if rows.any():
        row = int(np.argmax(rows))
        big = "infinity or a value too large for dtype('float64')"
        found = "NaN" if np.isnan(column[row]).any() else big
        raise ValueError(
            f"Input {name} contains {found}: row {row}. Drop such rows or fill them in before fit."
        )


def check_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Return sample weights as float64 of one for each row.

    Raises
    ------
    ValueError
        If their number differs from X's rows, one is negative, or all are zero.
    """
    if np.isscalar(sample_weight):
        return np.full(X.shape[0], float(sample_weight))  # type: ignore[arg-type]
    refuse_nonfinite(sample_weight, "sample_weight")
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must be 1D array or scalar, got {weight.ndim} dimensions")
    check_consistent_length(X, weight)
    if weight.min() < 0:
        row = int(np.argmin(weight))
        raise ValueError(f"sample_weight holds a negative weight: {weight[row]} in row {row}")
    if not weight.any():
        raise ValueError("sample_weight is zero for every row: there is nothing to fit")
    return weight


def check_kinds(estimator: Any, schema: Schema, needs: Needs) -> None:
    """Refuse lazy columns of labels where numbers are needed.

    Raises
    ------
    TypeError
    """
    if schema.categorical and not needs.categorical:
        raise _takes_numbers(estimator, schema.categorical_names[0])
    if needs.target and schema.is_text and not needs.labels:
        name = "y" if schema.target_names is None else f"the target {schema.target_names[0]!r}"
        raise TypeError(
            f"{name} has dtype str, not real numbers, which {type(estimator).__name__} takes: "
            "encode it as numbers first"
        )


def _takes_numbers(estimator: Any, column: Any) -> TypeError:
    return TypeError(
        f"column {column!r} is categorical, and {type(estimator).__name__} takes numbers: encode "
        "it first, or leave it out"
    )


def validate_schema(estimator: Any, schema: Schema, reset: bool) -> None:
    """Check (or with `reset`, note) feature names and count from a schema alone."""
    probe: Any = np.empty((0, schema.n_features), schema.dtype)
    if schema.feature_names is not None:
        probe = pd.DataFrame(probe, columns=list(schema.feature_names))
    validate_data(estimator, probe, reset=reset, ensure_min_samples=0)


def _as_labels(y: np.ndarray) -> np.ndarray:
    """Return labels as numbers or as strings of a fixed width."""
    if y.dtype == object:
        y = fixed_width(y)
    if not are_few_numbers(y):
        check_classification_targets(y)
    return y


def _needs_target(estimator: Any) -> str:
    name = type(estimator).__name__
    return (
        f"This {name} estimator requires y to be passed, but the target y is None. "
        "Give y, or read the data with target=."
    )


def _names_of_target(y: Any) -> tuple[str, ...] | None:
    if is_dataframe_like(y):
        return tuple(str(column) for column in y.columns)
    name = getattr(y, "name", None)
    return None if name is None else (str(name),)
