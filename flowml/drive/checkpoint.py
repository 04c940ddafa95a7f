"""The checkpoint: one file with the states of a fit's stages and the fingerprint they belong to."""

import importlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flowml.solvers.solver import State

FILE_NAME = "checkpoint.npz"
HEADER = "header"


class CheckpointError(ValueError):
    """A checkpoint that can't be resumed from: damaged, or of another fit."""


@dataclass
class Checkpoint:
    """Saves states at most every few seconds, under a temporary name that is then renamed.

    Parameters
    ----------
    folder : Path or None
        None saves nothing.
    fingerprint : dict of str to str
        What the states belong to: estimator, parameters, data.
    seconds : float
        Least time between two saves.
    """

    folder: Path | None
    fingerprint: dict[str, str]
    seconds: float = 0.0
    _states: dict[str, tuple[State, int]] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path | None:
        """The checkpoint's file."""
        return None if self.folder is None else self.folder / FILE_NAME

    def resume(self) -> None:
        """Read the states of an earlier fit, if there is a checkpoint.

        Raises
        ------
        CheckpointError
            If it is damaged, or its fingerprint differs; both are shown.
        """
        path = self.path
        if path is None or not path.exists():
            return
        fingerprint, states = read(path)
        if fingerprint != self.fingerprint:
            raise CheckpointError(_mismatch(path, fingerprint, self.fingerprint))
        self._states = states

    def state(self, stage: str) -> tuple[State, int] | None:
        """Return a stage's state and the fit's passes up to it, None if it has none."""
        return self._states.get(stage)

    def save(self, stage: str, state: State, n_passes: int, force: bool = False) -> bool:
        """Note a stage's state and write the file if it is time; tell whether it was written."""
        path = self.path
        if path is None:
            return False
        self._states[stage] = (state, n_passes)
        if not force and time.monotonic() - self._saved_at < self.seconds:
            return False
        write(path, self.fingerprint, self._states)
        self._saved_at = time.monotonic()
        return True


def write(path: Path, fingerprint: dict[str, str], states: dict[str, tuple[State, int]]) -> None:
    """Write states to a temporary file, sync it and rename it into place."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    stages = {
        stage: {"passes": n_passes, "state": _flatten(state, f"{number}", arrays)}
        for number, (stage, (state, n_passes)) in enumerate(states.items())
    }
    header = json.dumps({"fingerprint": fingerprint, "stages": stages})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{HEADER: np.array(header)}, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read(path: Path) -> tuple[dict[str, str], dict[str, tuple[State, int]]]:
    """Read a checkpoint without ever unpickling anything."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(str(arrays[HEADER]))
            states = {
                stage: (_restore(entry["state"], arrays), int(entry["passes"]))
                for stage, entry in header["stages"].items()
            }
    except Exception as error:
        raise CheckpointError(
            f"{path} can't be read as a checkpoint ({error}); delete it to start again"
        ) from error
    return header["fingerprint"], states


def _flatten(value: Any, name: str, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """Describe a state as JSON, moving its arrays out under unique names."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        kind = type(value)
        fields = {
            key: _flatten(getattr(value, key), f"{name}.{key}", arrays) for key in value._fields
        }
        return {"type": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    return {"value": value.item() if isinstance(value, np.generic) else value}


def _restore(entry: dict[str, Any], arrays: Any) -> Any:
    if "array" in entry:
        return arrays[entry["array"]]
    if "value" in entry:
        return entry["value"]
    module, _, name = entry["type"].partition(":")
    if not module.startswith("flowml."):
        raise ValueError(f"a checkpoint holds no {entry['type']}")
    kind = getattr(importlib.import_module(module), name)
    return kind(**{key: _restore(value, arrays) for key, value in entry["fields"].items()})


def _mismatch(path: Path, found: dict[str, str], wanted: dict[str, str]) -> str:
    lines = [
        f"{path} belongs to another fit; resume with the same estimator and data, or delete it:"
    ]
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            lines.append(
                f"  {key}: the checkpoint has {found.get(key)}, this fit {wanted.get(key)}"
            )
    return "\n".join(lines)
