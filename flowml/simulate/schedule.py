"""The schedule: what every runtime looks like to the simulation."""

from typing import Protocol

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


class Schedule(Protocol):
    """A runtime: data that say how it goes about a pass."""

    @property
    def name(self) -> str:
        """What to call it in a table."""

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run passes.

        Parameters
        ----------
        work : Workload
            Of a pass.
        costs : CostModel
        slowness : ndarray of shape (n_passes, n_workers)
            What the time for each worker's rows is multiplied by.
        """
