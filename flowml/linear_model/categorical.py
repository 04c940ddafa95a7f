"""How categorical columns enter a linear model: as one column of ones and zeros for each label."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from flowml.data.schema import Schema
from flowml.kernels.column_curvature import column_curvature
from flowml.kernels.level_weights import LevelWeights
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array, Block
from flowml.parameters import check_choice
from flowml.solvers.margins import Margins, margins
from flowml.solvers.objective import Objective

DROPS = ("auto", "first", "none")
MISSING_LABEL = "missing"


class CategoricalEncoding(BaseEstimator):
    """What a linear model does with the labels of categorical columns.

    The columns of ones and zeros are never made: rows keep a code for each label.

    Parameters
    ----------
    drop : {"auto", "first", "none"}, default="auto"
        "first" makes the first label (in sorted order) the reference, with no coefficient of its
        own; "none" gives each label one, which takes a penalty to be unique; "auto" is "first"
        where there is no penalty and "none" where there is.
    handle_missing : {"level", "error"}, default="level"
        Whether a missing label is a level of its own.
    handle_unknown : {"error", "ignore"}, default="error"
        What ``predict`` does with a label that ``fit`` never saw: refuse it, or predict as for
        the reference (without one, as if no label were there).

    Notes
    -----
    A missing label is one that ``fit`` never saw, if it saw none in that column.

    ``to_sklearn()`` of a fitted model is a scikit-learn ``Pipeline`` that begins with a
    ``OneHotEncoder`` of the same labels, and takes frames in memory. Dates are text to a model
    here: its pipeline knows no others, and says so.

    Examples
    --------
    >>> from flowml.linear_model import CategoricalEncoding, LogisticRegression
    >>> LogisticRegression(categorical=CategoricalEncoding(drop="first")).categorical
    CategoricalEncoding(drop='first')
    """

    def __init__(
        self,
        *,
        drop: str = "auto",
        handle_missing: str = "level",
        handle_unknown: str = "error",
    ) -> None:
        self.drop = drop
        self.handle_missing = handle_missing
        self.handle_unknown = handle_unknown


def check_categorical(estimator: Any) -> None:
    """Check an estimator's ``categorical``.

    Raises
    ------
    TypeError, ValueError
        Saying what it may be.
    """
    options = estimator.categorical
    if options is None:
        return
    if not isinstance(options, CategoricalEncoding):
        raise TypeError(
            f"{type(estimator).__name__}(categorical={options!r}): categorical must be a "
            "CategoricalEncoding or None"
        )
    check_choice(options, "drop", DROPS)
    check_choice(options, "handle_missing", ("level", "error"))
    check_choice(options, "handle_unknown", ("error", "ignore"))


def make_encoding(
    options: CategoricalEncoding | None, levels: LevelWeights, schema: Schema, penalised: bool
) -> Encoding:
    """Decide which labels have a column.

    Raises
    ------
    ValueError
        If a label is missing and that is an error.
    """
    options = CategoricalEncoding() if options is None else options
    absent = levels.missing > 0
    features = schema.feature_names or tuple(map(str, range(schema.n_features)))
    names = tuple(features[place] for place in schema.categorical)
    if options.handle_missing == "error" and absent.any():
        raise ValueError(
            f"column {names[int(np.argmax(absent))]!r} has missing labels: fill them in, or "
            "CategoricalEncoding(handle_missing='level') makes them a level of their own"
        )
    drop_first = options.drop == "first" or (options.drop == "auto" and not penalised)
    n_numeric = schema.n_features - len(schema.categorical)
    return Encoding(
        n_numeric,
        levels.labels,
        drop_first,
        tuple(absent.tolist()),
        names,
        options.handle_unknown == "ignore",
    )


def adopt_encoding(
    estimator: Any, levels: LevelWeights | None, schema: Schema, penalised: bool
) -> Encoding | None:
    """Set ``encoding_`` where there are categorical columns, and forget an earlier fit's."""
    vars(estimator).pop("encoding_", None)
    if levels is None:
        return None
    estimator.encoding_ = make_encoding(estimator.categorical, levels, schema, penalised)
    encoding: Encoding = estimator.encoding_
    return encoding


def names_of_coefficients(model: Any) -> list[str]:
    """Name a model's coefficients; ``x0, x1, …`` where the features have no names."""
    given = getattr(model, "feature_names_in_", None)
    encoding: Encoding | None = getattr(model, "encoding_", None)
    places = range(model.n_features_in_)
    names = [f"x{place}" for place in places] if given is None else list(given)
    if encoding is None:
        return names
    if given is None:  # an encoding goes by places then
        encoding = replace(encoding, names=tuple(f"x{place}" for place in encoding.names))
    return coefficient_names(names, encoding)


def coefficient_names(names: list[str], encoding: Encoding) -> list[str]:
    """Name the coefficients: numeric columns first, then ``column=label`` for each label.

    Examples
    --------
    >>> encoding = Encoding(1, (np.array(["a", "b"]),), True, (False,), names=("kind",))
    >>> coefficient_names(["size", "kind"], encoding)
    ['size', 'kind=b']
    """
    found = [name for name in names if name not in encoding.names]
    parts = zip(encoding.names, encoding.levels, encoding.missing, strict=True)
    for name, labels, absent in parts:
        every = [*labels.tolist(), *([MISSING_LABEL] if absent else [])]
        found += [f"{name}={label}" for label in every[int(encoding.drop_first) :]]
    return found


def shares_of_levels(levels: LevelWeights, encoding: Encoding) -> Array:
    """Return the share of the rows, by weight, that each label's column is one for."""
    shares = []
    for j, weights in enumerate(levels.weights):
        every = np.append(weights, levels.missing[j]) if encoding.missing[j] else weights
        shares.append(every[int(encoding.drop_first) :] / max(every.sum(), 1e-300))
    return np.concatenate([np.empty(0), *shares])


def spread_of_levels(levels: LevelWeights, encoding: Encoding) -> Array:
    r"""Return the standard deviation :math:`\sqrt{q (1 - q)}` of each label's column."""
    share = shares_of_levels(levels, encoding)
    spread = np.sqrt(share * (1 - share))
    return np.where(spread > 0, spread, 1.0)


def margins_of_levels(
    objective: Objective, levels: LevelWeights, sample: Block, theta: Array
) -> Margins | None:
    """Return about the curvature at a point, of all rows' labels and a sample's other columns."""
    encoding = objective.encoding
    assert encoding is not None
    group = np.repeat(np.arange(len(encoding.levels)), np.diff(encoding.starts))
    bends = column_curvature(objective.point(theta), [sample])
    return margins(objective, shares_of_levels(levels, encoding), group, bends)
