"""Local steps: workers that go on by themselves and are averaged now and then."""

from dataclasses import dataclass, field, replace

import numpy as np

from flowml.kernels.rows import Array
from flowml.simulate.allreduce import Allreduce
from flowml.simulate.cost_model import CostModel
from flowml.simulate.schedule import Schedule
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


@dataclass(frozen=True)
class LocalSteps:
    """Each pass is so many batches; after every few of them the models are averaged.

    Parameters
    ----------
    steps : int
        Batches that a worker takes by itself.
    n_batches : int
        Of a pass: a multiple of `steps`.
    over : Schedule
        How they are averaged.
    """

    steps: int
    n_batches: int
    over: Schedule = field(default_factory=Allreduce)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.n_batches % self.steps:
            raise ValueError(
                f"n_batches={self.n_batches} must be a multiple of steps={self.steps}, at least 1"
            )

    @property
    def name(self) -> str:
        """Its name, its steps and how they are averaged."""
        return f"{self.steps} local steps over {self.over.name}"

    def simulate(self, work: Workload, costs: CostModel, slowness: Array) -> Timeline:
        """Run the rounds of all passes; every so many of them end one."""
        rounds = self.n_batches // self.steps
        part = replace(work, row_bytes=work.row_bytes / rounds)
        timeline = self.over.simulate(part, costs, np.repeat(slowness, rounds, axis=0))
        timeline.jobs.passes = timeline.jobs.passes[rounds - 1 :: rounds]
        return timeline
