"""Readers: every file format gives the rows that were written, and only those asked for."""

import gzip
import pickle
import shutil
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from sklearn.base import clone
from sklearn.linear_model import LinearRegression as SklearnLinearRegression

import flowml
from flowml.data import csv_files
from flowml.data.block_source import load
from flowml.datasets import california_housing
from flowml.kernels.rows import Block
from flowml.kernels.scratch import scratch_scope
from flowml.linear_model import LinearRegression
from flowml.preprocessing import MinMaxScaler, StandardScaler
from flowml.runtimes.shard import Leaf

N = 1000
HOUSING = ["longitude", "latitude", "housing_median_age", "total_rooms", "median_income"]


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "n": rng.integers(0, 1000, N),
            "flag": rng.random(N) > 0.5,
            "text": "words",
            "y": rng.normal(size=N),
            "z": rng.normal(size=N),
            "w": rng.random(N),
        }
    )


ROWS = table()
CHOICE: dict[str, Any] = {"target": "y", "weight": "w", "features": ["n", "a", "flag"]}


def blocks(dataset: flowml.Dataset) -> list[Block]:
    return [load(part.source) for part in dataset.parts]


def assert_holds(dataset: flowml.Dataset, rows: pd.DataFrame = ROWS) -> None:
    loaded = blocks(dataset)
    assert all(block.X.flags.c_contiguous and block.X.dtype == np.float64 for block in loaded)
    X = np.concatenate([block.X for block in loaded])
    np.testing.assert_array_equal(X, rows[CHOICE["features"]].to_numpy(dtype=float))
    np.testing.assert_array_equal(np.concatenate([b.y for b in loaded]), rows["y"])
    np.testing.assert_array_equal(np.concatenate([b.weight for b in loaded]), rows["w"])
    assert [block.number for block in loaded] == list(range(len(loaded)))


@pytest.fixture
def parquet_folder(tmp_path: Path) -> Path:
    ROWS[:600].to_parquet(tmp_path / "1.parquet", row_group_size=250)
    ROWS[600:].to_parquet(tmp_path / "2.parquet", row_group_size=250)
    (tmp_path / "_SUCCESS.parquet").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_parquet_by_folder_glob_list_and_url(parquet_folder: Path) -> None:
    for path in (
        parquet_folder,
        str(parquet_folder / "[12].parquet"),
        [parquet_folder / "1.parquet", str(parquet_folder / "2.parquet")],
        f"file://{parquet_folder}/?.parquet",
    ):
        dataset = flowml.read_parquet(path, **CHOICE)
        assert [part.rows for part in dataset.parts] == [250, 250, 100, 250, 150]
        assert dataset.shape == (N, 3)
        assert dataset.nbytes == N * (3 + 2) * 8  # three features, a target and a weight
        assert_holds(dataset)


def test_parquet_and_csv_in_another_file_system() -> None:
    with fsspec.open("memory://rows/1.parquet", "wb") as file:
        ROWS.to_parquet(file, row_group_size=300)
    with fsspec.open("memory://rows/1.csv", "wt") as file:
        ROWS.to_csv(file, index=False)
    assert_holds(flowml.read_parquet("memory://rows/*.parquet", **CHOICE))
    assert_holds(flowml.read_csv("memory://rows", **CHOICE))


def test_storage_options_reach_the_file_system(tmp_path: Path) -> None:
    rows, archive = tmp_path / "rows", tmp_path / "rows.zip"
    rows.mkdir()
    ROWS.to_parquet(rows / "1.parquet")
    ROWS.to_csv(rows / "1.csv", index=False)
    X = ROWS[["n", "a"]].to_numpy()
    np.save(rows / "X.npy", X)
    zarr.create_array(rows / "X.zarr", data=X, chunks=(300, 2))
    shutil.make_archive(str(tmp_path / "rows"), "zip", rows)
    inside: dict[str, Any] = {"storage_options": {"fo": str(archive)}}
    assert_holds(flowml.read_parquet("zip://*.parquet", **CHOICE, **inside))
    assert_holds(flowml.read_csv("zip://1.csv", **CHOICE, **inside))
    for dataset in (
        flowml.read_npy("zip://X.npy", **inside),
        flowml.read_zarr("zip://X.zarr", **inside),
    ):
        np.testing.assert_array_equal(np.concatenate([b.X for b in blocks(dataset)]), X)


def test_storage_options_are_not_shown_and_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "1.parquet")
    plain, secret = (
        flowml.read_parquet(tmp_path, **CHOICE, storage_options=options)
        for options in (None, {"auto_mkdir": True})
    )
    assert plain.identify() == secret.identify()
    assert "auto_mkdir" not in repr(secret.parts)


def test_columns_in_the_names_of_folders_are_not_left_out_unasked(tmp_path: Path) -> None:
    numbers = ROWS[["a", "n", "y"]]
    for year in (2025, 2026):
        (tmp_path / f"year={year}").mkdir()
        numbers.to_parquet(tmp_path / f"year={year}" / "1.parquet")
    with pytest.raises(ValueError, match="folder for one value of 'year'"):
        flowml.read_parquet(tmp_path, target="y")
    assert flowml.read_parquet(tmp_path, target="y", features=["a", "n"]).n_rows == 2 * N
    assert flowml.read_parquet(tmp_path / "year=2025", target="y").n_rows == N


@pytest.mark.parametrize("kind", ["parquet", "csv", "npy"])
def test_columns_stay_columns_for_a_pass_or_two(tmp_path: Path, kind: str) -> None:
    numbers = ROWS[["a", "n", "y", "w"]]
    if kind == "npy":
        np.save(tmp_path / "X.npy", np.asfortranarray(numbers))
        dataset = flowml.read_npy(tmp_path / "X.npy")
    elif kind == "csv":
        numbers.to_csv(tmp_path / "1.csv", index=False)
        dataset = flowml.read_csv(tmp_path)
    else:
        numbers.to_parquet(tmp_path / "1.parquet", row_group_size=300)
        dataset = flowml.read_parquet(tmp_path)
    by_rows, by_columns = blocks(dataset), blocks(dataset.for_few_passes())
    assert all(block.X.flags.c_contiguous for block in by_rows)
    assert all(block.X.flags.f_contiguous for block in by_columns)
    for left, right in zip(by_rows, by_columns, strict=True):
        np.testing.assert_array_equal(left.X, right.X)
    assert dataset.for_few_passes().identify() == dataset.identify()


@pytest.mark.parametrize("model", [LinearRegression(), StandardScaler(), MinMaxScaler()])
def test_files_are_streamed_for_a_pass_or_two_and_keeping_them_changes_no_bit(
    parquet_folder: Path, model: Any
) -> None:
    dataset = flowml.read_parquet(parquet_folder, **CHOICE)
    assert not flowml.plan(model, dataset).keep
    streamed = clone(model).fit(dataset)
    with flowml.config_context(keep=True):
        kept = clone(model).fit(dataset)
    for name, value in vars(streamed).items():
        if name.endswith("_"):
            np.testing.assert_array_equal(value, getattr(kept, name))


def test_parquet_of_every_numeric_type(tmp_path: Path) -> None:
    columns = {
        "i": pa.array([1, None, 3], pa.int16()),
        "u": pa.array([1, 2, None], pa.uint64()),
        "f": pa.array([0.5, None, 2.5], pa.float32()),
        "b": pa.array([True, None, False]),
        "d": pa.array([1, 2, None]).cast(pa.decimal128(21, 2)),
    }
    pq.write_table(pa.table(columns), tmp_path / "types.parquet")
    (block,) = blocks(flowml.read_parquet(tmp_path))
    nan = np.nan
    np.testing.assert_array_equal(
        block.X, [[1, 1, 0.5, 1, 1], [nan, 2, nan, nan, 2], [3, nan, 2.5, 0, nan]]
    )


def test_float32_stays_and_an_index_is_no_feature(tmp_path: Path) -> None:
    rows = ROWS[["a", "z"]].astype(np.float32)[::2]
    rows.to_parquet(tmp_path / "rows.parquet")
    dataset = flowml.read_parquet(tmp_path, target="z")
    assert dataset.schema.dtype == np.float32
    assert dataset.schema.feature_names == ("a",)
    (block,) = blocks(dataset)
    assert block.X.dtype == np.float32
    assert block.y is not None
    assert block.y.dtype == np.float64


def test_several_targets(parquet_folder: Path) -> None:
    dataset = flowml.read_parquet(parquet_folder, target=["y", "z"], features="a")
    assert dataset.schema.target_names == ("y", "z")
    y = np.concatenate([block.y for block in blocks(dataset)])
    np.testing.assert_array_equal(y, ROWS[["y", "z"]])


def test_row_groups_larger_than_a_batch_and_empty_ones(tmp_path: Path) -> None:
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(3000, 200))).add_prefix("x")
    wide.to_parquet(tmp_path / "wide.parquet")
    wide[:0].to_parquet(tmp_path / "empty.parquet")
    dataset = flowml.read_parquet(tmp_path)
    np.testing.assert_array_equal(np.concatenate([b.X for b in blocks(dataset)]), wide)


def test_csv_is_cut_at_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 5000)
    ROWS[:600].to_csv(tmp_path / "1.csv", index=False)
    # The other file has its columns in another order and line ends of two bytes.
    ROWS[600:][ROWS.columns[::-1]].to_csv(tmp_path / "2.csv", index=False, lineterminator="\r\n")
    dataset = flowml.read_csv(tmp_path, **CHOICE)
    assert len(dataset.parts) > 10
    assert dataset.n_rows is None
    assert_holds(dataset)
    assert dataset.nbytes == pytest.approx(N * 3 * 8, rel=0.05)


def test_csv_without_rows_with_gaps_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,y\n")
    (tmp_path / "2.csv").write_text("a,y\n1,2\n\n,4\nNA,6")
    with gzip.open(tmp_path / "3.csv.gz", "wt") as file:
        file.write("a,y\n7,8\n")
    loaded = blocks(flowml.read_csv(tmp_path, target="y"))
    np.testing.assert_array_equal(
        np.concatenate([b.X for b in loaded])[:, 0], [1, np.nan, np.nan, 7]
    )
    np.testing.assert_array_equal(np.concatenate([b.y for b in loaded]), [2, 4, 6, 8])


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path: Path, order: Any) -> None:
    X, y = ROWS[["n", "a"]].to_numpy(), ROWS[["y", "z"]].to_numpy()
    for name, rows in (("1", slice(0, 600)), ("2", slice(600, N))):
        np.save(tmp_path / f"X{name}.npy", np.array(X[rows], order=order))
        np.save(tmp_path / f"y{name}.npy", np.array(y[rows], order=order))
        np.save(tmp_path / f"w{name}.npy", ROWS["w"][rows].astype(np.float32))
    paths = [tmp_path / f"{part}?.npy" for part in "Xyw"]
    loaded = blocks(flowml.read_npy(paths[0], target=paths[1], weight=paths[2]))
    np.testing.assert_array_equal(np.concatenate([b.X for b in loaded]), X)
    np.testing.assert_array_equal(np.concatenate([b.y for b in loaded]), y)
    np.testing.assert_allclose(np.concatenate([b.weight for b in loaded]), ROWS["w"], rtol=1e-6)


def test_zarr(tmp_path: Path) -> None:
    X = ROWS[["n", "a"]].to_numpy()
    group = zarr.open_group(tmp_path / "rows.zarr", mode="w")
    group.create_array("X", data=X, chunks=(300, 1))
    group.create_array("y", data=ROWS["y"].to_numpy(), chunks=(170,))
    group.create_array("w", data=ROWS["w"].to_numpy())
    at = {name: f"{tmp_path}/rows.zarr/{name}" for name in "Xyw"}
    dataset = flowml.read_zarr(at["X"], target=at["y"], weight=at["w"])
    assert [part.rows for part in dataset.parts] == [300, 300, 300, 100]
    loaded = [load(pickle.loads(pickle.dumps(part.source))) for part in dataset.parts]
    np.testing.assert_array_equal(np.concatenate([b.X for b in loaded]), X)
    np.testing.assert_array_equal(np.concatenate([b.y for b in loaded]), ROWS["y"])


def test_the_fingerprint_follows_files_and_columns(parquet_folder: Path) -> None:
    first = flowml.read_parquet(parquet_folder, **CHOICE).identify()
    assert flowml.read_parquet(parquet_folder, **CHOICE).identify() == first
    assert flowml.read_parquet(parquet_folder, target="y", features="a").identify() != first
    ROWS[600:].to_parquet(parquet_folder / "2.parquet", row_group_size=100)
    assert flowml.read_parquet(parquet_folder, **CHOICE).identify() != first


def test_readers_are_small_when_they_travel(parquet_folder: Path) -> None:
    pq.write_table(
        pa.table({f"column_{number:03}": np.zeros(2000) for number in range(50)}),
        parquet_folder / "many.parquet",
        row_group_size=20,
    )
    dataset = flowml.read_parquet(parquet_folder / "many.parquet")
    assert len(dataset.parts) == 100
    assert len(pickle.dumps([part.source for part in dataset.parts])) < 100 * 100


def test_california_housing_trains_as_scikit_learn_does() -> None:
    frame = pd.read_parquet(california_housing())
    assert frame.shape == (20640, 10)
    assert frame["total_bedrooms"].isna().sum() == 207
    dataset = flowml.read_parquet(
        california_housing(), target="median_house_value", features=HOUSING
    )
    model = LinearRegression().fit(dataset)
    reference = SklearnLinearRegression().fit(frame[HOUSING], frame["median_house_value"])
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-9)
    assert list(model.feature_names_in_) == HOUSING


def test_what_a_dataset_says_of_itself(parquet_folder: Path) -> None:
    dataset = flowml.read_parquet(parquet_folder, **CHOICE)
    assert repr(dataset).splitlines() == [
        "Dataset: 1,000 rows, 5 blocks, Parquet",
        "  features (3, float64): n, a, flag",
        "  target: y",
        "  sample weights: yes",
    ]
    assert "<th>target</th><td>y</td>" in dataset._repr_html_()


def test_a_long_row_group_with_missing_values_is_read_in_several_pieces(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50_001, 90))
    rows[::7, 3] = np.nan
    columns = [pa.array(column, from_pandas=True) for column in rows.T]
    table = pa.table(columns, names=[f"x{number}" for number in range(90)])
    assert table["x3"].null_count == 7143
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=len(rows))
    (block,) = blocks(flowml.read_parquet(tmp_path))
    np.testing.assert_array_equal(block.X, rows)


def test_streamed_leaves_share_memory_and_blocks_of_one_leaf_are_joined(
    parquet_folder: Path,
) -> None:
    dataset = flowml.read_parquet(parquet_folder, **CHOICE)
    sources = [part.source for part in dataset.parts]
    with scratch_scope():
        (joined,) = Leaf(0, sources[:2]).rows()
        wanted = ROWS[:500][CHOICE["features"]].to_numpy(dtype=float)
        np.testing.assert_array_equal(joined.X, wanted)
        (third,), (fourth,) = (Leaf(n, sources[n : n + 1]).rows() for n in (2, 3))
        assert np.shares_memory(third.X, fourth.X)
    (third,), (fourth,) = (Leaf(n, sources[n : n + 1]).rows() for n in (2, 3))
    assert not np.shares_memory(third.X, fourth.X)
