"""Classification targets of every kind, in memory, in files and in Dask collections."""

from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import flowml
from flowml.linear_model import LogisticRegression, Ridge

ROWS, BLOCK = 60, 20
KINDS: dict[str, np.ndarray] = {
    "int": np.array([3, 5]),
    "bool": np.array([False, True]),
    "text": np.array(["no", "maybe"]),
    "float": np.array([0.5, 1.5]),
}


def frame(kind: str) -> pd.DataFrame:
    random = np.random.default_rng(0)
    a = random.standard_normal(ROWS)
    labels = KINDS[kind][(a + random.standard_normal(ROWS) > 0).astype(int)]
    return pd.DataFrame({"a": a, "b": random.standard_normal(ROWS), "y": labels})


def sources(rows: pd.DataFrame, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Return the same rows as everything lazy."""
    rows.to_parquet(folder / "rows.parquet", row_group_size=BLOCK)
    rows.astype({"y": "category"}).to_parquet(folder / "codes.parquet", row_group_size=BLOCK)
    rows.to_csv(folder / "rows.csv", index=False)
    lazy = dd.from_pandas(rows, npartitions=3)
    coded = lazy.assign(y=lazy["y"].astype("category"))
    array = da.from_array(rows["y"].to_numpy(), chunks=BLOCK)
    X = da.from_array(rows[["a", "b"]].to_numpy(), chunks=(BLOCK, 2))
    return {
        "Parquet": (flowml.read_parquet(folder / "rows.parquet", target="y"), None),
        "dictionary": (flowml.read_parquet(folder / "codes.parquet", target="y"), None),
        "CSV": (flowml.read_csv(folder / "rows.csv", target="y"), None),
        "Dask frame": (lazy[["a", "b"]], lazy["y"]),
        "Dask categories": (lazy[["a", "b"]], coded["y"]),
        "Dask array": (X, array),
        "y in memory": (X, rows["y"]),
    }


@pytest.mark.parametrize("kind", ["int", "bool", "text"])
def test_labels_keep_their_type_whatever_they_come_in(kind: str, tmp_path: Path) -> None:
    rows = frame(kind)
    expected = LogisticRegression().fit(rows[["a", "b"]].to_numpy(), rows["y"].to_numpy())
    assert expected.classes_.dtype.kind == KINDS[kind].dtype.kind
    for name, (X, y) in sources(rows, tmp_path).items():
        model = LogisticRegression().fit(X, y)
        found = model.classes_
        unknown = name == "Dask categories" and kind != "text"
        assert unknown or found.dtype.kind == expected.classes_.dtype.kind, name
        assert found.tolist() == expected.classes_.tolist(), name
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9, err_msg=name)
        predicted = np.asarray(model.predict(X).compute())
        assert predicted.tolist() == expected.predict(rows[["a", "b"]].to_numpy()).tolist(), name
        assert model.score(X, y) == pytest.approx(
            expected.score(rows[["a", "b"]].to_numpy(), rows["y"].to_numpy())
        )


def test_a_regressor_takes_whole_numbers_and_refuses_text(tmp_path: Path) -> None:
    rows = frame("int")
    expected = Ridge().fit(rows[["a", "b"]], rows["y"])
    for name, (X, y) in sources(rows, tmp_path).items():
        if name != "Dask categories":  # of which nobody knows yet that they are numbers
            np.testing.assert_allclose(Ridge().fit(X, y).coef_, expected.coef_, rtol=1e-9)
    for name, (X, y) in sources(frame("text"), tmp_path).items():
        if name != "y in memory":
            with pytest.raises(TypeError, match="has dtype str, not real numbers"):
                Ridge().fit(X, y)


def test_a_missing_label_is_named(tmp_path: Path) -> None:
    rows = frame("text")
    rows.loc[BLOCK + 7, "y"] = None
    for name, (X, y) in sources(rows, tmp_path).items():
        where = "block 0, row 27" if name == "CSV" else "block 1, row 7"
        with pytest.raises(ValueError, match=f"missing label: {where} of the block"):
            LogisticRegression().fit(X, y)
    rows = frame("int").astype({"y": "Int64"})
    rows.loc[BLOCK + 7, "y"] = pd.NA
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=BLOCK)
    with pytest.raises(ValueError, match="missing label: block 1, row 7"):
        LogisticRegression().fit(flowml.read_parquet(tmp_path / "rows.parquet", target="y"))


def test_a_label_that_the_fit_never_saw_is_named_at_score(tmp_path: Path) -> None:
    rows = frame("text")
    model = LogisticRegression().fit(rows[["a", "b"]], rows["y"])
    rows.loc[BLOCK + 7, "y"] = "perhaps"
    for X, y in sources(rows, tmp_path).values():
        with pytest.raises(ValueError, match="perhaps"):
            model.score(X, y)


def test_text_in_one_file_and_numbers_in_another_is_refused(tmp_path: Path) -> None:
    frame("text").to_parquet(tmp_path / "1.parquet")
    frame("int").to_parquet(tmp_path / "2.parquet")
    with pytest.raises(TypeError, match="'y' is text in one file and numbers in another"):
        flowml.read_parquet(tmp_path, target="y")
