"""Workers killed in mid-fit, failed and interrupted fits: same bits, and a clean cluster."""

import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from distributed import Client

import flowml
from flowml.drive.events import PassCompleted
from flowml.linear_model import LinearRegression
from flowml.testing import Faults
from tests.conftest import keys_left
from tests.power_iteration import PowerIteration, make_rows

N_ROWS, N_FEATURES = 200_000, 8
PASSES = 12
WORKERS = 4
"""Enough for the tests that lose one for good."""


def numpy_rows(folder: Path) -> Any:
    return make_rows(N_ROWS, N_FEATURES)


def dask_rows(folder: Path) -> Any:
    return da.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES), chunks=(N_ROWS // 16, -1))


def parquet_rows(folder: Path) -> Any:
    path = folder / "rows.parquet"
    if not path.exists():
        frame = pd.DataFrame(make_rows(N_ROWS, N_FEATURES)).rename(columns="x{}".format)
        frame.to_parquet(path, row_group_size=N_ROWS // 16)
    return flowml.read_parquet(str(path))


class KillAfter:
    """Kills the worker that holds the most, once a pass is done or some milliseconds later."""

    def __init__(self, client: Client, kill: Callable[[str], None], number: int, delay: float):
        self.client, self.kill, self.number, self.delay = client, kill, number, delay
        self.killed = False

    def __call__(self, event: Any) -> None:
        if isinstance(event, PassCompleted) and event.number == self.number:
            self.killed = True
            held = self.client.has_what()
            most = max(held, key=lambda address: len(held[address]))
            if self.delay:
                threading.Timer(self.delay, self.kill, [most]).start()
            else:
                self.kill(most)


@pytest.mark.parametrize(
    ("source", "restarted", "delay"),
    [
        # Every source, between passes and in one, with and without a new worker; then the others.
        (numpy_rows, True, 0.0),
        (dask_rows, False, 0.0),
        (parquet_rows, False, 0.01),
        pytest.param(dask_rows, True, 0.01, marks=pytest.mark.slow),
        pytest.param(parquet_rows, True, 0.0, marks=pytest.mark.slow),
        pytest.param(numpy_rows, False, 0.01, marks=pytest.mark.slow),
    ],
)
def test_a_worker_killed_in_mid_fit_changes_no_bit(
    faults: Faults,
    tmp_path: Path,
    source: Callable[[Path], Any],
    restarted: bool,
    delay: float,
):
    X = source(tmp_path)
    undisturbed = PowerIteration(PASSES).fit(X).direction_
    with Client(faults.cluster) as client:
        kill = KillAfter(client, partial(faults.kill, for_good=not restarted), 4, delay)
        with flowml.config_context(client=client, keep=True, callbacks=[kill]):
            model = PowerIteration(PASSES).fit(X)
        assert kill.killed
        np.testing.assert_array_equal(model.direction_, undisturbed)
        assert model.n_passes_ == PASSES
        assert not keys_left(client)


def test_numpy_on_a_cluster_gives_the_same_bits_and_no_warning(client: Client):
    X = make_rows(N_ROWS, N_FEATURES)
    here = LinearRegression().fit(X, X @ np.arange(N_FEATURES))
    with warnings.catch_warnings(), flowml.config_context(client=client):
        warnings.simplefilter("error")
        there = LinearRegression().fit(X, X @ np.arange(N_FEATURES))
    np.testing.assert_array_equal(here.coef_, there.coef_)


def fail_on_pass_3(event: Any) -> None:
    if isinstance(event, PassCompleted) and event.number == 3:
        raise OSError("disk full")


@pytest.mark.parametrize("source", [numpy_rows, dask_rows])
def test_a_failed_fit_leaves_the_cluster_clean(
    client: Client, tmp_path: Path, source: Callable[[Path], Any]
):
    estimator = PowerIteration(PASSES)
    settings = {"client": client, "callbacks": [fail_on_pass_3]}
    with flowml.config_context(**settings), pytest.raises(OSError, match="disk full") as caught:
        estimator.fit(source(tmp_path))
    # The traceback is alive, and with it every frame of the fit.
    assert caught.traceback
    assert keys_left(client) == []
    assert vars(estimator) == {"max_iter": PASSES}


def test_bad_rows_on_a_worker_fail_the_fit_and_leave_the_cluster_clean(client: Client):
    X = make_rows(N_ROWS, N_FEATURES)
    X[N_ROWS // 2, 3] = np.nan
    with (
        flowml.config_context(client=client),
        pytest.raises(ValueError, match=r"X contains NaN: block \d+, row \d+ of the block"),
    ):
        LinearRegression().fit(X, np.zeros(N_ROWS))
    assert keys_left(client) == []


def test_two_fits_at_a_time_on_one_cluster(client: Client):
    X = make_rows(N_ROWS, N_FEATURES)
    expected = PowerIteration(PASSES).fit(X).direction_
    found: list[Any] = [None, None]

    def fit(number: int) -> None:
        with flowml.config_context(client=client):
            found[number] = PowerIteration(PASSES).fit(X).direction_

    threads = [threading.Thread(target=fit, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for direction in found:
        np.testing.assert_array_equal(direction, expected)


CLIENT = """
import sys, flowml
from distributed import Client
from tests.power_iteration import PowerIteration, make_rows, say_pass
if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        try:
            with flowml.config_context(client=client, callbacks=[say_pass]):
                PowerIteration(100_000).fit(make_rows())
        except KeyboardInterrupt:
            print("stopped", flush=True)
            sys.stdin.readline()
"""


def test_interrupting_the_client_cancels_the_pass(client: Client):
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, client.scheduler.address],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = iter(process.stdout)
    assert any(line.strip() == "pass 20" for line in lines)
    process.send_signal(signal.SIGINT)
    assert any(line.strip() == "stopped" for line in lines)
    started = time.monotonic()
    assert keys_left(client) == []
    assert time.monotonic() - started < 5
    process.communicate("\n", timeout=30)


@contextmanager
def on_return(function: Any, act: Callable[[], None]) -> Iterator[None]:
    """Act whenever a function is about to return."""

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if event == "return" and frame.f_code is function.__code__:
            act()

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("source", "function"),
    [
        (dask_rows, Client.persist),
        (dask_rows, Client.compute),
        (numpy_rows, Client.scatter),
        (numpy_rows, Client.compute),
    ],
)
def test_an_interrupt_between_asking_the_cluster_and_knowing_leaves_it_clean(
    client: Client, tmp_path: Path, source: Callable[[Path], Any], function: Any
):
    X = source(tmp_path)
    with (
        flowml.config_context(client=client),
        pytest.raises(KeyboardInterrupt) as caught,
        on_return(function, interrupt),
    ):
        PowerIteration(PASSES).fit(X)
    assert caught.traceback
    assert keys_left(client) == []


def test_a_finished_fit_is_resumed_without_sending_rows(client: Client, tmp_path: Path):
    X = numpy_rows(tmp_path)
    sent: list[int] = []
    with (
        flowml.config_context(client=client, checkpoint=tmp_path, resume=True),
        on_return(Client.scatter, lambda: sent.append(len(sent))),
    ):
        first = PowerIteration(PASSES).fit(X)
        assert len(sent) == 2
        again = PowerIteration(PASSES).fit(X)
    assert len(sent) == 2
    np.testing.assert_array_equal(again.direction_, first.direction_)
    assert again.n_passes_ == PASSES


def test_a_finished_fit_is_resumed_without_loading_rows(tmp_path: Path):
    loaded: list[int] = []

    def count(block: Any) -> Any:
        loaded.append(len(block))
        return block

    rows = da.from_array(make_rows(1_000), chunks=(250, -1))
    X = rows.map_blocks(count, dtype=float, meta=np.empty((0, 0)))
    with flowml.config_context(checkpoint=tmp_path, resume=True):
        first = PowerIteration(PASSES).fit(X)
        assert sum(loaded) == 1_000
        again = PowerIteration(PASSES).fit(X)
    assert sum(loaded) == 1_000
    np.testing.assert_array_equal(again.direction_, first.direction_)
