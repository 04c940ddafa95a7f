"""The job: everything that ``flowml fit`` is told, from flags or from a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from flowml.cli import toml
from flowml.cli.catalogue import nearest
from flowml.config import DEFAULT_RUNTIME, RUNTIME_SETTINGS, RUNTIMES

TYPES: dict[str, tuple[type, ...]] = {
    "data": (str, list),
    "target": (str, list),
    "features": (list,),
    "categorical": (list,),
    "workers": (int,),
    "checkpoint_seconds": (int, float),
    "params": (dict,),
    "runtime": (dict,),
}
"""What a key's value may be in a file, where it isn't text."""

IN_WORDS: dict[type, str] = {
    str: "text",
    list: "a list",
    int: "a whole number",
    float: "a number",
    dict: "a table",
}


@dataclass(frozen=True)
class Job:
    """One model to train.

    Parameters
    ----------
    estimator : str
        Such as ``linear_model.Ridge``.
    data : str or list of str
        Paths, globs or URLs of the training rows.
    out : str
        Folder for the model.
    target : str or list of str, optional
        Columns to predict; for ``.npy`` and Zarr the path of the array that holds them.
    weight : str, optional
        Column of sample weights; for ``.npy`` and Zarr the path of the array that holds them.
    features : list of str, optional
        Columns to learn from; by default all but the target and the weight.
    categorical : list of str, optional
        Columns of labels; a Parquet column that is a dictionary is one without being named.
    test_data : str or list of str, optional
        Held-out rows for the score.
    scheduler : str, optional
        Address of a running Dask cluster.
    workers : int, optional
        Start a local cluster of so many processes.
    checkpoint : str, optional
        Folder for the checkpoint, by default ``checkpoint`` in `out`.
    checkpoint_seconds : float
        Least time between two checkpoints; 0 writes one after each pass.
    params : dict
        The estimator's parameters.
    runtime : dict
        The runtime's ``name``, and its settings as `flowml.config_context` takes them.
    """

    estimator: str
    data: Any
    out: str
    target: Any = None
    weight: str | None = None
    features: list[str] | None = None
    categorical: list[str] | None = None
    test_data: Any = None
    scheduler: str | None = None
    workers: int | None = None
    checkpoint: str | None = None
    checkpoint_seconds: float = 5.0
    params: dict[str, Any] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the model goes."""
        return Path(self.out)

    @property
    def checkpoint_folder(self) -> Path:
        """Where the checkpoint goes."""
        return Path(self.checkpoint) if self.checkpoint else self.folder / "checkpoint"

    @property
    def runtime_settings(self) -> dict[str, Any]:
        """The settings of `flowml.config_context` that say who adds up."""
        settings = dict(self.runtime)
        return settings | {"runtime": settings.pop("name", DEFAULT_RUNTIME)}

    def to_toml(self) -> str:
        """Write the job as a file that ``flowml fit`` takes."""
        return toml.dumps(asdict(self))


def make_job(settings: Mapping[str, Any]) -> Job:
    """Make a job of settings, checking their keys and types.

    Raises
    ------
    ValueError
        For a key that doesn't exist (the nearest is named), one that is missing, or a value of
        the wrong type.

    Examples
    --------
    >>> make_job({"estimator": "cluster.KMeans", "data": "a.npy", "out": "model"}).target
    """
    known = [entry.name for entry in fields(Job)]
    for key, value in settings.items():
        if key not in known:
            raise ValueError(f"a job has no key {key!r}{nearest(key, known)}")
        _check_type(key, value)
    for key in ("estimator", "data", "out"):
        if not settings.get(key):
            raise ValueError(f"the job doesn't say {key}: give --{key}, or {key} = … in its file")
    if settings.get("scheduler") and settings.get("workers"):
        raise ValueError("scheduler and workers exclude each other: run there, or start a cluster")
    if settings.get("workers", 1) < 1:
        raise ValueError(f"workers = {settings['workers']} must be at least 1")
    _check_runtime(settings)
    return Job(**settings)


def read_job(path: Path) -> dict[str, Any]:
    """Read a job's settings from TOML.

    Raises
    ------
    ValueError
        If it can't be read as TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read as TOML: {error}") from error


def settings_of(path: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a job's file and flags; flags win, parameter by parameter."""
    settings = {} if path is None else read_job(path)
    given = {key: value for key, value in flags.items() if value not in (None, (), [], {})}
    for table in ("params", "runtime"):
        if isinstance(settings.get(table), dict) and table in given:
            given[table] = settings[table] | given[table]
    return settings | given


def _check_type(key: str, value: Any) -> None:
    wanted = TYPES.get(key, (str,))
    if not isinstance(value, wanted) or isinstance(value, bool):
        names = " or ".join(IN_WORDS[kind] for kind in wanted)
        raise ValueError(f"{key} = {value!r} in the job must be {names}")
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} = {value!r} in the job must be a list of text")


def _check_runtime(settings: Mapping[str, Any]) -> None:
    runtime = settings.get("runtime", {})
    known = ("name", *RUNTIME_SETTINGS)
    for key in runtime:
        if key not in known:
            raise ValueError(f"[runtime] has no key {key!r}{nearest(key, known)}")
    name = runtime.get("name", DEFAULT_RUNTIME)
    if name not in RUNTIMES:
        raise ValueError(f"runtime {name!r} is none of {', '.join(RUNTIMES)}")
    here = not (settings.get("scheduler") or settings.get("workers"))
    if here and name not in ("auto", DEFAULT_RUNTIME):
        raise ValueError(
            f"runtime {name!r} needs a cluster: give --workers N or --scheduler ADDRESS"
        )
