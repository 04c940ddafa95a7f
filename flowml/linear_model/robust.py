"""Robust standard errors of linear models: one pass over the rows, and their groups beside y."""

from dataclasses import replace
from typing import Any

import numpy as np

from flowml.data.adopt import is_lazy
from flowml.data.beside import as_array, beside_target, two_columns
from flowml.data.dask_collections import aligned
from flowml.data.dataset import Dataset, Part
from flowml.data.labels import fixed_width
from flowml.drive.one_summary import one_summary
from flowml.estimator import PassEstimator, adopt
from flowml.kernels.labels import check_known, encode, unknown
from flowml.kernels.linear_loss import Point
from flowml.kernels.rows import Array, Block
from flowml.kernels.score_products import SCORE_PRODUCTS, ScoreAsk, ScoreProducts
from flowml.solvers.glm_statistics import CLUSTER, LEVERAGE_POWERS, Evidence, inverse_root

NONROBUST = "nonrobust"


def check_kind(cov_type: str | None, X: Any, groups: Any) -> str:
    """Return the kind of covariance that is asked for.

    Raises
    ------
    ValueError
        If there is no such kind, or what it needs isn't given.
    """
    kind = NONROBUST if cov_type is None else cov_type
    if kind != NONROBUST and kind not in LEVERAGE_POWERS:
        allowed = ", ".join(map(repr, (NONROBUST, *LEVERAGE_POWERS)))
        raise ValueError(f"cov_type={cov_type!r}: must be {allowed}")
    if kind != NONROBUST and X is None:
        raise ValueError(f"cov_type={kind!r} needs the rows: summary(X, y, cov_type={kind!r})")
    if kind == CLUSTER and groups is None:
        raise ValueError(
            "cov_type='cluster' needs groups=, the group of each row: an array or Dask collection "
            "of shape (n_rows,), or of a Dataset the name of a target column"
        )
    if kind != CLUSTER and groups is not None:
        raise ValueError(f"groups are for cov_type='cluster', not {kind!r}")
    return kind


def score_products(
    estimator: PassEstimator,
    point: Point,
    evidence: Evidence,
    rows: tuple[Any, Any, Any, Any],
    kind: str,
    target: int = 0,
) -> ScoreProducts:
    """Sum the scores over the rows at given coefficients.

    Parameters
    ----------
    estimator : estimator
        Whose features X must have.
    point : Point
    evidence : Evidence
        Of the fit: of its inverse curvature leverages are made.
    rows : tuple
        X, y, sample_weight and groups.
    kind : str
    target : int, default=0
        Which column of y, where there are several.
    """
    power = LEVERAGE_POWERS.get(kind, 0.0)
    root = None
    if power:
        if len(evidence.coef) > 1:
            raise ValueError(f"cov_type={kind!r} is for models of one output: use 'HC1'")
        if evidence.curvature is None:
            raise ValueError(f"cov_type={kind!r} needs a fit by solver='newton': use 'HC1'")
        root = inverse_root(evidence)
    dataset, point, group = _with_groups(estimator, point, *rows)
    ask = ScoreAsk(point, root, power, group, target, kind != NONROBUST)
    summary: ScoreProducts = one_summary(dataset, SCORE_PRODUCTS, ask)
    if point.target.classes is not None:
        check_known(summary.strange, point.target.classes)
    if summary.weight == 0:
        raise ValueError("there is nothing to measure: no row, or none of a weight above zero")
    if group is not None and len(summary.groups.labels) < 2:
        raise ValueError("groups holds one group only: clustered errors need at least 2")
    return summary


def with_scores(evidence: Evidence, sums: ScoreProducts) -> Evidence:
    """Return the evidence of the rows just seen."""
    return evidence._replace(
        rows=sums.rows,
        weight=sums.weight,
        curvature=sums.curvature,
        value=sums.value,
        pearson=sums.pearson,
    )


def _with_groups(
    estimator: PassEstimator, point: Point, X: Any, y: Any, sample_weight: Any, groups: Any
) -> tuple[Dataset, Point, int | None]:
    """Return the data with the rows' groups as a column of y, and which column that is.

    Raises
    ------
    ValueError, TypeError
        If the input can't be used, or the groups don't belong to the rows.
    """
    if groups is None:
        return estimator._dataset(X, y, sample_weight, reset=False), point, None
    needs = replace(estimator.needs, one_target=False)
    if isinstance(X, Dataset):
        names = X.schema.target_names or ()
        if not isinstance(groups, str) or groups not in names or len(names) < 2:
            raise ValueError(
                f"groups={groups!r}: of a Dataset it names one of its targets, which are "
                f"{', '.join(names)}; read it with target=[..., {groups!r}]"
            )
        return adopt(estimator, X, y, sample_weight, needs, reset=False), point, names.index(groups)
    classes = point.target.classes
    if classes is not None:
        numbers = np.arange(len(classes), dtype=np.float64)
        coded = point._replace(target=point.target._replace(classes=numbers))
    if is_lazy(X):
        if classes is not None and y is not None:
            y = aligned(y, X, "y")
            y = as_array(y).map_blocks(_coded, classes, dtype=np.float64)
            point = coded
        both = two_columns(X, y, groups, "groups")
        return adopt(estimator, X, both, sample_weight, needs, reset=False), point, 1
    dataset = estimator._dataset(X, y, sample_weight, reset=False)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    if len(codes) != dataset.n_rows:
        raise ValueError(
            f"X has {dataset.n_rows} rows and groups has {len(codes)}: they must be the same"
        )
    if classes is not None:
        dataset, point = _as_codes(dataset, classes), coded
    return beside_target(dataset, codes, "groups"), point, dataset.schema.n_targets


def _as_codes(dataset: Dataset, classes: Array) -> Dataset:
    """Replace labels in memory by their numbers, beside which a column of numbers can lie."""
    parts = []
    for part in dataset.parts:
        block = part.source
        assert isinstance(block, Block)
        assert block.y is not None
        codes = _coded(block.y, classes)
        parts.append(Part(block._replace(y=codes), part.rows, part.nbytes))
    return replace(dataset, parts=tuple(parts))


def _coded(y: Any, classes: Array) -> Array:
    """Return the numbers of labels, beside which a column of numbers can lie."""
    labels = fixed_width(y)
    check_known(unknown(labels, classes), classes)
    return encode(labels, classes)
