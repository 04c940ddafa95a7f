"""Workers on a network that is one: what a pass sends, what distance costs, and cuts that heal."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, wait

import flowml
from flowml.drive.events import PassCompleted
from tests.conftest import keys_left
from tests.network import Network, cluster_on, what_is_missing
from tests.power_iteration import PowerIteration, make_rows

SITES = 3
FEW, SOME, MANY = 8, 50, 800
RUNTIMES = ("dataflow", "allreduce")
HEADERS = 1.1
"""What frames are larger than what they carry, and acknowledgements."""
TASK = 5_000
"""Bytes that Dask's messages about a task take at most."""
NEWS = 50_000
"""Bytes that a client hears of a ring at most, by the time of a pass."""
DELAY = 0.05

pytestmark = pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing())


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(SITES) as built:
        yield built


@pytest.fixture(scope="module")
def undisturbed() -> dict[int, PowerIteration]:
    """Fits in this process, by their passes."""
    return {passes: PowerIteration(passes).fit(rows(50)) for passes in (FEW, SOME, MANY)}


@pytest.fixture(scope="module")
def remote(network: Network, undisturbed: dict[int, PowerIteration]) -> Iterator[Client]:
    with cluster_on(network) as client:
        yield client


@pytest.fixture
def client(remote: Client) -> Iterator[Client]:
    yield remote
    assert not keys_left(remote)


def rows(n_features: int) -> Any:
    """Return a leaf for each site."""
    return da.from_array(make_rows(60 * SITES, n_features), chunks=(60, -1))


@contextmanager
def runtime(client: Client, name: str, *callbacks: Any) -> Iterator[None]:
    with flowml.config_context(client=client, runtime=name, callbacks=callbacks):
        yield


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_pass_sends_what_the_plan_says_and_no_rows(
    network: Network, client: Client, name: str
) -> None:
    X = client.persist(rows(4_000))
    wait(X)
    with runtime(client, name):
        promised = flowml.plan(PowerIteration(), X).bytes_on_the_wire
        one, other = (sent(network, PowerIteration(passes), X) for passes in (3, 23))
    total, down, up = (other - one) / 20
    beside = {"dataflow": TASK * (SITES + 1), "allreduce": NEWS}[name]
    assert sum(promised) < total < HEADERS * sum(promised) + beside
    assert promised.down < down + 500 < HEADERS * promised.down + beside
    assert promised.up < up + 500 < HEADERS * promised.up + beside
    assert total < X.nbytes / 5


def sent(network: Network, model: PowerIteration, X: Any) -> np.ndarray:
    """Return what a fit sends: all together, from the client, and to the client."""
    before = np.array([network.count(site) for site in range(SITES + 1)])
    model.fit(X)
    counts = np.array([network.count(site) for site in range(SITES + 1)]) - before
    return np.array([counts[:, 1].sum(), counts[0, 1], counts[0, 0]])


@pytest.mark.parametrize(("name", "trips"), [("dataflow", 8), ("allreduce", 2 * SITES - 1)])
def test_a_pass_over_a_distance_takes_few_trips(
    network: Network,
    client: Client,
    undisturbed: dict[int, PowerIteration],
    name: str,
    trips: int,
) -> None:
    with network.impaired(delay=DELAY), runtime(client, name):
        model = PowerIteration(FEW).fit(rows(50))
    np.testing.assert_array_equal(model.direction_, undisturbed[FEW].direction_)
    # Not the least: a pass that a rank begins late, after its neighbours, is shorter for it.
    seconds = model.history_["seconds"].iloc[2:].median()
    assert trips * DELAY < seconds < (trips + 1.5) * DELAY


def test_a_narrow_network_takes_as_long_as_the_bytes_of_the_plan(
    network: Network, client: Client
) -> None:
    X, speed = rows(4_000), 4e6
    with network.impaired(speed=speed), runtime(client, "allreduce"):
        plan = flowml.plan(PowerIteration(), X)
        model = PowerIteration(8).fit(X)
    wanted = plan.bytes_on_the_wire.between / SITES / speed
    assert wanted < model.history_["seconds"].iloc[2:].min() < 2 * wanted


def test_a_cut_of_five_seconds_heals_and_changes_no_bit(
    network: Network, client: Client, undisturbed: dict[int, PowerIteration]
) -> None:
    passes = {"allreduce": MANY, "dataflow": SOME}
    under_way = {name: threading.Event() for name in RUNTIMES}

    def fit(name: str) -> PowerIteration:
        def watch(event: Any) -> None:
            if isinstance(event, PassCompleted):
                under_way[name].set()

        with runtime(client, name, watch):
            return PowerIteration(passes[name]).fit(rows(50))

    with ThreadPoolExecutor() as pool, ExitStack() as healed:
        fits = {}
        for name in passes:
            fits[name] = pool.submit(fit, name)
            assert under_way[name].wait(30)
        healed.callback(network.set_wire, 2, True)
        network.set_wire(2, False)
        time.sleep(5)
        done = [name for name in RUNTIMES if fits[name].done()]
        healed.close()
        models = {name: future.result(60) for name, future in fits.items()}
    assert not done
    for name, model in models.items():
        expected = undisturbed[passes[name]]
        np.testing.assert_array_equal(model.direction_, expected.direction_)
        assert model.n_passes_ == expected.n_passes_
        assert model.history_["seconds"].max() > 3


@pytest.mark.parametrize("name", RUNTIMES)
def test_frames_that_get_lost_are_sent_again(
    network: Network, client: Client, undisturbed: dict[int, PowerIteration], name: str
) -> None:
    with network.impaired(loss=0.02), runtime(client, name):
        model = PowerIteration(FEW).fit(rows(50))
    np.testing.assert_array_equal(model.direction_, undisturbed[FEW].direction_)
