"""Dataflow first, allreduce as soon as passes are short against what a graph for each costs."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from distributed import Client

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.allreduce.ring import has_collective
from flowml.runtimes.allreduce.runtime import AllreduceRuntime
from flowml.runtimes.cluster.workers import cluster_workers
from flowml.runtimes.dataflow.runtime import DataflowRuntime, open_dataflow
from flowml.runtimes.elastic.ganged import kind_of_gang
from flowml.runtimes.placement import Placement
from flowml.runtimes.runtime import Advance, Runtime, Turn
from flowml.runtimes.span import by_place
from flowml.solvers.solver import Solver, State

MEETING_SECONDS = 0.5
"""That it takes ranks to meet for the first time: measured 0.3-0.5 s with two to four workers."""
GATHERING_SECONDS = 0.05
"""That it takes ranks that have met before to take the shards."""
FIRST_PASSES = 1
"""Passes that don't count: they bring the rows along, and compile."""

DATAFLOW, ALLREDUCE = "dataflow", "allreduce"


class Decision(NamedTuple):
    """Which runtime to go on with, and why.

    Attributes
    ----------
    runtime : {"dataflow", "allreduce"}
    reason : str
    """

    runtime: str
    reason: str


def decide(
    seconds: Sequence[float], work: Sequence[float], can_sum: bool, have_met: bool
) -> Decision:
    """Decide how to go on after some passes of a fit.

    Nobody knows how many passes are to come. So a fit goes over once its passes have lost as much
    time as going over takes: whatever is to come, it never loses more than twice what the better
    choice would have, had one known.

    Parameters
    ----------
    seconds : sequence of float
        That each pass took.
    work : sequence of float
        That the busiest worker worked in each of these.
    can_sum : bool
        Whether the collective is installed.
    have_met : bool
        Whether there are ranks that have met before.

    Examples
    --------
    >>> decide([0.02] * 10, [0.001] * 10, True, False).runtime
    'dataflow'
    >>> decide([0.02] * 30, [0.001] * 30, True, False)
    Decision(runtime='allreduce', reason='30 passes of 20 ms had 1.0 ms of work each: 0.57 s lost')
    >>> decide([0.02] * 30, [0.001] * 30, False, False).reason
    'the collective is not installed: pip install "flowml[allreduce]"'
    """
    if not can_sum:
        return Decision(
            DATAFLOW, 'the collective is not installed: pip install "flowml[allreduce]"'
        )
    lost = sum(max(0.0, a - b) for a, b in zip(seconds, work, strict=True))
    price = GATHERING_SECONDS if have_met else MEETING_SECONDS
    if not seconds or lost < price:
        return Decision(
            DATAFLOW, f"passes have lost {lost:.2g} s so far, going over takes {price} s"
        )
    each, worked = sum(seconds) / len(seconds), sum(work) / len(work)
    reason = (
        f"{len(seconds)} passes of {1e3 * each:.0f} ms had {1e3 * worked:.1f} ms of work each: "
        f"{lost:.2g} s lost"
    )
    return Decision(ALLREDUCE, reason)


class AutomaticRuntime:
    """One of two runtimes, which share the shards: the second takes them over in mid-fit.

    Parameters
    ----------
    dataflow : DataflowRuntime
    open_allreduce : callable ``() -> AllreduceRuntime``
    have_met : bool
        Whether there are ranks for it that have met before.
    """

    def __init__(
        self,
        dataflow: DataflowRuntime,
        open_allreduce: Callable[[], AllreduceRuntime],
        have_met: bool,
    ) -> None:
        self._have_met = have_met
        self._dataflow = dataflow
        self._allreduce: AllreduceRuntime | None = None
        self._open_allreduce = open_allreduce
        self._can_sum = has_collective()
        self._turns: list[Turn] = []

    @property
    def dataset(self) -> Dataset:
        """The data."""
        return self._dataflow.dataset

    @property
    def placement(self) -> Placement:
        """What sits where."""
        return self._now.placement

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once."""
        return self._now.one_pass(fold, ask)

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop on dataflow, and from some pass on on allreduce."""
        if self._allreduce is None:
            for advance in self._dataflow.iterate(solver, state):
                state = advance.state
                yield advance
                self._turns += advance.turns
                if not solver.done(state) and (reason := self._reason()):
                    yield Advance(state, incidents=(self._go_over(reason),))
                    break
        if self._allreduce is not None or not solver.done(state):
            yield from self._now.iterate(solver, state)

    def close(self) -> None:
        """Let go of the rows."""
        self._now.close()

    @property
    def _now(self) -> Runtime:
        return self._dataflow if self._allreduce is None else self._allreduce

    def _reason(self) -> str:
        """Say why to go over now; nothing if not."""
        if not self._can_sum or (self.dataset.collections and not self.placement.keep):
            return ""
        turns = self._turns[FIRST_PASSES:]
        seconds = [turn.seconds for turn in turns]
        work = [max((s.end - s.start for s in by_place(t.spans)), default=0.0) for t in turns]
        decision = decide(seconds, work, self._can_sum, self._have_met)
        return decision.reason if decision.runtime == ALLREDUCE else ""

    def _go_over(self, reason: str) -> str:
        """Hand the shards over, unless ranks can't meet."""
        allreduce, dataflow = self._open_allreduce(), self._dataflow
        allreduce.take_over(*dataflow.hand_over())
        try:
            allreduce.gather()
        except ImportError as error:
            self._can_sum = False
            dataflow.take_over(*allreduce.hand_over())
            return f"{reason}; it stays on dataflow: {error}"
        self._allreduce = allreduce
        return f"{reason}: it goes over from dataflow to allreduce"


def open_automatic(dataset: Dataset, client: Client, config: Config) -> AutomaticRuntime:
    """Place the data on the cluster's workers."""
    dataflow = open_dataflow(dataset, client, config)
    workers = cluster_workers(client)

    def open_now() -> AllreduceRuntime:
        there = cluster_workers(client)
        return AllreduceRuntime(dataset, dataflow.placement, client, there, config.pool)

    ranks = kind_of_gang(AllreduceRuntime.name, client, workers)
    have_met = config.pool is not None and config.pool.has(ranks)
    return AutomaticRuntime(dataflow, open_now, have_met)
