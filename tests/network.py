"""Workers in network namespaces of their own, and what goes over the wires to them."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from distributed import Client, LocalCluster

ROOT = Path(__file__).parents[1]


class Count(NamedTuple):
    """Bytes of all frames that went over the wires of some sites.

    Attributes
    ----------
    down, up : int
        To them and from them.
    """

    down: int
    up: int


def what_is_missing() -> str:
    """Say why no network can be made here; nothing where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root rights"
    if not Path("/dev/net/tun").exists():
        return "virtual wires need /dev/net/tun"
    name = f"fl{os.getpid()}-try"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces can't be made: {error}"
    return ""


class Network:
    """Sites, each in a namespace, on one network with this process: a context manager.

    Any two of them are joined by two wires, with a bridge between.

    Parameters
    ----------
    n_sites : int
    """

    def __init__(self, n_sites: int) -> None:
        number = os.getpid()
        self.n_sites = n_sites
        self._name = f"fl{number}"
        self._subnet = f"10.{100 + number // 250 % 100}.{number % 250}"
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where sites reach this process."""
        return f"{self._subnet}.1"

    def __enter__(self) -> "Network":
        command = [sys.executable, "-m", "tests.wires", self._name, self._subnet, str(self.n_sites)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._await_done()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        with self._process as process, suppress(BrokenPipeError):
            process.communicate(timeout=30)

    @contextmanager
    def impaired(self, delay: float = 0.0, loss: float = 0.0, speed: float = 0.0) -> Iterator[None]:
        """Make messages between any two take longer, get lost, or queue.

        Parameters
        ----------
        delay : float
            Seconds from one to another, one way.
        loss : float
            Share of the frames that each wire loses.
        speed : float
            Bytes a second; 0 for as fast as can be.
        """
        self._tell(delay / 2, loss, speed)
        try:
            yield
        finally:
            self._tell(0.0, 0.0, 0.0)

    def set_wire(self, site: int, up: bool) -> None:
        """Cut a site off, or join it again."""
        state = "up" if up else "down"
        subprocess.run(["ip", "link", "set", f"{self._name}n{site}", state], check=True)

    def count(self, site: int) -> Count:
        """Return what the kernel has counted on a site's wire so far; site 0 is this process."""
        folder = Path(f"/sys/class/net/{self._name}n{site}/statistics")
        down, up = ((folder / name).read_text() for name in ("tx_bytes", "rx_bytes"))
        return Count(int(down), int(up))

    def start_worker(self, site: int, scheduler: str) -> "subprocess.Popen[bytes]":
        """Start a Dask worker with one thread at a site; its name is the site's number."""
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler]
        options = f"--no-nanny --no-dashboard --nthreads 1 --memory-limit 0 --name {site}"
        host = ["--host", f"{self._subnet}.{site + 1}"]
        command = ["ip", "netns", "exec", f"{self._name}-{site}", *worker, *options.split(), *host]
        quiet = os.environ | {"DASK_LOGGING__DISTRIBUTED": "critical"}
        return subprocess.Popen(command, cwd=ROOT, env=quiet, stderr=subprocess.DEVNULL)

    def _tell(self, *setting: float) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(setting) + "\n")
        self._process.stdin.flush()
        self._await_done()

    def _await_done(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError("the network can't be made: see the standard error output")


@contextmanager
def cluster_on(network: Network) -> Iterator[Client]:
    """Start the scheduler here and a worker at each site, and connect."""
    options = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=0, host=network.address, **options) as cluster:
        workers = [
            network.start_worker(site, cluster.scheduler_address)
            for site in range(1, network.n_sites + 1)
        ]
        try:
            with Client(cluster) as client:
                client.wait_for_workers(network.n_sites, timeout=60)
                yield client
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.wait(30)
