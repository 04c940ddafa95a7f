"""flowml: scikit-learn-style estimators trained in passes over chunked data."""

from importlib import import_module
from typing import Any

from flowml.config import config_context, get_config

__version__ = "0.1.0"

_LAZY: dict[str, str] = {
    "load_model": "flowml.persistence",
    "merge": "flowml.merging",
    "plan": "flowml.planning",
    "Dataset": "flowml.data.dataset",
    "read_csv": "flowml.data.csv_files",
    "read_npy": "flowml.data.npy_files",
    "read_parquet": "flowml.data.parquet",
    "read_zarr": "flowml.data.zarr_arrays",
    "save_model": "flowml.persistence",
}


def __getattr__(name: str) -> Any:
    """Import heavier names on first use: ``import flowml`` stays light."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'flowml' has no attribute {name!r}")


__all__ = [
    "Dataset",
    "__version__",
    "config_context",
    "get_config",
    "load_model",
    "merge",
    "plan",
    "read_csv",
    "read_npy",
    "read_parquet",
    "read_zarr",
    "save_model",
]
