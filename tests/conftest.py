"""What tests share: one real cluster for the session, and the check that fits leave it clean."""

import time
from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster
from distributed.scheduler import Scheduler

from flowml.testing import Faults
from tests.clusters import local_cluster

CLEAN_WITHIN_SECONDS = 5.0


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes with a thread each; a test that kills workers makes its own."""
    with local_cluster(2) as running:
        yield running


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """The active client of the session's cluster; afterwards no fit may have left anything there.

    Each test gets its own, so that none stays active for tests that run without a cluster.
    """
    with Client(cluster) as connected:
        yield connected
        left = keys_left(connected)
        assert not left, f"the workers still hold {left}"


@pytest.fixture(scope="module")
def mortals(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """As many worker processes with a thread each as a test's module says, to be done harm to."""
    with local_cluster(request.module.WORKERS) as running:
        yield running


@pytest.fixture
def faults(request: pytest.FixtureRequest, mortals: LocalCluster) -> Iterator[Faults]:
    """What does them harm; all of them are there before."""
    with Faults(mortals, seed=1) as striking:
        striking.settle(request.module.WORKERS)
        yield striking


def keys_left(client: Client) -> list[str]:
    """Return flowml's keys on the scheduler, waiting a moment for released ones to go."""
    deadline = time.monotonic() + CLEAN_WITHIN_SECONDS
    while left := client.run_on_scheduler(_flowml_keys):
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return []


def _flowml_keys(dask_scheduler: Scheduler) -> list[str]:
    return sorted(key for key in map(str, dask_scheduler.tasks) if key.startswith("flowml-"))
