"""Faults for the workers of a LocalCluster: killed, paused, slowed, cut off, added, retired."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from distributed import Client, LocalCluster, Nanny

from flowml.testing.merging import die_merging
from flowml.testing.moments import Strike

SLICE = 0.02
"""Seconds that a slowed worker runs before it is stopped for a while."""
COMES_WITHIN = 60.0
"""Seconds."""
RESTARTS_WITHIN = 2.0
"""Seconds in which a nanny mostly has another worker running."""


class Faults:
    """Does to the workers of a cluster what happens to workers, at the moments of a fit.

    Parameters
    ----------
    cluster : distributed.LocalCluster
        With worker processes (``processes=True``, the default).
    seed : int
        Which workers are struck, and how late within a pass.

    Attributes
    ----------
    struck : list of str
        What was done, in words.

    Raises
    ------
    ValueError
        If the cluster's workers are threads of this process.

    Notes
    -----
    Wherever a method takes a worker's address, None picks one by the seed. Leaving the ``with``
    block lets paused and slowed workers go on.

    Examples
    --------
    A solver of your own must end with the same bits whatever happens. Here it loses one of two
    workers in its third pass:

    >>> import dask.array as da
    >>> import flowml
    >>> from distributed import Client, LocalCluster
    >>> from flowml.cluster import KMeans
    >>> from flowml.testing import Faults, assert_clean
    >>> X = da.random.default_rng(0).normal(size=(4_000, 3), chunks=(500, 3))
    >>> undisturbed = KMeans(4, random_state=0).fit(X)
    >>> with (  # doctest: +SKIP
    ...     LocalCluster(n_workers=2) as cluster,
    ...     Client(cluster) as client,
    ...     Faults(cluster, seed=0) as faults,
    ... ):
    ...     strike = faults.at("in pass 3", faults.kill)
    ...     with flowml.config_context(client=client, callbacks=[strike]):
    ...         model = KMeans(4, random_state=0).fit(X)
    ...     assert strike.happened
    ...     assert_clean(client)
    ...     (model.cluster_centers_ == undisturbed.cluster_centers_).all()
    True
    """

    def __init__(self, cluster: LocalCluster, seed: int = 0) -> None:
        self.cluster: Any = cluster  # Dask's own types leave out what is public there
        self.struck: list[str] = []
        self._random = Random(seed)
        self._paused: set[int] = set()
        self._hogs: list[threading.Event] = []
        self._folder = TemporaryDirectory(prefix="flowml-faults-")
        self._latches = 0
        if not all(isinstance(nanny, Nanny) for nanny in cluster.workers.values()):
            raise ValueError(
                "the cluster's workers are threads of this process, which no fault can strike one "
                "by one: use LocalCluster(processes=True)"
            )

    @property
    def workers(self) -> Mapping[str, int]:
        """The process numbers of the workers that run, by address."""
        nannies = list(self.cluster.workers.values())
        found = {nanny.worker_address: nanny.pid for nanny in nannies}
        known = list(self.cluster.scheduler.workers)
        return {address: found[address] for address in sorted(known) if found.get(address)}

    def at(self, moment: str, act: Callable[..., Any], *arguments: Any, **named: Any) -> Strike:
        """Return a callback for ``config_context(callbacks=...)`` that does something once.

        Parameters
        ----------
        moment : str
            ``"pass 4"``: between the fourth pass and the fifth; ``"in pass 4"``: in the midst of
            the fourth, a part of the third one's length after it began.
        act : callable
            A method of this object, or anything else.
        *arguments, **named
        """
        return Strike(moment, lambda: act(*arguments, **named), Random(self._random.random()))

    def pick(self) -> str:
        """Return the address of a worker that runs, drawn by the seed."""
        return self._random.choice(sorted(self.workers))

    def kill(self, worker: str | None = None, for_good: bool = False) -> None:
        """Kill a worker's process (SIGKILL); its nanny starts another unless it is for good."""
        address = worker or self.pick()
        self._note(f"killed {address}")
        pid, nanny = self.workers[address], self._nanny(address)
        if for_good:
            self._strike_off(address)
            self.cluster.sync(_end, nanny, pid)
        else:
            _signal(pid, signal.SIGKILL)

    def kill_all_but_one(self, for_good: bool = False) -> None:
        """Kill all workers but one at once."""
        workers = self.workers
        for address in set(workers) - {self.pick()}:
            self.kill(address, for_good)

    def kill_merging(self) -> None:
        """Have a worker killed as it merges summaries: the first that does, from now on."""
        self._note("killed a worker as it merges")
        self._latches += 1
        latch = Path(self._folder.name) / str(self._latches)
        with self._connected() as client:
            client.run(die_merging, latch, workers=list(self.workers), on_error="ignore")

    def pause(self, worker: str | None = None, seconds: float = 1.0) -> None:
        """Stop a worker's process (SIGSTOP) and let it go on some seconds later; returns at once.

        It neither computes nor answers meanwhile, but its connections stay open.
        """
        pid = self._pid(worker, f"paused for {seconds:g} s:")
        self._paused.add(pid)
        _signal(pid, signal.SIGSTOP)
        threading.Timer(seconds, self._go_on, [pid]).start()

    def slow(self, worker: str | None = None, factor: float = 3.0, seconds: float = 1e9) -> None:
        """Give a worker's process one part in `factor` of its time; returns at once."""
        pid = self._pid(worker, f"slowed by {factor:g}:")
        over = threading.Event()
        self._hogs.append(over)
        self._paused.add(pid)
        until = time.monotonic() + seconds

        def hog() -> None:
            while time.monotonic() < until and not over.wait(SLICE):
                if not _signal(pid, signal.SIGSTOP):
                    return
                over.wait((factor - 1) * SLICE)
                _signal(pid, signal.SIGCONT)

        threading.Thread(target=hog, daemon=True).start()

    def cut(self, worker: str | None = None) -> None:
        """Drop the scheduler's connection to a worker, which Dask's workers take for their end."""
        address = worker or self.pick()
        self._note(f"cut off {address}")
        self._abort(self.cluster.scheduler.stream_comms, address)

    def cut_client(self, client: Client) -> None:
        """Drop the scheduler's connection to a client, which connects again at once.

        `Proxy` keeps it from that for a while.
        """
        self._note("cut off the client")
        self._abort(self.cluster.scheduler.client_comms, client.id)

    def add_worker(self, wait: bool = False) -> None:
        """Start another worker.

        Parameters
        ----------
        wait : bool
            Until it has come, which takes a second or so.
        """
        self._note("added a worker")
        self._dismiss()
        before = set(self.workers)
        self.cluster.scale(len(self.cluster.worker_spec) + 1)
        deadline = time.monotonic() + COMES_WITHIN
        while wait and set(self.workers) <= before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no worker came within {COMES_WITHIN:g} s")
            time.sleep(0.02)

    def settle(self, n_workers: int) -> None:
        """Bring the cluster back to so many workers, between two fits; no other comes afterwards.

        Raises
        ------
        TimeoutError
            If those that it lacks don't come.
        """
        deadline = time.monotonic() + COMES_WITHIN
        patience = time.monotonic() + RESTARTS_WITHIN
        while not self._settled(n_workers):
            if len(self.workers) > n_workers:
                self.retire()
            elif len(self.cluster.worker_spec) < n_workers:
                self._dismiss()
                self.cluster.scale(n_workers)
            elif time.monotonic() > patience:
                self._strike_off_idle()
                patience = deadline
            elif time.monotonic() > deadline:
                raise TimeoutError(f"{n_workers} workers didn't come in {COMES_WITHIN:g} s")
            time.sleep(0.02)

    def retire(self, worker: str | None = None) -> None:
        """Retire a worker: what it holds is copied to the others, then it closes."""
        address = worker or self.pick()
        self._note(f"retired {address}")
        with self._connected() as client:
            client.retire_workers([address])
        if address not in self.cluster.scheduler.workers:  # one that holds an actor stays
            self._strike_off(address)

    def __enter__(self) -> "Faults":
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let those that are paused or slowed go on."""
        for over in self._hogs:
            over.set()
        for pid in list(self._paused):
            self._go_on(pid)
        self._folder.cleanup()

    def _pid(self, worker: str | None, what: str) -> int:
        address = worker or self.pick()
        self._note(f"{what} {address}")
        return self.workers[address]

    def _settled(self, n_workers: int) -> bool:
        """Tell whether so many workers run, and no nanny is about to start another."""
        known = (self.workers, self.cluster.scheduler.workers, self.cluster.worker_spec)
        return all(len(one) == n_workers for one in known)

    def _strike_off(self, address: str) -> None:
        """Take a worker from the cluster's list, by which Dask would start it again in scaling."""
        for name, nanny in list(self.cluster.workers.items()):
            if nanny.worker_address == address:
                self.cluster.worker_spec.pop(name, None)

    def _strike_off_idle(self) -> None:
        """The same for all whose nanny has none running: it closes as the cluster is scaled."""
        for name in list(self.cluster.worker_spec):
            nanny = self.cluster.workers.get(name)
            if nanny is None or nanny.worker_address not in self.workers:
                self.cluster.worker_spec.pop(name)

    def _dismiss(self) -> None:
        """Have Dask end the nannies of those that were struck off.

        A new worker may be given the name of one, and isn't started while its nanny is there.
        """
        spec, nannies = self.cluster.worker_spec, self.cluster.workers
        deadline = time.monotonic() + COMES_WITHIN
        if set(nannies) - set(spec):
            self.cluster.scale(len(spec))
        while names := set(nannies) - set(spec):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the nannies of {names} didn't end in {COMES_WITHIN:g} s")
            time.sleep(0.02)

    def _nanny(self, address: str) -> Any:
        nannies = self.cluster.workers.values()
        return next(nanny for nanny in nannies if nanny.worker_address == address)

    def _note(self, what: str) -> None:
        self.struck.append(what)

    def _go_on(self, pid: int) -> None:
        _signal(pid, signal.SIGCONT)
        self._paused.discard(pid)

    def _connected(self) -> Client:
        """Return a client of our own: the fit's may be what is broken."""
        return Client(self.cluster.scheduler_address, set_as_default=False)

    def _abort(self, connections: Mapping[str, Any], name: str) -> None:
        self.cluster.loop.add_callback(connections[name].comm.abort)


async def _end(nanny: Nanny, pid: int) -> None:
    """Kill a worker and close its nanny, before it hears of that: it would start another."""
    _signal(pid, signal.SIGKILL)
    await nanny.close()


def _signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal and tell whether the process was there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
