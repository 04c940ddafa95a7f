"""``flowml predict``: what it writes, in which order, and what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import flowml
from flowml.cli.main import flowml as command
from flowml.linear_model import LinearRegression, Ridge
from flowml.preprocessing import MinMaxScaler

RNG = np.random.default_rng(1)
ROWS = pd.DataFrame(RNG.normal(size=(1_000, 3)), columns=["b", "a", "c"]).assign(
    y=lambda rows: rows.a - rows.b, z=lambda rows: rows.c
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with rows in two files of several row groups."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        part = ROWS[number * 500 : (number + 1) * 500]
        part.to_parquet(f"rows-{number}.parquet", row_group_size=70, index=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def predict(*more: str, data: str = "rows-*.parquet") -> Result:
    return run("predict", "--model", "model", "--data", data, "--out", "predictions", *more)


def fit(estimator: str, *more: str) -> None:
    result = run(
        "fit", "--estimator", estimator, "--data", "rows-*.parquet", "--out", "model", *more
    )
    assert result.exit_code == 0, result.output


def test_predictions_keep_the_order_of_the_rows() -> None:
    fit("linear_model.LinearRegression", "--target", "y", "--features", "c,a,b")
    result = predict()
    assert result.exit_code == 0, result.output
    assert "1,000 rows in predictions" in result.output
    model = LinearRegression().fit(ROWS[["c", "a", "b"]], ROWS["y"])
    found = pd.concat(map(pd.read_parquet, sorted(Path("predictions").iterdir())))
    assert list(found.columns) == ["prediction"]
    np.testing.assert_allclose(found["prediction"], model.predict(ROWS[["c", "a", "b"]]))


def test_a_file_for_each_part_of_large_data() -> None:
    rows = pd.DataFrame(RNG.normal(size=(300_000, 2)), columns=["a", "b"])
    rows.to_parquet("large.parquet", row_group_size=50_000, index=False)
    flowml.save_model(MinMaxScaler().fit(rows), "model.skops")
    result = run("predict", "--model", "model.skops", "--data", "large.parquet", "--out", "scaled")
    assert result.exit_code == 0, result.output
    files = sorted(Path("scaled").iterdir())
    assert len(files) > 1
    assert all(file.name.startswith("part-") for file in files)
    found = pd.concat(map(pd.read_parquet, files), ignore_index=True)
    pd.testing.assert_frame_equal(
        found, MinMaxScaler().set_output(transform="pandas").fit_transform(rows)
    )


def test_columns_are_named_for_what_they_hold() -> None:
    fit("linear_model.Ridge", "--target", "y,z", "--features", "a,b,c")
    assert predict().exit_code == 0
    assert list(pd.read_parquet("predictions").columns) == ["prediction_y", "prediction_z"]
    fit("cluster.KMeans", "--features", "a,b", "--param", "n_clusters=3", "--overwrite")
    assert predict("--overwrite").exit_code == 0
    labels = pd.read_parquet("predictions")
    assert list(labels.columns) == ["label"]
    assert set(labels["label"]) == {0, 1, 2}


def test_other_files_are_never_written_over() -> None:
    fit("preprocessing.StandardScaler", "--features", "a,b")
    assert predict().exit_code == 0
    before = pd.read_parquet("predictions")
    again = predict()
    assert again.exit_code == 1
    assert "predictions holds predictions already: --overwrite replaces them" in again.stderr
    assert predict("--overwrite", data="rows-0.parquet").exit_code == 0
    pd.testing.assert_frame_equal(pd.read_parquet("predictions"), before[:500])
    Path("predictions/thesis.txt").write_text("years of work")
    refused = predict("--overwrite")
    assert refused.exit_code == 1
    assert "predictions holds thesis.txt, which isn't a prediction" in refused.stderr
    assert Path("predictions/thesis.txt").exists()


def test_a_failure_leaves_nothing_behind(folder: Path) -> None:
    fit("linear_model.LinearRegression", "--target", "y", "--features", "a,b")
    ROWS.assign(a=np.nan).to_parquet("broken.parquet", index=False)
    before = sorted(folder.iterdir())
    result = predict(data="broken.parquet")
    assert result.exit_code == 1
    assert "NaN" in result.stderr
    assert sorted(folder.iterdir()) == before


def test_missing_models_and_columns_are_named() -> None:
    fit("linear_model.LinearRegression", "--target", "y", "--features", "a,b")
    ROWS[["a"]].to_parquet("narrow.parquet", index=False)
    result = predict(data="narrow.parquet")
    assert result.exit_code == 1
    assert "'b'" in result.stderr
    Path("empty").mkdir()
    result = run("predict", "--model", "empty", "--data", "rows-0.parquet", "--out", "predictions")
    assert result.exit_code == 1
    assert "there is no saved model at empty/model.skops" in result.stderr


@pytest.mark.parametrize("ending", ["csv", "parquet", "dictionary.parquet"])
def test_columns_of_labels_are_named_once_or_come_with_the_file(ending: str) -> None:
    table = ROWS[["a", "y"]].assign(kind=np.where(ROWS.b > 0, "up", "down"))
    data = f"labels.{ending}"
    if ending == "csv":
        table.to_csv(data, index=False)
    else:
        kind = "category" if ending.startswith("dictionary") else str
        table.astype({"kind": kind}).to_parquet(data, index=False)
    named = [] if ending.startswith("dictionary") else ["--categorical", "kind"]
    words = ["--estimator", "linear_model.Ridge", "--target", "y", "--data", data, "--out", "model"]
    result = run("fit", *words, *named)
    assert result.exit_code == 0, result.output
    assert predict(data=data).exit_code == 0
    found = pd.read_parquet("predictions")["prediction"]
    X = table[["a", "kind"]].astype({"kind": "category"})
    np.testing.assert_allclose(found, Ridge().fit(X, table["y"]).predict(X))
