"""Workers on a network that is one: what a pass sends, what distance costs, and cuts that heal."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from distributed import Client, wait

import flowml
from flowml.drive.events import PassCompleted
from flowml.linear_model import SGDRegressor
from flowml.runtimes.parameter_server import ranges
from tests.conftest import keys_left
from tests.network import Network, cluster_on, what_is_missing
from tests.power_iteration import PowerIteration, make_rows

SITES = 3
FEW, SOME, MANY = 8, 50, 800
RUNTIMES = ("dataflow", "allreduce", "parameter_server")
HEADERS = 1.1
"""What frames are larger than what they carry, and acknowledgements."""
TASK = 5_000
"""Bytes that Dask's messages about a task take at most."""
NEWS = 50_000
"""Bytes that a client hears of a ring or a server at most, by the time of a pass."""
LOOK = 3_000
"""Bytes, of 20 passes each, by which two fits differ where one was looked at once more."""
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
        total, down, up = sent_in_a_pass(network, PowerIteration, X)
    beside, least = (TASK * (SITES + 1), 500) if name == "dataflow" else (NEWS, LOOK)
    assert sum(promised) < total < HEADERS * sum(promised) + beside
    assert promised.down < down + least < HEADERS * promised.down + beside
    assert promised.up < up + least < HEADERS * promised.up + beside
    assert total < X.nbytes / 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("share", "n_servers"), [(0.2, 1), (1.0, 1), (1.0, SITES)])
def test_a_parameter_server_sends_at_most_what_the_plan_says_of_csr_rows(
    network: Network,
    client: Client,
    share: float,
    n_servers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each site stores some of the columns, or all."""
    if n_servers > 1:
        monkeypatch.setattr(ranges, "SERVED_BYTES", 1 << 14)
    X = client.persist(csr_rows(4_000, share))
    y = da.from_array(np.arange(60.0 * SITES), chunks=60)
    wait(X)
    with runtime(client, "parameter_server"):
        plan = flowml.plan(descent(8), X, y)
        promised = plan.bytes_on_the_wire
        total, _, _ = sent_in_a_pass(network, descent, X, y)
    assert plan.n_servers == n_servers
    assert (share - 0.1) * promised.between < total < HEADERS * promised.between + NEWS


def descent(passes: int) -> SGDRegressor:
    return SGDRegressor(random_state=0, max_iter=passes, tol=0.0, eta0=1e-9)


def csr_rows(n_features: int, share: float) -> Any:
    """Return a leaf for each site, whose rows store a share of the columns."""
    random, blocks = np.random.default_rng(0), []
    for _ in range(SITES):
        dense = random.normal(size=(60, n_features)) * (random.random(n_features) < share)
        blocks.append(da.from_array(sp.csr_array(dense), chunks=(60, -1), asarray=False))
    return da.concatenate(blocks)


def sent_in_a_pass(network: Network, make: Callable[[int], Any], *data: Any) -> np.ndarray:
    """Return what a pass sends: all together, from the client, and to the client."""
    make(1).fit(*data)  # after which the workers have met
    one, other = (sent(network, make(passes), *data) for passes in (3, 23))
    return (other - one) / 20


def sent(network: Network, model: Any, *data: Any) -> np.ndarray:
    """Return what a fit sends: all together, from the client, and to the client."""
    before = np.array([network.count(site) for site in range(SITES + 1)])
    model.fit(*data)
    counts = np.array([network.count(site) for site in range(SITES + 1)]) - before
    return np.array([counts[:, 1].sum(), counts[0, 1], counts[0, 0]])


@pytest.mark.parametrize(
    ("name", "trips"), [("dataflow", 8), ("allreduce", 2 * SITES - 1), ("parameter_server", 2)]
)
def test_a_pass_over_a_distance_takes_few_trips(
    network: Network,
    client: Client,
    undisturbed: dict[int, PowerIteration],
    name: str,
    trips: int,
) -> None:
    with runtime(client, name):
        near = PowerIteration(FEW).fit(rows(50)).history_["seconds"].iloc[2:]
        with network.impaired(delay=DELAY):
            model = PowerIteration(FEW).fit(rows(50))
    np.testing.assert_array_equal(model.direction_, undisturbed[FEW].direction_)
    far = model.history_["seconds"].iloc[2:]
    # A pass that a rank begins late, after its neighbours, is shorter for it; one in which the
    # machine is busy is longer.
    assert trips * DELAY < far.median()
    assert far.min() - near.median() < (trips + 1.5) * DELAY


def test_a_narrow_network_takes_as_long_as_the_bytes_of_the_plan(
    network: Network, client: Client
) -> None:
    X, speed = rows(4_000), 4e6
    with network.impaired(speed=speed), runtime(client, "allreduce"):
        plan = flowml.plan(PowerIteration(), X)
        model = PowerIteration(8).fit(X)
    wanted = plan.bytes_on_the_wire.between / SITES / speed
    assert wanted < model.history_["seconds"].iloc[2:].min() < 2 * wanted


def test_word_of_a_large_state_takes_little_of_a_narrow_network(
    network: Network, client: Client
) -> None:
    X = client.persist(da.from_array(make_rows(20 * SITES, 20_000), chunks=(20, -1)))
    wait(X)
    with network.impaired(speed=2e6), runtime(client, "parameter_server"):
        plan = flowml.plan(PowerIteration(), X)
        _, _, up = sent_in_a_pass(network, PowerIteration, X)
    assert up < 0.15 * plan.bytes_on_the_wire.between


def test_a_cut_of_five_seconds_heals_and_changes_no_bit(
    network: Network, client: Client, undisturbed: dict[int, PowerIteration]
) -> None:
    passes = {"allreduce": MANY, "dataflow": SOME, "parameter_server": MANY}
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
