"""The cores: what all running jobs share evenly, as an operating system has it."""

from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import UNITS

IDLE = UNITS.index("idle")


@dataclass(eq=False)
class Cores:
    """Running jobs, and how far they are.

    All are as quick as each other, so that one number says how much each has done since a moment.
    Processes first take what they need for themselves, up to an even share.

    Parameters
    ----------
    number : int or None
        Of cores; None where each job has one.
    n_processes : int
    idle : float
        What a process takes of a core for itself.

    Attributes
    ----------
    now : float
        Seconds.
    done : float
        Seconds of work that a job has done that has run all the time.
    """

    number: int | None
    n_processes: int
    idle: float
    now: float = 0.0
    done: float = 0.0
    ends: list[tuple[float, int]] = field(default_factory=list)
    """Where `done` will be as each job ends, and which."""

    @property
    def next_end(self) -> float:
        """When the next job ends; infinite if none runs."""
        return self.now + (self.ends[0][0] - self.done) / self.speed if self.ends else np.inf

    @property
    def awake(self) -> float:
        """How many processes have all that they need for themselves, or as much as so many."""
        if self.number is None or not self.idle:
            return self.n_processes
        share = self.number / (len(self.ends) + self.n_processes)
        return self.n_processes * min(1.0, share / self.idle)

    @property
    def speed(self) -> float:
        """Seconds of work that each job does in a second."""
        if self.number is None:
            return 1.0
        return min(1.0, (self.number - self.awake * self.idle) / max(1, len(self.ends)))

    def advance(self, to: float) -> None:
        """Let time go by, until the next job ends at most."""
        self.done += (to - self.now) * self.speed
        self.now = to

    def start(self, job: int, seconds: float) -> None:
        """Start a job that takes so long on a core."""
        heappush(self.ends, (self.done + seconds, job))

    def finish(self) -> int:
        """End the next job, whose time has come."""
        self.done, job = heappop(self.ends)
        return job


class Meter:
    """What the time consists of that each job takes: its own work, or all that is done meanwhile.

    Where there are cores enough a job's time is its own. Where they are short it is a share of what
    all do: it would be as much shorter if any of them did less.

    Parameters
    ----------
    n_cores : int
    """

    def __init__(self, n_cores: int) -> None:
        self._n_cores = n_cores
        self._alone = 0.0
        self._shared = np.zeros(len(UNITS))
        self._running: dict[int, tuple[float, Array, Array]] = {}
        self._pace = np.zeros(len(UNITS))

    def advance(self, cores: Cores, to: float) -> None:
        """Note what all will have done at a time."""
        elapsed, speed = to - cores.now, cores.speed
        if speed < 1.0:
            self._shared += self._pace * (elapsed * speed / self._n_cores)
            self._shared[IDLE] += cores.awake * elapsed / self._n_cores
        else:
            self._alone += elapsed

    def start(self, job: int, seconds: float, units: Array) -> None:
        """Note that a job starts."""
        self._running[job] = self._alone, self._shared.copy(), units / seconds if seconds else units
        self._pace = self._pace + units / seconds if seconds else self._pace

    def finish(self, job: int, seconds: float, is_short: bool) -> Array:
        """Return the units of its time, of shape (n_units,)."""
        alone, shared, pace = self._running.pop(job)
        if not seconds:  # counts nonetheless, where its units are free
            self._shared = self._shared + pace / self._n_cores * is_short
            return self._shared - shared if is_short else pace
        self._pace = self._pace - pace if self._running else np.zeros(len(UNITS))
        units: Array = self._shared - shared + pace * (self._alone - alone)
        return units
