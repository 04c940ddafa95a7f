"""The cost model: what each thing that a pass consists of costs, in seconds."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from flowml.kernels.rows import Array


@dataclass(frozen=True)
class CostModel:
    """Seconds for each unit of what a pass consists of.

    The defaults are round numbers for processes on one machine, from the times that processors were
    busy; `fitted` takes them from measured passes. A pass takes as long as its critical path, and
    that is a sum of these.

    Parameters
    ----------
    row : float
        A byte of rows, on a core.
    leaf : float
        A call of a kernel, whatever its rows.
    merge : float
        A byte of a summary that is made, or merged into another.
    turn : float
        What a pass costs whoever drives the loop: asking, and a step.
    graph : float
        What a graph costs whatever its size: made by the client, taken in, its result fetched.
    task : float
        A task of a graph where the client and the scheduler are: one after the other.
    run : float
        A task where it runs.
    message : float
        A message from one process to another, while nobody works at it.
    wire : float
        A byte of a message, at each end.
    hop : float
        A step of a collective, while nobody works at it.
    hop_work : float
        A step of a collective, for the processor.
    hop_byte : float
        A byte of a step of a collective.
    part : float
        Another rank's summary that a rank unpacks.
    fetch : float
        What a task has, fetched by another: at each end.
    call : float
        A call of an actor, for the worker at one end, until its word has left.
    after : float
        A call of an actor, for that worker, once nobody waits for it.
    serve : float
        A call of an actor, for the parameter server at the other end.
    dispatch : float
        A call of an actor, for the client at the other end.
    idle : float
        What a process, of a worker or the client, takes of a core for itself: seconds of a second,
        where cores are shared.
    cores : int, optional
        What all processes share; None where each has a core of its own.

    Examples
    --------
    >>> CostModel(row=2e-9).row
    2e-09
    """

    row: float = 1e-9
    leaf: float = 1e-5
    merge: float = 5e-10
    turn: float = 1e-4
    graph: float = 5e-3
    task: float = 1e-3
    run: float = 2e-3
    message: float = 5e-5
    wire: float = 1e-9
    hop: float = 5e-5
    hop_work: float = 5e-5
    hop_byte: float = 1e-9
    part: float = 1e-5
    fetch: float = 5e-4
    call: float = 1e-3
    after: float = 5e-4
    serve: float = 5e-4
    dispatch: float = 1e-3
    idle: float = 0.03
    cores: int | None = None

    @property
    def seconds(self) -> Array:
        """The costs in the order of `UNITS`, of shape (n_units,)."""
        return np.array([getattr(self, unit) for unit in UNITS])

    @property
    def by_unit(self) -> dict[str, float]:
        """The costs by name."""
        return dict(zip(UNITS, self.seconds.tolist(), strict=True))

    def with_seconds(self, seconds: Iterable[float]) -> "CostModel":
        """Return the model with other costs, in the order of `UNITS`."""
        costs: dict[str, Any] = dict(zip(UNITS, map(float, seconds), strict=True))
        return replace(self, **costs)


UNITS = tuple(field.name for field in fields(CostModel) if field.name != "cores")
"""What can be counted along a critical path."""
