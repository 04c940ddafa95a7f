"""scikit-learn's own checks, whole, for every estimator of the table; and frames in, frames out."""

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from dask.base import is_dask_collection
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from tests.table import ESTIMATORS, EstimatorRow

SKIPPED = {
    "check_array_api_input": "arrays of other libraries (SCIPY_ARRAY_API) are no input of flowml's"
}

estimators = pytest.mark.parametrize("row", ESTIMATORS, ids=lambda row: row.name)
transformers = pytest.mark.parametrize(
    "row",
    [row for row in ESTIMATORS if hasattr(row.make(), "transform")],
    ids=lambda row: row.name,
)
COLUMNS = ["rooms", "age", "income", "distance"]


def make_frame(row: EstimatorRow) -> tuple[pd.DataFrame, pd.Series]:
    X, y, _ = row.data()
    index = pd.Index(np.arange(len(X)) * 10, name="house")
    return pd.DataFrame(X, columns=COLUMNS, index=index), pd.Series(y, index=index, name="price")


@pytest.mark.filterwarnings("ignore")
@estimators
def test_check_estimator_passes_whole(row: EstimatorRow) -> None:
    results = check_estimator(
        (row.make_for_checks or row.make)(),
        expected_failed_checks=row.expected_failed_checks,
        on_skip=None,
        on_fail=None,
    )
    failed = {
        result["check_name"]: result["exception"]
        for result in results
        if result["status"] not in ("passed", "xfail")
        and not (result["status"] == "skipped" and result["check_name"] in SKIPPED)
    }
    assert not failed


@estimators
def test_frames_give_the_model_of_their_values_and_keep_names(row: EstimatorRow) -> None:
    frame, y = make_frame(row)
    named, plain = row.make().fit(frame, y), row.make().fit(frame.to_numpy(), y.to_numpy())
    for attribute in row.learned:
        np.testing.assert_array_equal(getattr(named, attribute), getattr(plain, attribute))
    assert list(named.feature_names_in_) == COLUMNS
    assert not hasattr(plain, "feature_names_in_")
    with pytest.raises(ValueError, match="feature names"):
        method(named)(frame.rename(columns={"age": "years"}))


@estimators
def test_frames_keep_their_index(row: EstimatorRow) -> None:
    frame, y = make_frame(row)
    result = method(row.make().fit(frame, y))(frame)
    assert isinstance(result, pd.DataFrame | pd.Series)
    pd.testing.assert_index_equal(result.index, frame.index)


@transformers
def test_output_frames_are_named(row: EstimatorRow) -> None:
    frame, y = make_frame(row)
    estimator = row.make().set_output(transform="pandas").fit(frame.to_numpy(), y.to_numpy())
    result = estimator.transform(frame.to_numpy())
    assert isinstance(result, pd.DataFrame)
    assert list(result.columns) == list(estimator.get_feature_names_out())


@transformers
def test_set_output_leaves_lazy_results_lazy(row: EstimatorRow) -> None:
    X, y, _ = row.data()
    estimator = row.make().set_output(transform="pandas").fit(X, y)
    assert is_dask_collection(estimator.transform(da.from_array(X, chunks=(100, -1))))


@estimators
def test_clones_are_unfitted_and_equal(row: EstimatorRow) -> None:
    estimator = row.make()
    copy = clone(estimator.fit(*make_frame(row)))
    assert not vars(copy).keys() - estimator.get_params().keys()
    assert repr(copy) == repr(estimator)


def method(estimator: Any) -> Any:
    """Return ``predict``, or ``transform`` where there is none."""
    return estimator.predict if hasattr(estimator, "predict") else estimator.transform
