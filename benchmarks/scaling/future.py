"""What the cost model says of workers that nobody has at hand."""

import math
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from flowml.codes.backup_tasks import BackupTasks
from flowml.codes.code import Code
from flowml.codes.cyclic_repetition import CyclicRepetition
from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.codes.fractional_repetition import FractionalRepetition
from flowml.codes.ignore_slowest import IgnoreSlowest
from flowml.codes.uncoded import Uncoded
from flowml.simulate import (
    Allreduce,
    Coded,
    CostModel,
    Dataflow,
    Independent,
    LocalSteps,
    Markov,
    ParameterServer,
    Pareto,
    Schedule,
    ShiftedExponential,
    Slowness,
    TreeAllreduce,
    Workload,
    simulate,
)

ONE_WAY = 5e-5
"""Seconds for a message through a data centre's network, besides what it costs at its ends."""
LINK = 1.25e9
"""Bytes a second: 10 Gbit/s."""
ROW_BYTES = 256e6
LEAVES = 32
"""Of each worker."""
N_WORKERS = (1, 4, 16, 64, 256, 1_000, 10_000, 100_000)
SUMMARY_BYTES = (1e3, 1e5, 1e7)
FAN_INS = (2, 4, 8, 16, 64, 256)
ONE_SERVER = ParameterServer(served_bytes=math.inf)
RUNTIMES: tuple[Schedule, ...] = (
    Dataflow(),
    Allreduce(),
    ONE_SERVER,
    Coded(),
    TreeAllreduce(8),
)
DELAYS: dict[str, Slowness] = {
    "shifted exponential, mean delay 0.2": Independent(ShiftedExponential(1.0, 0.2)),
    "Pareto, shape 2": Independent(Pareto(1.0, 2.0)),
    "3× slower at times (Markov)": Markov(3.0, becomes_slow=0.02, recovers=0.2),
}
DRAWN = 4_000_000
"""Times that are drawn at most for a number of workers."""
STALENESS = (0, 1, 3, 10)
SERVERS = (1, 2, 4, 8, 16)
NOT_EXACT = "not exact"


def networked(costs: CostModel) -> CostModel:
    """Return the costs with a core for each worker, and a network between them."""
    return replace(
        costs,
        cores=None,
        message=costs.message + ONE_WAY,
        hop=costs.hop + ONE_WAY,
        wire=max(costs.wire, 1.0 / LINK),
        hop_byte=max(costs.hop_byte, 1.0 / LINK),
    )


def weak(n_workers: int, summary_bytes: float) -> Workload:
    """Return a pass with the same rows for each worker, however many there are."""
    return Workload(n_workers, ROW_BYTES * n_workers, summary_bytes, LEAVES * n_workers)


class Point(NamedTuple):
    """A simulated time.

    Attributes
    ----------
    line : str
    n_workers : int
    summary_bytes : float
    seconds : float
    """

    line: str
    n_workers: int
    summary_bytes: float
    seconds: float


def growth(costs: CostModel, largest: int) -> list[Point]:
    """Simulate a pass of each runtime on more and more workers, the rows growing with them."""
    counts = [n for n in N_WORKERS if n <= largest]
    return [
        Point(schedule.name, n, size, simulate(schedule, weak(n, size), costs).total)
        for size, n, schedule in product(SUMMARY_BYTES, counts, RUNTIMES)
    ]


def fan_ins(costs: CostModel, largest: int) -> list[Point]:
    """Simulate an empty pass along trees of all widths."""
    counts = dict.fromkeys(min(n, largest) for n in (100, 1_000, 10_000))
    return [
        Point(str(fan_in), n, size, _empty(TreeAllreduce(fan_in), n, size, costs))
        for n, size, fan_in in product(counts, SUMMARY_BYTES, FAN_INS)
    ]


def graph_fan_ins(costs: CostModel, n_workers: int) -> list[Point]:
    """Simulate an empty dataflow pass whose merge tasks take more or less."""
    return [
        Point(str(fan_in), n_workers, size, _empty(Dataflow(fan_in), n_workers, size, costs))
        for size, fan_in in product(SUMMARY_BYTES, FAN_INS)
    ]


def _empty(schedule: Schedule, n_workers: int, size: float, costs: CostModel) -> float:
    return simulate(schedule, Workload(n_workers, 0.0, size, n_workers), costs).total


def codes(n_workers: int) -> dict[str, tuple[Code, float]]:
    """Return codes for so many workers, by name, each with its load."""
    one_in_100 = max(1, n_workers // 100)
    light = DirectionalDerivativeCode(n_workers, 4 * n_workers, 4 * n_workers, weight=4)
    repeated: tuple[Code, ...] = (
        Uncoded(n_workers, n_workers),
        BackupTasks(n_workers, 4 * n_workers),
        FractionalRepetition(n_workers, n_workers, s=1),
        CyclicRepetition(n_workers, s=1),
        CyclicRepetition(n_workers, s=2),
    )
    ignoring = IgnoreSlowest(n_workers, n_workers, one_in_100)
    named = {code.name: (code, code.load) for code in repeated}
    named[light.name] = (light, 1.0 + light.s / light.weight)  # building it would take hours
    return named | {f"ignoring the slowest 1 % ({NOT_EXACT})": (ignoring, 1.0)}


def tails(delays: Slowness, largest: int, seed: int = 0) -> list[Point]:
    """Draw the median time to wait for, in times of a worker that isn't slow, without overhead."""
    points = []
    for n in (n for n in N_WORKERS if 16 <= n <= largest):
        draws = delays.draw(np.random.default_rng(seed), min(2_000, DRAWN // n), n)
        for name, (code, load) in codes(n).items():
            points.append(Point(name, n, 0.0, float(np.median(code.wait(draws * load)))))
    return points


def staleness(costs: CostModel, largest: int) -> list[Point]:
    """Simulate clocks of a parameter server while workers are slow at times."""
    slowness = Markov(3.0, becomes_slow=0.1, recovers=0.3)
    points = []
    for n, bound in product([n for n in (8, 64, 256) if n <= largest], STALENESS):
        schedule = ParameterServer(bound)
        took = simulate(schedule, weak(n, 1e5), costs, slowness, n_passes=40)
        points.append(Point(str(bound), n, 1e5, took.total / 40))
    return points


def servers(costs: CostModel, largest: int) -> list[Point]:
    """Simulate clocks of one parameter server and of several, each with a part of the columns."""
    points, size = [], max(SUMMARY_BYTES)
    for n, several in product([n for n in (16, 64, 256) if n <= largest], SERVERS):
        schedule = ParameterServer(served_bytes=size / several)
        points.append(Point(str(several), n, size, simulate(schedule, weak(n, size), costs).total))
    return points


def local_steps(costs: CostModel, largest: int) -> list[Point]:
    """Simulate passes of 64 batches whose models are averaged by dataflow, more or less often."""
    points = []
    for n, steps in product([n for n in (16, 256) if n <= largest], (1, 8, 64)):
        schedule = LocalSteps(steps, 64, over=Dataflow())
        points.append(Point(str(steps), n, 1e5, simulate(schedule, weak(n, 1e5), costs).total))
    return points
