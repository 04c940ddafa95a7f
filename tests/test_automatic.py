"""runtime="auto": dataflow until graphs have cost more than ranks do to meet."""

from typing import Any

import dask.array as da
import numpy as np
from distributed import Client

import flowml
from flowml.drive.events import Incident
from flowml.linear_model import LinearRegression
from flowml.runtimes.automatic import GATHERING_SECONDS, MEETING_SECONDS, decide
from tests.power_iteration import PowerIteration, make_rows


def test_a_fit_goes_over_once_it_has_lost_what_going_over_takes() -> None:
    each, work = 0.02, 0.005
    enough = int(MEETING_SECONDS / (each - work)) + 1
    assert decide([each] * (enough - 1), [work] * (enough - 1), True, False).runtime == "dataflow"
    assert decide([each] * enough, [work] * enough, True, False).runtime == "allreduce"


def test_ranks_that_have_met_are_gone_over_to_sooner() -> None:
    passes = int(GATHERING_SECONDS / 0.02) + 1
    assert decide([0.02] * passes, [0.0] * passes, True, True).runtime == "allreduce"
    assert decide([0.02] * passes, [0.0] * passes, True, False).runtime == "dataflow"


def test_long_passes_stay_on_dataflow() -> None:
    assert decide([5.0] * 20, [4.99] * 20, True, False).runtime == "dataflow"
    assert decide([], [], True, True).runtime == "dataflow"


def test_without_the_collective_it_stays_and_says_so() -> None:
    decision = decide([1.0] * 100, [0.0] * 100, False, False)
    assert decision.runtime == "dataflow"
    assert "pip install" in decision.reason


def test_the_second_fit_in_a_block_goes_over_with_the_same_bits(client: Client) -> None:
    X = da.from_array(make_rows(6_000, 5), chunks=(701, -1))
    wanted = PowerIteration(80).fit(X)
    said: list[list[str]] = []

    def listen(event: Any) -> None:
        if isinstance(event, Incident):
            said[-1].append(event.what)

    with flowml.config_context(runtime="auto", callbacks=[listen]):
        for _ in range(2):
            said.append([])
            model = PowerIteration(80).fit(X)
            np.testing.assert_array_equal(model.direction_, wanted.direction_)
            assert model.n_passes_ == 80
    assert all("goes over from dataflow to allreduce" in what[0] for what in said)
    n_before = [int(what[0].split()[0]) for what in said]
    assert n_before[1] < n_before[0]


def test_rows_of_this_process_stay_on_its_threads(client: Client) -> None:
    X = np.random.default_rng(0).normal(size=(100, 3))
    with flowml.config_context(runtime="auto"):
        plan = flowml.plan(LinearRegression(), X, X[:, 0])
    assert plan.runtime == "threads"


def test_the_plan_says_when_it_goes_over(client: Client) -> None:
    X = da.from_array(make_rows(600, 5), chunks=(100, -1))
    with flowml.config_context(runtime="auto"):
        plan = flowml.plan(LinearRegression(), X, X[:, 0])
    assert plan.runtime == "dataflow"
    assert "goes over to allreduce" in str(plan)


def test_chunks_that_are_streamed_stay_on_dataflow(client: Client) -> None:
    X = da.from_array(make_rows(600, 5), chunks=(300, -1))
    said: list[str] = []
    listen = [lambda event: said.append(event.what) if isinstance(event, Incident) else None]
    with flowml.config_context(runtime="auto", keep=False, callbacks=listen):
        model = PowerIteration(30).fit(X)
    np.testing.assert_array_equal(model.direction_, PowerIteration(30).fit(X).direction_)
    assert not said
