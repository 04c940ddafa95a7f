"""Slowness: by how much a worker's rows take longer than usual, pass by pass."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flowml.codes.delays import Delays
from flowml.kernels.rows import Array


class Slowness(Protocol):
    """A random process for each worker."""

    def draw(self, random: np.random.Generator, n_passes: int, n_workers: int) -> Array:
        """Return by what the time for the rows is multiplied, of shape (n_passes, n_workers)."""


@dataclass(frozen=True)
class Steady:
    """Nobody is ever slow, or the same workers always are.

    Parameters
    ----------
    slow : tuple of float
        What the first workers' times are multiplied by.
    """

    slow: tuple[float, ...] = ()

    def draw(self, random: np.random.Generator, n_passes: int, n_workers: int) -> Array:
        """Return ones, but for the slow."""
        factors = np.ones(n_workers)
        slow = self.slow[:n_workers]
        factors[: len(slow)] = slow
        return np.tile(factors, (n_passes, 1))


@dataclass(frozen=True)
class Independent:
    """A delay that is drawn anew for each worker and pass.

    Parameters
    ----------
    delays : Delays
        Such as ``ShiftedExponential(least=1.0, mean_delay=0.2)``, with 1 for the usual time.
    """

    delays: Delays

    def draw(self, random: np.random.Generator, n_passes: int, n_workers: int) -> Array:
        """Draw from the distribution."""
        return self.delays.quantiles(random.random((n_passes, n_workers)))


@dataclass(frozen=True)
class Markov:
    """Workers that become slow at times, and stay so for a while.

    Parameters
    ----------
    factor : float
        What a slow worker's time is multiplied by.
    becomes_slow, recovers : float
        Probabilities for each pass. At first as many are slow as are in the long run.
    """

    factor: float = 3.0
    becomes_slow: float = 0.1
    recovers: float = 0.3

    def draw(self, random: np.random.Generator, n_passes: int, n_workers: int) -> Array:
        """Draw who is slow when."""
        level = random.random((n_passes, n_workers))
        slow = np.zeros((n_passes, n_workers), dtype=bool)
        now = random.random(n_workers) < self.becomes_slow / (self.becomes_slow + self.recovers)
        for number in range(n_passes):
            slow[number] = now
            now = np.where(now, level[number] >= self.recovers, level[number] < self.becomes_slow)
        return np.where(slow, self.factor, 1.0)
