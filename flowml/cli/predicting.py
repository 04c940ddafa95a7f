"""Scoring files with a saved model: Parquet out, a few blocks at a time."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
from sklearn.base import is_clusterer

from flowml.cli.files import open_data
from flowml.cli.job import read_job
from flowml.data.dataset import Dataset
from flowml.persistence import load_model
from flowml.runtimes.placement import group_leaves

PART = "part-*.parquet"


def predict_files(model_folder: Path, data: Any, out: Path, overwrite: bool = False) -> int:
    """Write a model's predictions for files into a folder of Parquet files and count the rows.

    The files' names sort in the order of the rows. They are written into a temporary folder beside
    `out`, which is renamed when all are there.

    Parameters
    ----------
    model_folder : Path
        Of ``flowml fit``.
    data : str or list of str
    out : Path
    overwrite : bool
        Replace predictions that are there already.

    Raises
    ------
    ValueError
        If `out` holds something.
    """
    model = load_model(model_folder)
    check_free(out, overwrite)
    names = getattr(model, "feature_names_in_", None)
    labels = model.encoding_.names if hasattr(model, "encoding_") else ()
    dataset = open_data(
        data, features=None if names is None else list(names), categorical=list(labels) or None
    )
    columns, blocks = predictions(model, dataset, targets_of(model_folder))
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        groups = group_leaves(dataset.parts, gathered=True)
        write = dask.delayed(write_file)
        written = dask.compute(
            *(
                write(
                    [blocks[part] for part in group], columns, temporary / f"part-{i:05d}.parquet"
                )
                for i, group in enumerate(groups)
            )
        )
        move(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sum(written)


def predictions(
    model: Any, dataset: Dataset, targets: Sequence[str]
) -> tuple[list[str], Sequence[Any]]:
    """Return the names of the result's columns and its lazy blocks.

    A model without ``predict`` transforms.
    """
    if not hasattr(model, "predict"):
        result = model.transform(dataset)
        columns = [str(name) for name in model.get_feature_names_out()]
    else:
        result = model.predict(dataset)
        columns = ["label" if is_clusterer(model) else "prediction"]
        if result.ndim == 2:
            count = result.shape[1]
            names = targets if len(targets) == count else [str(i) for i in range(count)]
            columns = [f"prediction_{name}" for name in names]
    return columns, result.to_delayed().ravel()


def write_file(blocks: Sequence[Any], columns: list[str], path: Path) -> int:
    """Write the results of consecutive blocks to one file and count the rows: a task."""
    values = np.concatenate([block.reshape(len(block), -1) for block in blocks])
    pd.DataFrame(values, columns=columns).to_parquet(path, index=False)
    return len(values)


def targets_of(model_folder: Path) -> list[str]:
    """Return the names of the targets that the model was trained on, where its job tells."""
    path = (model_folder if model_folder.is_dir() else model_folder.parent) / "job.toml"
    target = read_job(path).get("target", []) if path.exists() else []
    return [target] if isinstance(target, str) else target


def check_free(out: Path, overwrite: bool) -> None:
    """Refuse a folder with files in it, unless these are predictions and may go."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"{out} is a file: --out names a folder")
    others = set(out.iterdir()) - set(out.glob(PART))
    if others:
        raise ValueError(f"{out} holds {min(others).name}, which isn't a prediction: name another")
    if any(out.iterdir()) and not overwrite:
        raise ValueError(f"{out} holds predictions already: --overwrite replaces them")


def move(temporary: Path, out: Path) -> None:
    """Put a finished folder in its place, in exchange for the one that is there."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        out.rename(old)
    temporary.rename(out)
    shutil.rmtree(old, ignore_errors=True)
