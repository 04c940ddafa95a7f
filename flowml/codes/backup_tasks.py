"""Backup tasks: what isn't done in time is begun again by others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowml.codes.code import Assignment, Shares, check_counts, largest_share, runs
from flowml.codes.decoders import PartsDecoder, all_finite
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class BackupTasks:
    """Each part once, and held by a second worker that begins with it only after a while.

    A worker's parts have different second holders, so that the work of one that is slow is
    shared out: the more parts, the sooner it is caught up with.

    Parameters
    ----------
    n_workers : int
        Two at least.
    n_parts : int
    patience : float
        After how many times a worker's usual time the backups begin, each when its holder has
        done its own parts.

    Notes
    -----
    The idea is that of Dean and Ghemawat (*MapReduce*, 2004), who have the master start a second
    copy of the tasks in progress near the end of a job. There are no coefficients, so the bits
    are those of no code at all. Memory is for two copies of the rows, work in most passes for
    one. That a worker's parts are spread over the others is ours.

    Examples
    --------
    >>> code = BackupTasks(n_workers=3, n_parts=6)
    >>> code.assignment().parts
    ((0, 1), (2, 3), (4, 5))
    >>> code.assignment().backups
    ((3, 4), (0, 5), (1, 2))
    """

    n_workers: int
    n_parts: int
    patience: float = 1.25
    name = "backup tasks"
    exact = True

    def __post_init__(self) -> None:
        check_counts(self.n_workers, self.n_parts)
        if self.n_workers < 2:
            raise ValueError("backup tasks need a second worker; got n_workers=1")
        if not self.patience >= 1.0:
            raise ValueError(
                f"patience={self.patience} would begin backups before a worker can be done: "
                "use 1 or more"
            )

    @property
    def load(self) -> float:
        """That of no code: backups are begun only where they are needed."""
        return largest_share(runs(self.n_parts, self.n_workers), self.n_parts)

    def assignment(self) -> Assignment:
        """Return runs of parts, and the backups that each worker holds."""
        parts = runs(self.n_parts, self.n_workers)
        backups: list[list[int]] = [[] for _ in range(self.n_workers)]
        for worker, own in enumerate(parts):
            for number, part in enumerate(own):
                backups[self._second_holder(worker, number)].append(part)
        return Assignment(parts, backups=tuple(tuple(sorted(some)) for some in backups))

    def _second_holder(self, worker: int, number: int) -> int:
        return (worker + 1 + number % (self.n_workers - 1)) % self.n_workers

    def decoder(self, finite: Callable[[Any], bool] = all_finite) -> PartsDecoder:
        """Return a decoder that takes each part from either of its holders."""
        who = self.assignment()
        holders: Shares = tuple(map(tuple.__add__, who.parts, who.backups))
        return PartsDecoder(holders, self.n_parts, finite)

    def wait(self, times: Array) -> Array:
        """Wait for each worker or for those who hold its backups, whoever is first.

        How long a backup takes is drawn from the row before; it is begun after the given number
        of usual (median) times, and not before its holder is through with its own parts.
        """
        own = self.n_parts // self.n_workers
        helpers = min(own, self.n_workers - 1)
        share = -(-own // helpers) / own
        begun = np.maximum(times, self.patience * np.median(times))
        backed = begun + share * np.roll(times, 1, axis=0)
        latest = np.max([np.roll(backed, -(1 + h), axis=1) for h in range(helpers)], axis=0)
        slowest: Array = np.minimum(times, latest).max(axis=1)
        return slowest
