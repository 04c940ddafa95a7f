"""The simulation: passes of any runtime, over costs and random slowness."""

import numpy as np

from flowml.simulate.cost_model import CostModel
from flowml.simulate.schedule import Schedule
from flowml.simulate.slowness import Slowness, Steady
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload


def simulate(
    schedule: Schedule,
    work: Workload,
    costs: CostModel | None = None,
    slowness: Slowness | None = None,
    n_passes: int = 1,
    seed: int = 0,
) -> Timeline:
    """Run passes of a runtime without a cluster.

    Parameters
    ----------
    schedule : Schedule
        The runtime: `Threads`, `Dataflow`, `Allreduce`, `TreeAllreduce`, `ParameterServer`,
        `Coded` or `LocalSteps`.
    work : Workload
        Of a pass.
    costs : CostModel, optional
        By default that of round numbers.
    slowness : Slowness, optional
        `Steady` by default.
    n_passes : int, default=1
    seed : int, default=0
        Of the slowness. The same seed gives the same times to the bit; the draws don't depend on
        the runtime, so that runtimes are compared in the same weather.

    Returns
    -------
    Timeline

    Raises
    ------
    ValueError
        For less than a pass.

    Examples
    --------
    >>> from flowml.simulate import Allreduce, Dataflow, Workload, simulate
    >>> work = Workload(n_workers=8, row_bytes=1e9, summary_bytes=1e4, n_leaves=128)
    >>> for schedule in (Dataflow(), Allreduce()):
    ...     timeline = simulate(schedule, work)
    ...     print(f"{schedule.name}: {timeline.total:.3f} s, {timeline.messages():.0f} messages")
    dataflow: 0.146 s, 6 messages
    allreduce: 0.127 s, 15 messages
    """
    if n_passes < 1:
        raise ValueError(f"n_passes={n_passes} must be at least 1")
    draws = (slowness or Steady()).draw(np.random.default_rng(seed), n_passes, work.n_workers)
    return schedule.simulate(work, costs or CostModel(), draws)
