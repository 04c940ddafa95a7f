"""Moved shares: who is always slow does less, and those who hold copies of its parts do more."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from flowml.codes.backup_tasks import BackupTasks
from flowml.codes.code import Assignment, check_counts, largest_share, shares_of
from flowml.codes.decoders import PartsDecoder, all_finite
from flowml.kernels.rows import Array


@dataclass(frozen=True)
class MovedShares:
    """Each part at its own worker or its second holder, so that all are done at about one time.

    Parts move from the worker that would be done last to the second holder that would be done
    first with it, as long as that helps. A worker that would be left with nothing keeps a part
    that isn't waited for, as a measure of how slow it is.

    Parameters
    ----------
    n_workers : int
        Two at least.
    n_parts : int
    slowness : tuple of float
        What an even share takes each worker, in any unit.
    patience : float
        After how many times a worker's usual time the backups begin, as with backup tasks;
        infinite for never, so that only the parts that moved are held twice.

    Notes
    -----
    Ours. Unlike repetition it costs no work, and unlike backup tasks no wait: of 8 workers with 64
    parts one that is 8 times slower does one part, and the others 9 each, 1.125 times what they
    had. It is of no use against delays that come and go.

    Examples
    --------
    >>> code = MovedShares(n_workers=3, n_parts=6, slowness=(1.0, 1.0, 4.0))
    >>> code.assignment().parts
    ((0, 1, 4), (2, 3, 5), (4,))
    >>> code.assignment().backups
    ((), (), (5,))
    """

    n_workers: int
    n_parts: int
    slowness: tuple[float, ...]
    patience: float = np.inf
    exact = True

    def __post_init__(self) -> None:
        check_counts(self.n_workers, self.n_parts)
        if len(self.slowness) != self.n_workers or not min(self.slowness) > 0.0:
            raise ValueError(f"slowness must be {self.n_workers} numbers above 0")

    @property
    def name(self) -> str:
        """Whether there are backups beside."""
        return "moved shares" + (" with backup tasks" if np.isfinite(self.patience) else "")

    @property
    def load(self) -> float:
        """That of the worker that has most."""
        return largest_share(self.assignment().parts, self.n_parts)

    def assignment(self) -> Assignment:
        """Return who does which part, and holds it beside."""
        return self._assignment

    @cached_property
    def _plain(self) -> Assignment:
        return BackupTasks(self.n_workers, self.n_parts).assignment()

    @cached_property
    def _assignment(self) -> Assignment:
        plain, homes = self._plain, self.homes
        parts = shares_of(homes, plain.parts)
        held = zip(plain.parts, plain.backups, parts, strict=True)
        backed = np.isfinite(self.patience)
        backups = tuple(
            tuple(p for p in sorted((*own, *second)) if p not in mine and (backed or p in own))
            for own, second, mine in held
        )
        return Assignment(parts, backups=backups)

    @cached_property
    def homes(self) -> tuple[int, ...]:
        """For each part the worker that does it."""
        homes, second = np.empty((2, self.n_parts), dtype=np.intp)
        for worker in range(self.n_workers):
            homes[list(self._plain.parts[worker])] = worker
            second[list(self._plain.backups[worker])] = worker
        slowness = np.array(self.slowness)
        finish = np.bincount(homes, minlength=self.n_workers) * slowness
        moved = np.zeros(self.n_parts, dtype=bool)
        while True:
            last = int(finish.argmax())
            able = np.flatnonzero((homes == last) & ~moved)
            then = finish[second[able]] + slowness[second[able]]
            if not len(able) or then.min() >= finish[last]:
                return tuple(homes.tolist())
            part = able[::-1][int(then[::-1].argmin())]
            finish[last] -= slowness[last]
            finish[second[part]] += slowness[second[part]]
            homes[part], moved[part] = second[part], True

    def decoder(self, finite: Callable[[Any], bool] = all_finite) -> PartsDecoder:
        """Return a decoder that takes each part from whoever holds it."""
        who = self.assignment()
        holders = tuple(map(tuple.__add__, who.parts, who.backups))
        return PartsDecoder(holders, self.n_parts, finite)

    def wait(self, times: Array) -> Array:
        """Wait for all but those whose part is a measure only, or for their backups."""
        waited = np.isin(np.arange(self.n_workers), self.homes)
        own = times[:, waited]
        if not np.isfinite(self.patience) or own.shape[1] < 2:
            slowest: Array = own.max(axis=1)
            return slowest
        backups = BackupTasks(own.shape[1], max(self.n_parts, own.shape[1]), self.patience)
        return backups.wait(own)


def comparable(usual: Array) -> tuple[float, ...]:
    """Round workers' times to a few steps, so that small changes make no other code of them.

    Examples
    --------
    >>> comparable(np.array([0.98, 1.0, 1.1, 8.3]))
    (1.0, 1.0, 1.0, 8.0)
    """
    steps = np.round(2.0 * np.log2(usual / np.median(usual))) / 2.0
    return tuple(np.exp2(np.maximum(steps, 0.0)).tolist())
