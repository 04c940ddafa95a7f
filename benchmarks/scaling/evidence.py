"""What was measured beside what the fitted cost model says."""

import math
import statistics
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from benchmarks.scaling.measure import COLUMNS, LEAVES
from flowml.simulate import (
    Allreduce,
    Coded,
    CostModel,
    Dataflow,
    Measured,
    ParameterServer,
    Schedule,
    Workload,
    fitted,
    predicted,
)

SCHEDULES: dict[str, Schedule] = {
    "dataflow": Dataflow(),
    "allreduce": Allreduce(),
    "parameter_server": ParameterServer(),
    "coded": Coded(),
}
EMPTY_BYTES = 8 * COLUMNS * LEAVES
WITHIN = 0.2


class Row(NamedTuple):
    """A kind of pass: seconds as measured, and as simulated.

    Attributes
    ----------
    runtime : str
    work : Workload
    measured : float
        The median.
    simulated : float
        By the costs that all passes were fitted to.
    foretold : float
        By costs that were fitted without the passes on so many workers; NaN with no others.
    """

    runtime: str
    work: Workload
    measured: float
    simulated: float
    foretold: float

    @property
    def is_empty(self) -> bool:
        """Whether there was next to nothing to do for the rows."""
        return self.work.row_bytes <= EMPTY_BYTES


def as_measured(record: dict[str, Any]) -> Measured:
    """Read a record: what a pass usually took, in all turns."""
    seconds = statistics.median(chain.from_iterable(record["seconds"]))
    work = Workload(record["n_workers"], record["row_bytes"], record["summary_bytes"], LEAVES)
    return Measured(SCHEDULES[record["runtime"]], work, seconds)


def compare(records: Sequence[dict[str, Any]], cores: int) -> tuple[CostModel, list[Row]]:
    """Fit costs to all records, and for each number of workers to the others' alone."""
    passes = [as_measured(record) for record in records]
    costs = fitted(passes, CostModel(cores=cores))
    without = {}
    for n in {one.work.n_workers for one in passes}:
        others = [one for one in passes if one.work.n_workers != n]
        without[n] = fitted(others, CostModel(cores=cores)) if others else None
    rows = []
    for record, one in zip(records, passes, strict=True):
        unseen = without[one.work.n_workers]
        foretold = predicted(one, unseen) if unseen is not None else math.nan
        rows.append(Row(record["runtime"], one.work, one.seconds, predicted(one, costs), foretold))
    return costs, rows


def is_within(simulated: float, measured: float) -> bool:
    """Tell whether a simulated time is near enough."""
    return abs(simulated / measured - 1.0) <= WITHIN


def messages(n_workers: int) -> int:
    """Count the messages of a dataflow pass that follow from one another."""
    only = CostModel().with_seconds([0.0] * len(CostModel().seconds))
    chain = CostModel(**(vars(only) | {"message": 1.0}))
    return round(predicted(Measured(Dataflow(), Workload(n_workers, 0, 1, n_workers), 1.0), chain))
