"""The simulation against closed forms, its own laws, and costs that are known."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from flowml.codes.cyclic_repetition import CyclicRepetition
from flowml.codes.fractional_repetition import FractionalRepetition
from flowml.kernels.rows import Array
from flowml.runtimes import placement
from flowml.runtimes.allreduce import ring, ring_pass
from flowml.runtimes.coded import coded_pass
from flowml.runtimes.dataflow import graphs
from flowml.runtimes.parameter_server import ranges
from flowml.simulate import (
    Allreduce,
    Coded,
    CostModel,
    Dataflow,
    Independent,
    LocalSteps,
    Markov,
    Measured,
    ParameterServer,
    Pareto,
    Schedule,
    ShiftedExponential,
    Steady,
    Threads,
    Timeline,
    TreeAllreduce,
    Workload,
    fitted,
    predicted,
    relative_errors,
    simulate,
)
from flowml.simulate import allreduce as simulated_allreduce
from flowml.simulate import coded as simulated_coded
from flowml.simulate.cost_model import UNITS
from flowml.simulate.engine import run
from flowml.simulate.jobs import HUB, NOWHERE, Jobs
from flowml.simulate.workload import subtrees

FREE = CostModel(**dict.fromkeys(UNITS, 0.0))
"""Nothing costs anything."""

SCHEDULES: tuple[Schedule, ...] = (
    Threads(),
    Dataflow(),
    Dataflow(fan_in=2),
    Allreduce(),
    TreeAllreduce(3),
    ParameterServer(),
    ParameterServer(staleness=2),
    ParameterServer(staleness=1, served_bytes=3e3),
    Coded(),
    Coded(lambda n: CyclicRepetition(n, 1)),
    LocalSteps(2, 4),
)
TAIL = Independent(ShiftedExponential(1.0, 0.5))


def work(n_workers: int, row_bytes: float = 1e8, summary_bytes: float = 1e4) -> Workload:
    return Workload(n_workers, row_bytes, summary_bytes, n_leaves=64)


def looked(timeline: Timeline) -> float:
    """Count the seconds that a coded pass's client sleeps before it sees the last answer."""
    return math.fsum(span.end - span.start for span in timeline.spans if span.what == "look")


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_the_same_seed_gives_the_same_times(schedule: Schedule) -> None:
    def seconds(seed: int) -> Array:
        return simulate(schedule, work(6), slowness=TAIL, n_passes=5, seed=seed).pass_seconds

    assert len(seconds(0)) == 5
    np.testing.assert_array_equal(seconds(0), seconds(0))
    assert not np.array_equal(seconds(0), seconds(1))


@pytest.mark.parametrize("schedule", SCHEDULES[:9], ids=lambda s: s.name)
def test_without_overhead_workers_share_the_rows(schedule: Schedule) -> None:
    costs = replace(FREE, row=1e-9)
    for n in (2, 4, 16, 64):
        timeline = simulate(schedule, work(n), costs, n_passes=3)
        assert timeline.total - looked(timeline) == pytest.approx(0.3 / n)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_dearer_is_never_quicker(schedule: Schedule) -> None:
    base = simulate(schedule, work(5), n_passes=2).total
    for unit in UNITS:
        costs = replace(CostModel(), **{unit: 3.0 * getattr(CostModel(), unit)})
        assert simulate(schedule, work(5), costs, n_passes=2).total >= base, unit


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("cores", [None, 1, 2])
def test_the_critical_path_is_all_of_the_time(schedule: Schedule, cores: int | None) -> None:
    costs = replace(CostModel(), cores=cores)
    timeline = simulate(schedule, work(6), costs, TAIL, n_passes=3)
    explained = timeline.critical_units() @ costs.seconds + timeline.slept
    assert explained == pytest.approx(timeline.total)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_a_place_does_one_job_at_a_time(schedule: Schedule) -> None:
    timeline = simulate(schedule, work(6), replace(CostModel(), cores=2), TAIL, n_passes=3)
    busy = [span for span in timeline.spans if span.place != NOWHERE]
    for one, other in pairwise(busy):
        assert one.place != other.place or other.start >= one.end - 1e-12
    assert {span.place for span in busy} >= set(range(6))


def at_once(*seconds: float) -> Jobs:
    """Return jobs of processes of their own, which all could start now."""
    jobs = Jobs(len(seconds))
    for worker, s in enumerate(seconds):
        jobs.end_pass(jobs.add("rows", worker, {"row": s}))
    return jobs


def test_jobs_share_the_cores_evenly() -> None:
    """On a core the kth of n to end has waited for those before it, and n - k of its length."""
    one = replace(FREE, row=1.0, cores=1)
    assert run(at_once(1.0, 2.0, 4.0), one).ends.tolist() == [3.0, 5.0, 7.0]
    two = replace(one, cores=2)
    assert run(at_once(1.0, 2.0, 4.0), two).ends == pytest.approx([1.5, 2.5, 4.5])
    assert run(at_once(1.0, 2.0, 4.0), replace(one, cores=3)).ends.tolist() == [1.0, 2.0, 4.0]


def test_idle_processes_take_their_share_first() -> None:
    """Those of two workers and the client."""
    costs = replace(FREE, row=1.0, idle=0.1, cores=1)
    assert run(at_once(1.0, 1.0), costs).ends == pytest.approx([2.0 / 0.7] * 2)
    many = replace(costs, idle=0.5)
    assert run(at_once(1.0, 1.0), many).ends == pytest.approx([5.0] * 2)  # five shares of a core
    enough = replace(costs, cores=3)
    assert run(at_once(1.0, 1.0), enough).ends == pytest.approx([1.0] * 2)


def test_a_shared_core_s_time_is_everybody_s() -> None:
    """Half as much of what another does is half as much of the wait for it."""
    costs = replace(FREE, row=1.0, leaf=1.0, cores=1)
    jobs = Jobs(0)
    jobs.add("other", 0, {"leaf": 3.0})
    jobs.end_pass(jobs.add("rows", 1, {"row": 2.0}))
    timeline = run(jobs, costs)
    units = dict(zip(UNITS, timeline.critical_units().tolist(), strict=True))
    assert timeline.total == pytest.approx(4.0)
    assert (units["row"], units["leaf"]) == pytest.approx((2.0, 2.0))


def test_one_core_does_everything_by_turns() -> None:
    costs = replace(FREE, row=1e-9, cores=1)
    assert simulate(Dataflow(), work(8), costs).total == pytest.approx(0.1)
    costs = replace(costs, cores=2)
    assert simulate(Allreduce(), work(8), costs).total == pytest.approx(0.05)


def test_slow_workers_are_waited_for() -> None:
    costs = replace(FREE, row=1e-9)
    slow = Steady((8.0,))
    for schedule in SCHEDULES[:6]:
        assert simulate(schedule, work(4), costs, slow).total == pytest.approx(0.2)
    code = Coded(lambda n: CyclicRepetition(n, 1))
    timeline = simulate(code, work(4), costs, slow)
    assert timeline.total - looked(timeline) == pytest.approx(0.05)


def harmonic(first: int, last: int) -> float:
    return math.fsum(1.0 / k for k in range(first, last + 1))


@pytest.mark.parametrize("s", [1, 2])
def test_a_code_waits_for_an_order_statistic(s: int) -> None:
    """Of n exponentials the (n - s)th is H(n) - H(s) means away (Rényi, 1953)."""
    n, draws, costs = 8, 600, replace(FREE, row=1e-9)
    took = simulate(Coded(lambda n: CyclicRepetition(n, s)), work(n), costs, TAIL, draws)
    share, delay = 0.1 / n * (s + 1), 0.5
    wanted = share * (1.0 + delay * harmonic(s + 1, n))
    spread = share * delay * math.sqrt(math.fsum(1.0 / k**2 for k in range(s + 1, n + 1)))
    assert abs(took.pass_seconds.mean() - wanted) < 4.0 * spread / math.sqrt(draws)


def test_uncoded_waits_for_the_slowest_and_groups_for_their_first() -> None:
    n, draws, costs = 8, 600, replace(FREE, row=1e-9)
    for schedule in (Coded(), Allreduce()):
        took = simulate(schedule, work(n), costs, TAIL, draws).pass_seconds.mean()
        assert took == pytest.approx(0.1 / n * (1.0 + 0.5 * harmonic(1, n)), rel=0.05)
    groups = Coded(lambda n: FractionalRepetition(n, n, 1))
    took = simulate(groups, work(n), costs, TAIL, draws).pass_seconds.mean()
    assert took == pytest.approx(0.2 / n * (1.0 + 0.25 * harmonic(1, n // 2)), rel=0.05)


def test_a_heavy_tail_is_as_heavy_as_said() -> None:
    """All n are below t with probability (1 - t^-shape)^n: the median follows."""
    n, costs = 16, replace(FREE, row=1e-9)
    took = simulate(Coded(), work(n), costs, Independent(Pareto(1.0, 1.5)), 400).pass_seconds
    wanted = 0.1 / n * (1.0 - 0.5 ** (1.0 / n)) ** (-1.0 / 1.5)
    assert np.median(took) == pytest.approx(wanted, rel=0.1)


def test_markov_workers_are_slow_as_often_and_as_long_as_said() -> None:
    draws = Markov(3.0, becomes_slow=0.1, recovers=0.4).draw(np.random.default_rng(0), 4000, 20)
    slow = draws == 3.0
    assert slow.mean() == pytest.approx(0.2, abs=0.01)
    assert slow[1:][slow[:-1]].mean() == pytest.approx(0.6, abs=0.01)


def test_staleness_lets_workers_run_ahead() -> None:
    slowness, costs = Markov(3.0, 0.1, 0.3), replace(FREE, row=1e-9)
    took = [
        simulate(ParameterServer(s), work(8), costs, slowness, n_passes=100).total
        for s in (0, 1, 3, 200)
    ]
    assert took == sorted(took, reverse=True)
    draws = 0.1 / 8 * slowness.draw(np.random.default_rng(0), 100, 8)
    assert took[-1] == pytest.approx(draws[0].max() + draws[1:].sum(axis=0).max())
    assert took[0] == pytest.approx(draws.max(axis=1).sum())


def test_no_worker_is_further_ahead_than_the_staleness() -> None:
    timeline = simulate(ParameterServer(2), work(4), CostModel(), Steady((5.0,)), n_passes=12)
    started = {w: [s.start for s in timeline.spans if s[:2] == (w, "rows")] for w in range(4)}
    ended = {w: [s.end for s in timeline.spans if s[:2] == (w, "rows")] for w in range(4)}
    for clock in range(3, 12):
        oldest = max(ended[w][clock - 3] for w in range(4))
        assert all(started[w][clock] >= oldest for w in range(4))
    assert started[1][3] < ended[0][1]


def test_several_servers_share_the_bytes() -> None:
    """Each has a part of every message, and a worker all parts; two round trips more, and two."""
    n, size, wire = 16, 8 << 20, 1e-9
    served = Workload(n, 0.0, size, n_leaves=64)
    costs, trips = replace(FREE, wire=wire), replace(FREE, message=1.0)
    for n_servers in (1, 2, 8):
        schedule = ParameterServer(served_bytes=size / n_servers)
        assert schedule.n_servers(served) == n_servers
        at_server = 2 * n * size / n_servers * wire
        took = simulate(schedule, served, costs).total
        assert 0.999 * at_server < took <= at_server + 4 * size * wire
        assert simulate(schedule, served, trips).total == (2 if n_servers == 1 else 10)


@pytest.mark.parametrize("staleness", [0, 2])
def test_a_state_that_one_server_takes_isn_t_shared_out(staleness: int) -> None:
    """An order, rows and a push for each worker, and a step."""
    whole = ParameterServer(staleness, served_bytes=math.inf)
    one, other = (simulate(s, work(3), n_passes=2) for s in (whole, ParameterServer(staleness)))
    np.testing.assert_array_equal(one.ends, other.ends)
    counted = Counter(job.what for job in one.jobs.jobs)
    steps = 2 + 3 * (staleness > 0)
    assert counted == {"order": 6, "rows": 6, "after": 6, "take": 6, "step": steps}
    assert max(job.place for job in one.jobs.jobs) == 3


def test_calls_are_over_after_their_answers() -> None:
    """What a worker does once its answer has left is waited for by its next pass alone."""
    costs = replace(FREE, row=1e-9, after=1e-3)
    took = simulate(ParameterServer(), work(4, row_bytes=4e6), costs, n_passes=3)
    assert took.pass_seconds == pytest.approx([1e-3, 2e-3, 2e-3])
    unlike, one_core = Steady((1.0, 2.0, 3.0, 4.0)), replace(costs, cores=1)
    busy = simulate(Coded(), work(4, row_bytes=4e6), one_core, unlike)
    assert busy.total - looked(busy) == pytest.approx(13e-3)  # all but the last one's


def test_a_client_looks_late_by_half_of_the_time_between_two_looks() -> None:
    for gap in (1e-3, 5e-3, 0.1):
        looks, wait = [coded_pass.SHORTEST_WAIT], coded_pass.SHORTEST_WAIT
        while looks[-1] < 1.3 * gap:
            wait = min(coded_pass.LONGER * wait, coded_pass.LONGEST_WAIT)
            looks.append(looks[-1] + wait)
        arrivals = np.linspace(0.7 * gap, 1.3 * gap, 1001)
        late = np.array(looks)[np.searchsorted(looks, arrivals)] - arrivals
        assert simulated_coded.lateness(gap) == pytest.approx(late.mean(), rel=0.3)


def test_local_steps_meet_less_often() -> None:
    costs = replace(FREE, row=1e-9, hop=1e-3)
    for steps in (1, 2, 4, 8):
        took = simulate(LocalSteps(steps, 8), work(4), costs, n_passes=2)
        assert took.pass_seconds == pytest.approx([0.025 + 8 / steps * 7e-3] * 2)


def test_a_pass_of_dataflow_grows_by_a_level_of_merges_at_a_time() -> None:
    costs = replace(FREE, message=1.0)
    for n, levels in ((2, 1), (16, 1), (17, 2), (64, 2), (256, 2), (257, 3)):
        took = simulate(Dataflow(), Workload(n, 1.0, 1.0, 512), costs)
        assert took.total == took.messages() == 2 + 4 * levels
        assert took.total <= 6 + math.log2(n)


def test_a_ring_takes_hops_in_proportion_and_a_tree_by_levels() -> None:
    costs = replace(FREE, hop=1.0)
    for n in (2, 5, 16):
        assert simulate(Allreduce(), work(n), costs).total == 2 * n - 1
        large = work(n, summary_bytes=1e7)
        assert simulate(Allreduce(), large, costs).total == 3 * (2 * n - 1)
        assert simulate(Allreduce(sum_above=math.inf), large, costs).total == 2 * n - 1
    for n, levels in ((2, 1), (4, 1), (5, 2), (13, 2), (40, 3)):
        assert simulate(TreeAllreduce(3), work(n), costs).total == 2 * levels


def test_schedules_are_those_of_the_runtimes() -> None:
    assert Dataflow().fan_in == graphs.MERGE_FAN_IN
    assert Allreduce().sum_above == ring_pass.SUM_ABOVE
    assert ParameterServer().served_bytes == ranges.SERVED_BYTES
    assert simulated_coded.SHORTEST_WAIT == coded_pass.SHORTEST_WAIT
    assert simulated_coded.LONGEST_WAIT == coded_pass.LONGEST_WAIT
    assert 1.0 + simulated_coded.LONGER == coded_pass.LONGER
    for payload in (0, 3_000, 5_000, 200_000):
        wrapped = payload + simulated_allreduce.MESSAGE_BYTES - ring.HEAD_BYTES
        assert simulated_allreduce.slot_bytes(payload) == ring.slot_for(wrapped)
    for n in (1, 2, 16, 17, 300):
        shards = tuple(placement.ShardPlan("", (number,)) for number in range(n))
        placed = placement.Placement(tuple((number,) for number in range(n)), shards, True, "")
        timeline = simulate(Dataflow(), Workload(n, 0.0, 1.0, n))
        sent = sum(job.what == "send" for job in timeline.jobs.jobs)
        assert sent == graphs.count_tasks(placed)


def test_complete_subtrees_are_counted() -> None:
    def count(first: int, last: int) -> int:
        nodes = {(0, leaf) for leaf in range(first, last)}
        for level, index in product(range(6), range(0, 64, 2)):
            if {(level, index), (level, index + 1)} <= nodes:
                nodes -= {(level, index), (level, index + 1)}
                nodes.add((level + 1, index // 2))
        return len(nodes)

    runs = [(first, last) for first in range(33) for last in range(first, 33)]
    first, last = np.array(runs).T
    assert subtrees(first, last).tolist() == [count(*run) for run in runs]


KNOWN = CostModel(
    row=3e-9, merge=8e-10, task=9e-4, run=6e-4, wire=2e-9, hop=5e-5, hop_work=1e-5, cores=2
)


def passes(costs: CostModel, noise: float = 0.0) -> list[Measured]:
    random = np.random.default_rng(0)
    found = []
    for schedule, n, row_bytes, summary_bytes in product(
        (Dataflow(), Allreduce(), Coded()), (1, 2, 4, 8, 16), (0.0, 5e7), (128.0, 131072.0)
    ):
        one = Measured(schedule, work(n, row_bytes, summary_bytes), 1.0)
        factor = 1.0 + noise * random.uniform(-1.0, 1.0)
        found.append(replace(one, seconds=predicted(one, costs) * factor))
    return found


def test_known_costs_are_found_again() -> None:
    measured = passes(KNOWN)
    assert np.abs(relative_errors(measured, CostModel(cores=2))).max() > 0.3
    found = fitted(measured, CostModel(cores=2))
    assert np.abs(relative_errors(measured, found)).max() < 0.02
    assert found.row == pytest.approx(KNOWN.row, rel=0.02)
    assert found.merge == pytest.approx(KNOWN.merge, rel=0.1)
    assert found.cores == 2


def test_noise_is_averaged_out() -> None:
    found = fitted(passes(KNOWN, noise=0.1), CostModel(cores=2))
    assert np.abs(relative_errors(passes(KNOWN), found)).mean() < 0.05
    assert np.abs(relative_errors(passes(KNOWN), found)).max() < 0.12


def test_what_was_not_measured_is_predicted() -> None:
    measured = passes(KNOWN)
    seen = [one for one in measured if one.work.n_workers != 8]
    unseen = [one for one in measured if one.work.n_workers == 8]
    found = fitted(seen, CostModel(cores=2))
    assert np.abs(relative_errors(unseen, found)).max() < 0.05


def test_thousands_of_workers_are_simulated() -> None:
    large = Workload(3_000, 1e12, 1e4, 120_000)
    dataflow = simulate(Dataflow(), large)
    scheduled = 3_000 * CostModel().task
    assert scheduled < dataflow.total < 1.2 * scheduled
    assert simulate(TreeAllreduce(), large).total < dataflow.total
    places = [span.place for span in dataflow.spans]
    assert {HUB, 0, 2_999} <= set(places)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a leaf for each"):
        Workload(8, 1.0, 1.0, n_leaves=7)
    with pytest.raises(ValueError, match="below 0"):
        Workload(1, -1.0, 1.0, n_leaves=7)
    with pytest.raises(ValueError, match="multiple of steps"):
        LocalSteps(3, 4)
    with pytest.raises(ValueError, match="at least 1"):
        simulate(Dataflow(), work(2), n_passes=0)
    with pytest.raises(ValueError, match="took some time"):
        fitted([], CostModel())
