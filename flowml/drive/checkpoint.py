"""The checkpoint: a file with the states of a fit's stages and the fingerprint they belong to."""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from flowml.drive.events import PassCompleted
from flowml.kernels.mixed import Mixed
from flowml.solvers.solver import State

FILE_NAME = "checkpoint.npz"
PREVIOUS_NAME = "checkpoint-before.npz"
HEADER = "header"


class CheckpointError(ValueError):
    """A checkpoint that can't be resumed from: damaged, or of another fit."""


class DamagedError(CheckpointError):
    """A checkpoint that can't be read: cut short, for example."""


class StageState(NamedTuple):
    """Where a stage stands.

    Attributes
    ----------
    state : State
    n_passes : int
        Passes of the whole fit up to this state.
    """

    state: State
    n_passes: int


@dataclass
class Progression:
    """What a checkpoint holds beside its fingerprint: how far a fit has come.

    Parameters
    ----------
    stages : dict of str to StageState
    history : list of PassCompleted
    """

    stages: dict[str, StageState] = field(default_factory=dict)
    history: list[PassCompleted] = field(default_factory=list)


@dataclass
class Checkpoint:
    """Saves states at most every few seconds, under a temporary name that is then renamed.

    The file before the newest stays, for a newest one that turns out to be cut short. The files of
    a fit that has ended stay too: resuming it costs no pass.

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
    progression: Progression = field(default_factory=Progression)
    _saved_at: float = field(default_factory=time.monotonic)
    _unsaved: bool = False

    @property
    def path(self) -> Path | None:
        """The checkpoint's file."""
        return None if self.folder is None else self.folder / FILE_NAME

    def prepare(self) -> None:
        """Make the folder and see that it can be written to, before any pass.

        Raises
        ------
        CheckpointError
            If it can't.
        """
        path = self.path
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            probe = _temporary(path)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise CheckpointError(
                f"checkpoint={str(self.folder)!r} can't be written to ({error}): "
                "give a folder that can"
            ) from error

    def resume(self) -> str:
        """Read the states of an earlier fit, if there is a checkpoint.

        Returns
        -------
        trouble : str
            Why the newest file wasn't taken but the one before it; mostly empty.

        Raises
        ------
        CheckpointError
            If none can be read, or its fingerprint differs; both are shown.
        """
        path = self.path
        if path is None:
            return ""
        before = path.with_name(PREVIOUS_NAME)
        try:
            if path.exists():
                self.progression = read_own(path, self.fingerprint)
            elif before.exists():  # a client that was killed between two renamings
                self.progression = read_own(before, self.fingerprint)
            return ""
        except DamagedError as error:
            try:
                self.progression = read_own(before, self.fingerprint)
            except CheckpointError:
                raise error from None
            return f"{error}; the fit goes on from the one before it, {before}"

    def note(self, stage: str, state: State, completed: PassCompleted) -> None:
        """Note a stage's state after a pass."""
        self.keep(stage, state, completed.number)
        self.progression.history.append(completed)

    def keep(self, stage: str, state: State, n_passes: int) -> None:
        """Note a state that the fit has after some passes."""
        self.progression.stages[stage] = StageState(state, n_passes)
        self._unsaved = True

    def save(self, force: bool = False) -> bool:
        """Write what was noted if it is time, or with `force`; tell whether it was written.

        Raises
        ------
        OSError
            If it can't be written: the older files stay, and it is tried again when it is time.
        """
        path = self.path
        due = force or time.monotonic() - self._saved_at >= self.seconds
        if path is None or not self._unsaved or not due:
            return False
        self._saved_at = time.monotonic()
        write(path, self.fingerprint, self.progression)
        self._unsaved = False
        return True


def write(path: Path, fingerprint: dict[str, str], progression: Progression) -> None:
    """Write to a temporary file, sync it and rename it into place; the file there before stays.

    Raises
    ------
    OSError
        If there is no room, for example; nothing has changed then.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    stages = {
        stage: {"passes": n_passes, "state": _flatten(state, f"{number}", arrays)}
        for number, (stage, (state, n_passes)) in enumerate(progression.stages.items())
    }
    header = {"fingerprint": fingerprint, "stages": stages, "history": progression.history}
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **{HEADER: np.array(json.dumps(header))}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            path.replace(path.with_name(PREVIOUS_NAME))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_own(path: Path, fingerprint: dict[str, str]) -> Progression:
    """Read how far the fit has come that has a fingerprint.

    Raises
    ------
    CheckpointError
        If the file is damaged, or another fit's.
    """
    found, progression = read(path)
    if found != fingerprint:
        raise CheckpointError(_mismatch(path, found, fingerprint))
    return progression


def read(path: Path) -> tuple[dict[str, str], Progression]:
    """Read a checkpoint's fingerprint and states without ever unpickling anything.

    Raises
    ------
    DamagedError
        If the file is cut short, or isn't a checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(str(arrays[HEADER]))
            stages = {
                stage: StageState(_restore(entry["state"], arrays), int(entry["passes"]))
                for stage, entry in header["stages"].items()
            }
        history = [PassCompleted(*row) for row in header["history"]]
        return header["fingerprint"], Progression(stages, history)
    except Exception as error:
        raise DamagedError(
            f"{path} can't be read as a checkpoint ({error}); delete it to start again"
        ) from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


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
    if isinstance(value, tuple):
        return {"items": [_flatten(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]}
    if isinstance(value, Mixed):
        members = (value.dense, value.codes, value.levels)
        return {"mixed": _flatten(members, name, arrays)}
    if sp.issparse(value):
        csr: Any = value
        parts = (csr.data, csr.indices, csr.indptr)
        return {"csr": _flatten(parts, name, arrays), "shape": csr.shape}
    return {"value": value.item() if isinstance(value, np.generic) else value}


def _restore(entry: dict[str, Any], arrays: Any) -> Any:
    if "array" in entry:
        return arrays[entry["array"]]
    if "value" in entry:
        return entry["value"]
    if "items" in entry:
        return tuple(_restore(item, arrays) for item in entry["items"])
    if "mixed" in entry:
        return Mixed(*_restore(entry["mixed"], arrays))
    if "csr" in entry:
        return sp.csr_array(_restore(entry["csr"], arrays), shape=tuple(entry["shape"]))
    return _state_type(entry["type"])(
        **{key: _restore(value, arrays) for key, value in entry["fields"].items()}
    )


def _state_type(name: str) -> Any:
    """Find a NamedTuple by name among the loaded modules: a file can't make us import any."""
    module, _, qualname = name.partition(":")
    kind = getattr(sys.modules.get(module), qualname, None)
    if not (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
        raise ValueError(f"{name} is no loaded type of state")
    return kind


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
